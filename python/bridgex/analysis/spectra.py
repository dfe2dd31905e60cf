"""The linguistic spectrum of a pair: a score for every layer and candidate bridge.

The score is the dependence between the probe activations of the pair's overlap neurons and those
of the candidate's neurons.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bridgex.analysis.arrays import Reason, spectrum_scores
from bridgex.analysis.bridge_sets import bridge_neurons
from bridgex.analysis.layer_sets import MINIMUM_NEURONS, choose_sets
from bridgex.analysis.rules import check_layers
from bridgex.analysis.selection import select_neurons
from bridgex.analysis.spectrum_options import SpectrumOptions
from bridgex.errors import InvalidInputError, NotFoundError
from bridgex.schema import MINIMUM_SAMPLES, Pair

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bridgex.analysis.arrays import SpectrumScores
    from bridgex.analysis.layer_sets import LayerSets
    from bridgex.analysis.rules import Selection
    from bridgex.analysis.selection import LanguageNeurons, SetReport
    from bridgex.schema import GoldFilter, NeuronStatistics, Pair
    from bridgex.store import Probes, Snapshot


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


def language_neurons(
    snapshot: Snapshot, selection: Selection
) -> tuple[LanguageNeurons, dict[str, NeuronStatistics]]:
    """Choose the neurons of every language of a store; return the statistics too."""
    statistics = {code: snapshot.statistics(code) for code in snapshot.languages}
    neurons = select_neurons(statistics, snapshot.provenance.layer_offsets, selection)
    return neurons, statistics


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
    options = options or SpectrumOptions()
    offsets = snapshot.provenance.layer_offsets
    chosen = check_layers(layers, offsets.size - 1)
    candidates = _check_bridges(bridges, pair, snapshot.languages)
    probes = _choose_probes(snapshot, pair, gold)
    neurons, statistics = language_neurons(snapshot, options.selection)
    of_bridges = {
        code: bridge_neurons(
            options.bridge_set, code, pair, neurons, statistics, percent=options.bridge_percent
        )
        for code in candidates
    }
    sets = choose_sets(neurons, pair, of_bridges, chosen)
    scores = _score(probes, chosen, sets, options, threads)
    return Spectrum(
        pair=pair,
        bridges=candidates,
        layers=chosen,
        layer_count=offsets.size - 1,
        score=scores.score,
        reason=_reasons(sets, scores),
        pair_counts=np.array([one.pair.size for one in sets]),
        bridge_counts=np.array([[member.size for member in one.members] for one in sets]),
        shared_counts=np.array([one.shared for one in sets]),
        error_bound=scores.error_bound,
        sample_count=probes.sample_count,
        considered=probes.considered,
        gold=probes.gold,
        sets=neurons.only((*pair, *candidates)).report,
        options=options,
    )


def _score(
    probes: Probes,
    layers: Sequence[int],
    sets: Sequence[LayerSets],
    options: SpectrumOptions,
    threads: int | None,
) -> SpectrumScores:
    used = [one.estimable() for one in sets]
    return spectrum_scores(
        [probes.rows(layer, one.pair) for layer, one in zip(layers, used, strict=True)],
        [probes.rows(layer, one.union) for layer, one in zip(layers, used, strict=True)],
        [one.members for one in used],
        estimator=options.estimator,
        normalize=options.normalize,
        threads=threads,
        **options.kernel,
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


def _choose_probes(snapshot: Snapshot, pair: Pair, gold: GoldFilter | None) -> Probes:
    probes = snapshot.probes(pair, gold)
    if probes.sample_count >= MINIMUM_SAMPLES:
        return probes
    if gold is None and probes.gold == "keep":
        try:
            return _choose_probes(snapshot, pair, "off")
        except NotFoundError:
            pass  # the store has no others, and the message below says what to do
    of = f" of {probes.considered} words" if probes.gold == "keep" else ""
    raise InvalidInputError(
        f"{pair} has {probes.sample_count} probes{of}, and {MINIMUM_SAMPLES} are needed",
        hint="Ingest probes of a larger lexicon, or of all words with --gold off.",
    )


def _check_bridges(
    bridges: Sequence[str] | None, pair: Pair, languages: Sequence[str]
) -> tuple[str, ...]:
    chosen = tuple([code for code in languages if code not in pair] if bridges is None else bridges)
    of_pair = [code for code in chosen if code in pair]
    if of_pair:
        raise InvalidInputError(
            f"{of_pair[0]!r} is of the pair {pair} and cannot be its bridge",
            hint="Name other candidates.",
        )
    if not chosen:
        raise InvalidInputError(
            f"there is no candidate for {pair}: the store has statistics of "
            f"{', '.join(languages) or 'no language'}",
            hint="Ingest a corpus of another language.",
        )
    absent = [code for code in (*pair, *chosen) if code not in languages]
    if absent:
        raise NotFoundError(
            f"no statistics of {', '.join(absent)}; the store has {', '.join(languages)}",
            hint="Ingest a corpus of each with: bridgex ingest corpus.",
        )
    return chosen
