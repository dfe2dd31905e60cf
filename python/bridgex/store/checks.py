"""Checks of what is to be stored: nothing that contradicts itself gets in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bridgex.errors import InvalidInputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bridgex.corpora import CorpusPart, WordPart
    from bridgex.schema import NeuronStatistics, ProbeBlock, ProbeForm, Provenance

_DTYPES: dict[str, type[np.generic]] = {
    "positive_count": np.int64,
    "sum": np.float64,
    "sum_squares": np.float64,
    "maximum": np.float32,
}


def check_statistics(
    part: CorpusPart, statistics: NeuronStatistics, provenance: Provenance
) -> None:
    """Refuse statistics that are not those of a part.

    Raises
    ------
    InvalidInputError
        If a shape, a dtype or a count is wrong, or a value is not finite.
    """
    if statistics.record_count != len(part.records):
        raise InvalidInputError(
            f"the part has {len(part.records)} records, its statistics have "
            f"{statistics.record_count}"
        )
    check_sums(statistics, provenance)


def check_sums(statistics: NeuronStatistics, provenance: Provenance) -> None:
    """Refuse statistics that no text has.

    Raises
    ------
    InvalidInputError
        If a shape, a dtype or a count is wrong, or a value is not finite.
    """
    _check_routed(statistics, provenance)
    for name, dtype in _DTYPES.items():
        values = getattr(statistics, name)
        _check_array(name, values, (provenance.neuron_count,), dtype)
        if provenance.imported and name in statistics.unknown:
            continue
        if name == "maximum":  # minus infinity where there is nothing to be the largest
            values = np.where(statistics.seen > 0, values, 0)
        _check_finite(name, values, provenance.layer_offsets)
    counts = statistics.positive_count
    if counts.min(initial=0) < 0 or (counts > statistics.seen).any():
        raise InvalidInputError(
            f"positive counts lie between {counts.min()} and {counts.max()}, outside 0 to the "
            f"number of tokens, {statistics.seen.max(initial=0)}"
        )


def _check_routed(statistics: NeuronStatistics, provenance: Provenance) -> None:
    """Refuse denominators that no routing gives."""
    routed = statistics.routed_count
    if (routed is None) != (not provenance.experts):
        have, need = ("no", "experts") if routed is None else ("a", "no experts")
        raise InvalidInputError(f"the statistics have {have} routed_count, the model has {need}")
    if routed is None:
        return
    _check_array("routed_count", routed, (provenance.neuron_count,), np.int64)
    if routed.min(initial=0) < 0 or routed.max(initial=0) > statistics.token_count:
        raise InvalidInputError(
            f"routed counts lie between {routed.min()} and {routed.max()}, outside 0 to the number "
            f"of tokens, {statistics.token_count}"
        )
    layers = np.split(routed, provenance.layer_offsets[1:-1])
    for layer, (experts, counts) in enumerate(zip(provenance.experts, layers, strict=True)):
        own = counts[: experts.neuron_count].reshape(experts.expert_count, experts.width)
        if (own != own[:, :1]).any() or (counts[own.size :] != statistics.token_count).any():
            raise InvalidInputError(
                f"routed counts of layer {layer} differ between neurons of one expert, or between "
                "the tokens and a neuron that every token passes"
            )


def check_probes(
    part: WordPart, block: ProbeBlock, provenance: Provenance, form: ProbeForm
) -> None:
    """Refuse probe activations that are not those of a part, of the neurons that are kept.

    Raises
    ------
    InvalidInputError
        If a shape, a dtype or a count is wrong, a value is not finite, or the words are not word
        pairs of the part in its order.
    """
    if block.considered != len(part.records):
        raise InvalidInputError(
            f"the part has {len(part.records)} word pairs, {block.considered} were considered"
        )
    remaining = iter(part.records)
    for word in block.words:
        if word not in remaining:
            raise InvalidInputError(
                f"the sample {word.source!r} is not a word pair of the part, in its order, once"
            )
    kept = form.layer_neurons(provenance.layer_sizes)
    sizes = form.row_counts(provenance.layer_sizes)
    if len(block.activations) != len(sizes):
        raise InvalidInputError(
            f"expected activations of {len(sizes)} layers, got {len(block.activations)}"
        )
    for layer, (size, values) in enumerate(zip(sizes, block.activations, strict=True)):
        name = f"activations of layer {layer}"
        _check_array(name, values, (size, block.sample_count), np.float32)
        if not np.isfinite(values).all():
            row, sample = np.argwhere(~np.isfinite(values))[0]
            neuron = row if kept is None else kept[layer][row]
            raise InvalidInputError(
                f"{name} hold {values[row, sample]} at neuron {neuron}, sample {sample} "
                f"({block.words[sample].source!r})",
                hint="Run the model in float32 or bfloat16: float16 overflows at 65,504.",
            )


def _check_array(
    name: str, values: NDArray[Any], shape: tuple[int, ...], dtype: type[np.generic]
) -> None:
    if values.shape != shape or values.dtype != dtype:
        raise InvalidInputError(
            f"expected {name} as {np.dtype(dtype)} of shape {shape}, got {values.dtype} of shape "
            f"{values.shape}"
        )


def _check_finite(name: str, values: NDArray[Any], offsets: NDArray[np.int64]) -> None:
    finite = np.isfinite(values)
    if finite.all():
        return
    neuron = int(np.argmin(finite))
    layer = int(np.searchsorted(offsets, neuron, side="right")) - 1
    raise InvalidInputError(
        f"the statistic {name} is {values[neuron]} at neuron {neuron - offsets[layer]} of layer "
        f"{layer}",
        hint="Run the model in float32 or bfloat16: float16 overflows at 65,504.",
    )
