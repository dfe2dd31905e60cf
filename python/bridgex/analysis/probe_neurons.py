"""The neurons that a pair's probes need, so that all others need not be stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bridgex.analysis.bridge_sets import bridge_neurons, random_pools
from bridgex.analysis.rules import DEFAULT_PERCENT, Selection, set_size
from bridgex.analysis.spectrum_inputs import language_neurons
from bridgex.errors import InvalidInputError, NotFoundError
from bridgex.schema import ProbeForm

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bridgex.analysis.spectrum_options import SpectrumOptions
    from bridgex.schema import GoldFilter, Neurons, Pair, ProbeDtype
    from bridgex.store import Snapshot, Store


def top_neurons(
    snapshot: Snapshot, pair: Pair, *, percent: float = DEFAULT_PERCENT, dtype: ProbeDtype = "f32"
) -> ProbeForm:
    """Choose the neurons with which the default spectrum of a pair is computed.

    These are, in every layer, the top percent of every language by activation probability; the
    contrast set of every language as a candidate bridge of the pair; and the neurons that random
    sets of the same size are drawn from.

    Parameters
    ----------
    snapshot
        A view of a store with statistics of the pair's languages and of the candidates.
    pair
        Source and target codes.
    percent
        Size of a language's set in percent of a layer. Sets of any smaller percentage are made of
        the chosen neurons too.
    dtype
        Precision in which activations are to be stored.

    Raises
    ------
    NotFoundError
        When a language of the pair has no statistics.
    InvalidInputError
        When no other language has any, or the percentage is no neuron of a layer.

    Notes
    -----
    With n candidates these are at most 12 + 2n times as many neurons as the top percent; the more
    languages share, the fewer.
    """
    candidates = _candidates(snapshot, pair)
    neurons, statistics = language_neurons(snapshot, Selection(top_percent=percent))
    chosen: NDArray[np.bool_] = np.logical_or.reduce(neurons.masks)
    for code in candidates:
        chosen |= bridge_neurons("contrast", code, pair, neurons, statistics, percent=percent)
    sizes = [set_size(size, percent) for size in snapshot.provenance.layer_sizes]
    pools = random_pools(pair, neurons, statistics, layers=range(len(sizes)), sizes=sizes)
    for start, pool in zip(neurons.layer_offsets, pools, strict=False):
        chosen[start + pool] = True
    return ProbeForm(dtype, np.flatnonzero(chosen), percent, neurons.languages)


def probe_form(
    store: Store,
    pair: Pair,
    gold: GoldFilter,
    *,
    neurons: Neurons,
    percent: float | None,
    dtype: ProbeDtype,
) -> ProbeForm:
    """Return what the probes of a pair are to keep, as ``Store.decide_form`` takes it.

    Top neurons are chosen anew only where the store has not chosen any: a word list that grows
    keeps its neurons, whatever languages were added. ``top_neurons`` says what is raised.
    """
    if neurons == "all":
        return ProbeForm(dtype)
    percent = percent or DEFAULT_PERCENT
    stored = store.probe_form(pair, gold)
    if stored is not None:
        return ProbeForm(dtype, stored.neurons, percent, stored.languages)
    return top_neurons(store.snapshot(), pair, percent=percent, dtype=dtype)


def check_top_neurons(options: SpectrumOptions) -> None:
    """Refuse choices that need other neurons than ``top_neurons`` of the same percentage."""
    rule = options.selection
    if rule != Selection(top_percent=rule.top_percent) or (
        (options.bridge_percent or 0) > (rule.top_percent or 0)
    ):
        raise InvalidInputError(
            "probes of the top neurons serve sets by activation probability in every layer, and "
            "bridge sets that are not larger; other choices were given",
            hint="Keep all neurons, or leave the choice of neurons as it is by default.",
        )


def _candidates(snapshot: Snapshot, pair: Pair) -> list[str]:
    lacking = [code for code in pair if code not in snapshot.languages]
    if lacking:
        raise NotFoundError(
            f"the top neurons are chosen from statistics, and {', '.join(lacking)} "
            f"{'has' if len(lacking) == 1 else 'have'} none",
            hint="Ingest a corpus of each first: bridgex ingest corpus. Or keep all neurons.",
        )
    candidates = [code for code in snapshot.languages if code not in pair]
    if not candidates:
        raise InvalidInputError(
            f"the top neurons of {pair} are those of its candidate bridges too, and no other "
            "language has statistics",
            hint="Ingest a corpus of every candidate first: bridgex ingest corpus. Or keep all "
            "neurons.",
        )
    return candidates
