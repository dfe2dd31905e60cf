"""The linguistic spectrum of a pair: a score for every layer and candidate bridge.

The score is the dependence between the probe activations of the pair's overlap neurons and those
of the candidate's neurons.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bridgex.analysis.arrays import Reason, spectrum_scores
from bridgex.analysis.layer_sets import MINIMUM_NEURONS
from bridgex.analysis.spectrum_inputs import spectrum_inputs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bridgex.analysis.arrays import SpectrumScores
    from bridgex.analysis.layer_sets import LayerSets
    from bridgex.analysis.selection import SetReport
    from bridgex.analysis.spectrum_inputs import SpectrumInputs
    from bridgex.analysis.spectrum_options import SpectrumOptions
    from bridgex.schema import GoldFilter, Pair
    from bridgex.store import Snapshot


@dataclass(frozen=True)
class Spectrum:
    """Layer by candidate table of dependence scores for one pair.

    Attributes
    ----------
    pair
        Source and target.
    bridges
        Candidates, in the order of the columns.
    layers
        Layer numbers, in the order of the rows.
    layer_count
        Number of layers of the model.
    score
        Layer scores, float64 (layer, bridge); NaN where not estimable.
    reason
        Why a cell is not estimable, by row and column; empty where it is.
    pair_counts
        Neurons of the pair that entered, int64 (layer,).
    bridge_counts, shared_counts
        Neurons of the candidate that entered, and how many of them the pair has too,
        int64 (layer, bridge). A shared neuron depends on itself perfectly.
    error_bound
        Largest error of the low-rank computation in a layer, float64 (layer,).
    sample_count, considered, gold
        Probe samples used, word pairs looked at, and the gold filter that chose between them.
    sets
        Sizes and saturation of the sets of the pair's languages and of the candidates.
    options
        The choices behind the scores.
    """

    pair: Pair
    bridges: tuple[str, ...]
    layers: tuple[int, ...]
    layer_count: int
    score: NDArray[np.float64]
    reason: tuple[tuple[str, ...], ...]
    pair_counts: NDArray[np.int64]
    bridge_counts: NDArray[np.int64]
    shared_counts: NDArray[np.int64]
    error_bound: NDArray[np.float64]
    sample_count: int
    considered: int
    gold: GoldFilter
    sets: SetReport
    options: SpectrumOptions


def middle_layers(layer_count: int) -> range:
    """Return the middle third of the layers: 10 to 21 of 32, as published.

    >>> middle_layers(32)
    range(10, 22)
    """
    return range(layer_count // 3, -(-2 * layer_count // 3))


def spectrum(
    snapshot: Snapshot,
    pair: Pair,
    *,
    bridges: Sequence[str] | None = None,
    layers: Sequence[int] | None = None,
    gold: GoldFilter | None = None,
    options: SpectrumOptions | None = None,
    threads: int | None = None,
) -> Spectrum:
    """Compute the spectrum of a pair from a store.

    Parameters
    ----------
    snapshot
        A view of a store with statistics of all languages involved and probes of the pair.
    pair
        Source and target codes.
    bridges
        Candidate codes; by default every language of the store but the pair's.
    layers
        Layer numbers; by default all.
    gold
        Which probes to use where the store has both kinds; by default those with the gold filter,
        or all words where these are too few.
    options
        The choices behind the scores; by default the defaults.
    threads
        Worker threads; by default as many as the machine has.

    Raises
    ------
    NotFoundError
        When the store lacks the pair, or the statistics of a language.
    InvalidInputError
        When there are fewer than 32 samples, a candidate belongs to the pair, or a layer lies
        outside the model.

    References
    ----------
    Xu et al., "BridgeX-ICL", EMNLP 2025, arXiv 2508.17078.
    """
    inputs = spectrum_inputs(
        snapshot, pair, bridges=bridges, layers=layers, gold=gold, options=options
    )
    return spectrum_of(inputs, threads=threads)


def spectrum_of(inputs: SpectrumInputs, *, threads: int | None = None) -> Spectrum:
    """Compute the spectrum of what was read from a store."""
    options, sets = inputs.options, inputs.sets
    scores = spectrum_scores(
        inputs.pair_rows,
        inputs.bridge_rows,
        inputs.members,
        estimator=options.estimator,
        normalize=options.normalize,
        threads=threads,
        **options.kernel,
    )
    return Spectrum(
        pair=inputs.pair,
        bridges=inputs.bridges,
        layers=inputs.layers,
        layer_count=inputs.layer_count,
        score=scores.score,
        reason=_reasons(sets, scores),
        pair_counts=np.array([one.pair.size for one in sets]),
        bridge_counts=np.array([[member.size for member in one.members] for one in sets]),
        shared_counts=np.array([one.shared for one in sets]),
        error_bound=scores.error_bound,
        sample_count=inputs.probes.sample_count,
        considered=inputs.probes.considered,
        gold=inputs.probes.gold,
        sets=inputs.neurons.only((*inputs.pair, *inputs.bridges)).report,
        options=options,
    )


def _reasons(sets: Sequence[LayerSets], scores: SpectrumScores) -> tuple[tuple[str, ...], ...]:
    return tuple(
        tuple(
            _reason(one.pair.size, member.size, Reason(code))
            for member, code in zip(one.members, codes, strict=True)
        )
        for one, codes in zip(sets, scores.reason, strict=True)
    )


def _reason(pair_size: int, bridge_size: int, code: Reason) -> str:
    """Say why a cell is not estimable; nothing where it is."""
    if code == Reason.ESTIMABLE:
        return ""
    if pair_size < MINIMUM_NEURONS:
        return f"the pair shares fewer than {MINIMUM_NEURONS} neurons"
    if bridge_size < MINIMUM_NEURONS:
        return f"the candidate has fewer than {MINIMUM_NEURONS} neurons"
    if code == Reason.NO_BANDWIDTH:
        return "the rows have no distance from each other"
    return "no neuron of a set varies enough over the probes"
