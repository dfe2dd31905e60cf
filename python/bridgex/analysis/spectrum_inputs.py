"""What a spectrum is computed from: read from a store once, and used for all that is asked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bridgex.analysis.bridge_sets import bridge_neurons
from bridgex.analysis.layer_sets import choose_sets
from bridgex.analysis.rules import check_layers
from bridgex.analysis.selection import select_neurons
from bridgex.analysis.spectrum_options import SpectrumOptions
from bridgex.errors import InvalidInputError, NotFoundError
from bridgex.schema import MINIMUM_SAMPLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from bridgex.analysis.layer_sets import LayerSets
    from bridgex.analysis.rules import Selection
    from bridgex.analysis.selection import LanguageNeurons
    from bridgex.schema import GoldFilter, NeuronStatistics, Pair
    from bridgex.store import Probes, Snapshot

    Rows = tuple[NDArray[np.float32], ...]


@dataclass(frozen=True)
class SpectrumInputs:
    """The neurons of a pair and its candidates, and their activations over the probes.

    Attributes
    ----------
    pair, bridges, layers, layer_count
        Source and target; the candidates; the layer numbers; the layers of the model.
    options
        The choices behind the sets and the scores.
    probes
        The samples.
    neurons, statistics
        The neurons of all languages of the store, and the statistics they were chosen from.
    sets
        The neurons of the pair and of every candidate, for every layer.
    pair_rows, bridge_rows
        For every layer the activations of the pair's neurons and of those that any candidate has,
        float32 (neuron, sample); without neurons where a set is too small to be estimated.
    members
        For every layer and candidate the rows of ``bridge_rows`` that are the candidate's.
    """

    pair: Pair
    bridges: tuple[str, ...]
    layers: tuple[int, ...]
    layer_count: int
    options: SpectrumOptions
    probes: Probes
    neurons: LanguageNeurons
    statistics: dict[str, NeuronStatistics]
    sets: tuple[LayerSets, ...]
    pair_rows: Rows
    bridge_rows: Rows
    members: tuple[list[NDArray[np.int64]], ...]

    def within(self, layers: Sequence[int]) -> SpectrumInputs:
        """Return those of some of the layers."""
        kept = [self.layers.index(layer) for layer in layers]
        return replace(
            self,
            layers=tuple(layers),
            sets=tuple(self.sets[i] for i in kept),
            pair_rows=tuple(self.pair_rows[i] for i in kept),
            bridge_rows=tuple(self.bridge_rows[i] for i in kept),
            members=tuple(self.members[i] for i in kept),
        )


def language_neurons(
    snapshot: Snapshot, selection: Selection
) -> tuple[LanguageNeurons, dict[str, NeuronStatistics]]:
    """Choose the neurons of every language of a store; return the statistics too."""
    statistics = {code: snapshot.statistics(code) for code in snapshot.languages}
    neurons = select_neurons(statistics, snapshot.provenance.layer_offsets, selection)
    return neurons, statistics


def spectrum_inputs(
    snapshot: Snapshot,
    pair: Pair,
    *,
    bridges: Sequence[str] | None = None,
    layers: Sequence[int] | None = None,
    gold: GoldFilter | None = None,
    options: SpectrumOptions | None = None,
) -> SpectrumInputs:
    """Read what a spectrum is computed from. ``spectrum`` says what the parameters mean.

    Notes
    -----
    Memory: 4 bytes a sample for every neuron of the pair and of any candidate in the layers that
    are asked for, and the statistics of all languages of the store.
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
    used = [one.estimable() for one in sets]
    return SpectrumInputs(
        pair=pair,
        bridges=candidates,
        layers=chosen,
        layer_count=offsets.size - 1,
        options=options,
        probes=probes,
        neurons=neurons,
        statistics=statistics,
        sets=tuple(sets),
        pair_rows=tuple(probes.rows(i, one.pair) for i, one in zip(chosen, used, strict=True)),
        bridge_rows=tuple(probes.rows(i, one.union) for i, one in zip(chosen, used, strict=True)),
        members=tuple(one.members for one in used),
    )


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
