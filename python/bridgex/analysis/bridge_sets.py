"""The neurons with which a candidate enters the spectrum of a pair, and random ones beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from bridgex.analysis.arrays import top_k, unpack
from bridgex.analysis.evidence import compared_odds, most_active, probability
from bridgex.analysis.rules import DEFAULT_PERCENT, check_percent, layer_slice, set_size
from bridgex.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from bridgex.analysis.selection import LanguageNeurons
    from bridgex.schema import NeuronStatistics

BridgeSet = Literal["contrast", "specific", "all"]


def bridge_neurons(
    bridge_set: BridgeSet,
    language: str,
    pair: tuple[str, str],
    neurons: LanguageNeurons,
    statistics: Mapping[str, NeuronStatistics],
    *,
    percent: float | None = None,
) -> NDArray[np.bool_]:
    """Choose the neurons with which a candidate enters the spectrum of a pair.

    Parameters
    ----------
    bridge_set
        ``contrast``: in every layer so many ``percent`` by how much the candidate's log-odds exceed
        those of both languages of the pair, outside the neurons of either; the same number for
        every candidate, or all that the three languages reach where they are fewer. ``specific``:
        the candidate's neurons without those of the pair's languages, as published. ``all``: the
        candidate's neurons.
    language
        Code of the candidate.
    pair
        Codes of source and target.
    neurons
        The neurons of all languages.
    statistics
        The statistics they were chosen from.
    percent
        Of ``contrast``: the size of the set in percent of a layer; by default the top percent of
        the languages' neurons, or 1 where their rule has none.

    Returns
    -------
    Membership on the flat neuron axis, bool (neuron,).

    Raises
    ------
    NotFoundError
        When a language has no neurons in ``neurons``.
    InvalidInputError
        When the percentage is no neuron of a layer, or does not lie between 0 and 100.
    """
    own = neurons.mask(language)
    of_pair = neurons.mask(pair[0]) | neurons.mask(pair[1])
    if bridge_set == "all":
        return own
    if bridge_set == "specific":
        return own & ~of_pair
    if percent is None:
        percent = neurons.selection.top_percent or DEFAULT_PERCENT
    check_percent(percent, "percent")
    odds = compared_odds(statistics[code] for code in (language, *pair))
    known = np.isfinite(odds).all(axis=0)
    excess = np.subtract(odds[0], odds[1:].max(axis=0), out=np.zeros(own.size), where=known)
    mean = statistics[language].mean
    mask = np.zeros_like(own)
    for layer in range(neurons.layer_offsets.size - 1):
        span = layer_slice(neurons.layer_offsets, layer)
        free = np.flatnonzero((known & ~of_pair)[span]) + span.start
        k = min(set_size(span.stop - span.start, percent), free.size)
        mask[free[unpack(top_k(excess[free], k, mean[free]), free.size)]] = True
    return mask


def random_bridge_sets(
    pair: tuple[str, str],
    neurons: LanguageNeurons,
    statistics: Mapping[str, NeuronStatistics],
    *,
    layers: Sequence[int],
    sizes: Sequence[int],
    count: int,
    seed: int = 0,
) -> list[NDArray[np.int64]]:
    """Draw random sets that could have been a candidate's, from the most active neurons.

    A candidate's score means little until it is seen beside that of sets of the same size in the
    same layers that belong to no language. These come from the 10 times ``size`` neurons of a
    layer with the largest activation probability, averaged over all languages given with the same
    weight (of equal ones the lower index; 0 for a language that does not reach it), outside the
    neurons of both languages of the pair; from all that are outside where they are fewer.

    Parameters
    ----------
    pair
        Codes of source and target.
    neurons
        The neurons of all languages.
    statistics
        The statistics they were chosen from.
    layers
        Layer numbers.
    sizes
        Neurons in a set, for every layer of ``layers``.
    count
        Number of sets for every layer.
    seed
        The sets of a layer are a function of the seed and the layer's number; those of a smaller
        ``count`` are the first of a larger one.

    Returns
    -------
    For every layer of ``layers`` the sets as ascending indices within the layer, int64
    (count, size).

    Raises
    ------
    InvalidInputError
        When fewer than ``size`` neurons of a layer are outside the pair's, or ``layers`` and
        ``sizes`` differ in number.

    Notes
    -----
    Cost: a partial sort of every layer, and ``count`` draws of ``size`` numbers.
    """
    if len(layers) != len(sizes):
        raise InvalidInputError(
            f"every layer needs one size: {len(layers)} layers and {len(sizes)} sizes came"
        )
    drawn = []
    pools = random_pools(pair, neurons, statistics, layers=layers, sizes=sizes)
    for layer, size, pool in zip(layers, sizes, pools, strict=True):
        if size > pool.size:
            raise InvalidInputError(
                f"sets of {size} neurons cannot be drawn in layer {layer}: {pool.size} are outside "
                "those of the pair"
            )
        drawn.append(_draws(np.random.default_rng([seed, layer]), pool, size, count))
    return drawn


def random_pools(
    pair: tuple[str, str],
    neurons: LanguageNeurons,
    statistics: Mapping[str, NeuronStatistics],
    *,
    layers: Sequence[int],
    sizes: Sequence[int],
) -> list[NDArray[np.int64]]:
    """Return what ``random_bridge_sets`` draws from: ascending indices within every layer.

    The pool of smaller sets is part of that of larger ones.
    """
    of_pair = neurons.mask(pair[0]) | neurons.mask(pair[1])
    activity = np.mean([probability(one) for one in statistics.values()], axis=0)
    pools = []
    for layer, size in zip(layers, sizes, strict=True):
        span = layer_slice(neurons.layer_offsets, layer)
        free = np.flatnonzero(~of_pair[span])
        pools.append(free[most_active(activity[span][free], size)])
    return pools


def _draws(
    rng: np.random.Generator, pool: NDArray[np.int64], size: int, count: int
) -> NDArray[np.int64]:
    sets = np.empty((count, size), dtype=np.int64)
    for number in range(count):
        sets[number] = np.sort(rng.choice(pool, size, replace=False))
    return sets
