"""What published scripts saved, as statistics and probes for a store.

``activation.*`` (Tang et al. 2024, and BridgeX-ICL after them) is a dictionary: ``n``, the number
of tokens; ``over_zero``, int (layer, neuron), at how many of them a neuron is on; and, where the
script kept them, ``sum1`` and ``sum2``, the sums of the activation and of its square, float (layer,
neuron). ``activation_value_*.pt`` (BridgeX-ICL) is one tensor (layer, neuron, sample): the mean
activation over the tokens of every word-translation prompt.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from bridgex.corpora import CorpusPart, split_parts, split_words
from bridgex.errors import InvalidInputError
from bridgex.schema import IMPORTED, NeuronStatistics, Pair, ProbeBlock, Provenance, WordPair
from bridgex.texts import open_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from bridgex.corpora import WordPart

    Saved = NDArray[Any] | dict[str, NDArray[Any]]

_SUMS = {"sum1": "sum", "sum2": "sum_squares"}


def imported_provenance(model: str, layer_sizes: tuple[int, ...]) -> Provenance:
    """Return the provenance of activations that published scripts saved.

    Parameters
    ----------
    model
        What the user calls the model: the files do not say. Part of the identity, so that files
        of two models of the same shape do not get into one store.
    layer_sizes
        Number of neurons of every layer.
    """
    return Provenance(
        model=model,
        architecture="unknown",
        weights="unknown",
        config="unknown",
        tokenizer="unknown",
        layer_sizes=layer_sizes,
        site="act",
        policies={IMPORTED: "published scripts", "model as named": model},
    )


def published_statistics(
    saved: Saved, *, path: Path, language: str, corpus: str
) -> tuple[CorpusPart, NeuronStatistics, tuple[int, ...]]:
    """Return what an ``activation.*`` file says of a language.

    Parameters
    ----------
    saved
        What is in the file.
    path
        The file, for messages.
    language, corpus
        What the statistics belong to.

    Returns
    -------
    The part of the store that they are, whose one record stands for the content of the file; the
    statistics; the number of neurons of every layer.

    Raises
    ------
    InvalidInputError
        If the file has another layout, or counts and sums that contradict themselves.
    """
    if not isinstance(saved, dict) or not {"n", "over_zero"} <= set(saved):
        there = f"a tensor {saved.shape}" if not isinstance(saved, dict) else _names(saved)
        raise InvalidInputError(
            f"expected n and over_zero in {path}, as activation.* files hold; found {there}",
            hint="activation_value_*.pt files are probes: give them with --probes.",
        )
    counts, tokens = saved["over_zero"], _token_count(saved["n"], path)
    _check_counts(counts, tokens, path)
    arrays: dict[str, NDArray[Any]] = {"positive_count": counts.astype(np.int64).ravel()}
    for theirs, ours in _SUMS.items():
        if theirs in saved:
            _check_sums(theirs, saved[theirs], counts.shape, path)
            arrays[ours] = saved[theirs].astype(np.float64).ravel()
    statistics = NeuronStatistics.of_known(arrays, token_count=tokens, record_count=1)
    record = _content(statistics, counts.shape)
    (part,) = split_parts([record], language=language, corpus=corpus)
    return part, statistics, (counts.shape[1],) * counts.shape[0]


def published_probes(
    tensor: NDArray[Any], words: tuple[WordPair, ...], *, path: Path, pair: Pair, block: int
) -> Iterator[tuple[WordPart, ProbeBlock]]:
    """Yield the parts of an ``activation_value_*.pt`` file, so many word pairs at a time.

    Parameters
    ----------
    tensor
        What ``probe_tensor`` returned, (layer, neuron, sample).
    words
        The word pair of every sample. One that was there before is left out: it is a sample once.
    path
        The file, for messages.
    pair
        Source and target.
    block
        Largest number of word pairs in a part.

    Raises
    ------
    InvalidInputError
        If there are not as many word pairs as samples.
    """
    if tensor.shape[2] != len(words):
        raise InvalidInputError(
            f"{path} holds {tensor.shape[2]} samples, and the word list {len(words)} word pairs",
            hint="Give the list that the probes were made from, in its order.",
        )
    first = {word: sample for sample, word in reversed(list(enumerate(words)))}
    for part in split_words(words, pair=pair, block=block):
        samples = [first[word] for word in part.records]
        layers = tuple(
            np.ascontiguousarray(layer[:, samples], dtype=np.float32) for layer in tensor
        )
        yield part, ProbeBlock(part.records, layers, len(part.records))


def probe_tensor(saved: Saved, path: Path) -> NDArray[Any]:
    """Return what an ``activation_value_*.pt`` file holds: float (layer, neuron, sample).

    Raises
    ------
    InvalidInputError
        If the file has another layout.
    """
    if isinstance(saved, dict) or saved.ndim != 3 or saved.dtype.kind != "f" or not saved.size:  # noqa: PLR2004
        there = _names(saved) if isinstance(saved, dict) else f"{saved.dtype} of {saved.shape}"
        raise InvalidInputError(
            f"expected one float tensor (layer, neuron, sample) in {path}, as "
            f"activation_value_*.pt files hold; found {there}",
            hint="activation.* files are statistics: give them with --statistics.",
        )
    return saved


def read_word_pairs(path: Path) -> tuple[WordPair, ...]:
    """Read the word pair of every sample: ``source target`` on every line that is not blank.

    Raises
    ------
    NotFoundError
        There is no such file.
    InvalidInputError
        A line has another number of words.
    """
    pairs = []
    for line in open_text(path, format="text"):
        words = line.split()
        if len(words) != 2:  # noqa: PLR2004  source and target
            raise InvalidInputError(
                f"expected a source and a target word on every line of {path}, got {line!r}"
            )
        pairs.append(WordPair(words[0], (words[1],)))
    return tuple(pairs)


def _token_count(n: NDArray[Any], path: Path) -> int:
    if n.size != 1 or n.dtype.kind not in "iu" or n.item() < 1:
        raise InvalidInputError(f"expected n in {path} to be a number of tokens, got {n!r}")
    return int(n.item())


def _check_counts(counts: NDArray[Any], tokens: int, path: Path) -> None:
    if counts.ndim != 2 or not counts.size or counts.dtype.kind not in "iu":  # noqa: PLR2004
        raise InvalidInputError(
            f"expected over_zero in {path} as whole numbers (layer, neuron), got {counts.dtype} "
            f"of shape {counts.shape}"
        )
    outside = (counts < 0) | (counts > tokens)
    if outside.any():
        layer, neuron = np.argwhere(outside)[0]
        raise InvalidInputError(
            f"over_zero in {path} is {counts[layer, neuron]} at neuron {neuron} of layer {layer}, "
            f"outside 0 to n, {tokens}"
        )


def _check_sums(name: str, sums: NDArray[Any], shape: tuple[int, ...], path: Path) -> None:
    if sums.shape != shape or sums.dtype.kind != "f":
        raise InvalidInputError(
            f"expected {name} in {path} as floats of shape {shape}, as over_zero has, got "
            f"{sums.dtype} of shape {sums.shape}"
        )
    if not np.isfinite(sums).all():
        layer, neuron = np.argwhere(~np.isfinite(sums))[0]
        raise InvalidInputError(
            f"{name} in {path} is {sums[layer, neuron]} at neuron {neuron} of layer {layer}"
        )


def _content(statistics: NeuronStatistics, shape: tuple[int, ...]) -> str:
    """Return the record that stands for a file: it changes when a number in the file does."""
    digest = hashlib.sha256(repr((shape, statistics.token_count)).encode())
    for name, values in statistics.known().items():
        digest.update(name.encode())
        digest.update(values.astype(values.dtype.newbyteorder("<")).tobytes())
    return f"imported {digest.hexdigest()}"


def _names(saved: dict[str, NDArray[Any]]) -> str:
    return ", ".join(sorted(saved)) or "nothing"
