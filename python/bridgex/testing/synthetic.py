"""Statistics and probes computed from text alone, for tests that need a store and no model.

The numbers mean nothing. They depend on every letter of the text, and their sums on the order of
addition, so that a record lost, counted twice or added in another order shows.
"""

from __future__ import annotations

import hashlib
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

from bridgex.schema import NeuronStatistics, ProbeBlock, Provenance

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from bridgex.corpora import WordPart
    from bridgex.schema import Experts, GoldFilter

LAYER_SIZES = (5, 3, 4)
_ROUTED_ABOVE = 0.3


def provenance(
    *,
    weights: str = "weights",
    layer_sizes: tuple[int, ...] = LAYER_SIZES,
    experts: tuple[Experts, ...] = (),
) -> Provenance:
    """Return the provenance of a model that does not exist."""
    return Provenance(
        model="synthetic",
        architecture="none",
        weights=weights,
        config="config",
        tokenizer="tokenizer",
        layer_sizes=layer_sizes,
        site="act",
        policies={"special tokens": "excluded"},
        versions={"synthetic": "1.2.3"},
        experts=experts,
    )


def _generator(text: str) -> np.random.Generator:
    digest = hashlib.sha256(text.encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))


def activations(text: str, neuron_count: int) -> NDArray[np.float32]:
    """Return the activations of some text, float32 (token, neuron)."""
    generator = _generator(text)
    tokens = int(generator.integers(1, 6))
    return generator.standard_normal((tokens, neuron_count), dtype=np.float32)


def statistics(
    records: Iterable[str],
    *,
    layer_sizes: tuple[int, ...] = LAYER_SIZES,
    experts: tuple[Experts, ...] = (),
) -> NeuronStatistics:
    """Return the statistics of some records, added up record by record."""
    neuron_count = sum(layer_sizes)
    total = NeuronStatistics.zeros(neuron_count)
    for record in records:
        values = activations(record, neuron_count).astype(np.float64)
        seen = _seen(values, layer_sizes, experts)
        values = np.where(seen, values, 0.0)
        total = total.merge(
            NeuronStatistics(
                positive_count=(values > 0).sum(axis=0, dtype=np.int64),
                sum=values.sum(axis=0),
                sum_squares=(values**2).sum(axis=0),
                maximum=np.where(seen, values, -np.inf).max(axis=0).astype(np.float32),
                token_count=len(values),
                record_count=1,
                routed_count=seen.sum(axis=0, dtype=np.int64) if experts else None,
            )
        )
    return total


def _seen(
    values: NDArray[np.float64], layer_sizes: tuple[int, ...], experts: tuple[Experts, ...]
) -> NDArray[np.bool_]:
    """Tell which tokens a neuron sees, bool (token, neuron): an expert some, by its first one."""
    seen = np.ones(values.shape, dtype=np.bool_)
    starts = accumulate(layer_sizes, initial=0)
    for start, of in zip(starts, experts, strict=False):
        for first in range(start, start + of.neuron_count, max(of.width, 1)):
            seen[:, first : first + of.width] = values[:, [first]] > _ROUTED_ABOVE
    return seen


def probes(
    part: WordPart, gold: GoldFilter, *, layer_sizes: tuple[int, ...] = LAYER_SIZES
) -> ProbeBlock:
    """Return the probe activations of a part; the gold filter keeps about half of its words."""
    words = tuple(
        word
        for word in part.records
        if gold == "off" or hashlib.sha256(repr(word).encode()).digest()[0] % 2 == 0
    )
    columns = [
        activations(f"{part.place.pair}:{word}", sum(layer_sizes)).mean(axis=0) for word in words
    ]
    matrix = np.array(columns, dtype=np.float32).reshape(len(words), sum(layer_sizes)).T
    layers = np.split(matrix, np.cumsum(layer_sizes)[:-1])
    return ProbeBlock(
        words=words,
        activations=tuple(np.ascontiguousarray(layer) for layer in layers),
        considered=len(part.records),
    )
