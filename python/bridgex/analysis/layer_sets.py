"""The neurons that enter a spectrum, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bridgex.analysis.rules import layer_slice

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from bridgex.analysis.selection import LanguageNeurons
    from bridgex.schema import Pair

MINIMUM_NEURONS = 5
"""A layer in which either set has fewer neurons than this is not estimable."""


@dataclass(frozen=True)
class LayerSets:
    """The neurons that enter in one layer, as ascending indices within the layer.

    ``members`` holds, for every candidate, positions in ``union``: the neurons of any candidate.
    """

    pair: NDArray[np.int64]
    union: NDArray[np.int64]
    members: list[NDArray[np.int64]]

    @property
    def shared(self) -> list[int]:
        """How many neurons of every candidate are the pair's too."""
        return [int(np.isin(self.union[one], self.pair).sum()) for one in self.members]

    def estimable(self) -> LayerSets:
        """Return the sets without those that are too small, and without neurons of these alone.

        A neuron of the union has a part in the bandwidth that is pooled over the layer.
        """
        nothing = np.empty(0, dtype=np.int64)
        if self.pair.size < MINIMUM_NEURONS:
            return LayerSets(nothing, nothing, [nothing for _ in self.members])
        large = [one if one.size >= MINIMUM_NEURONS else nothing for one in self.members]
        kept = np.unique(np.concatenate([nothing, *large]))
        return LayerSets(self.pair, self.union[kept], [np.searchsorted(kept, one) for one in large])


def choose_sets(
    neurons: LanguageNeurons,
    pair: Pair,
    of_bridges: Mapping[str, NDArray[np.bool_]],
    layers: Sequence[int],
) -> list[LayerSets]:
    """Return the sets of a pair and its candidates in some layers.

    Parameters
    ----------
    neurons
        The neurons of all languages; those that the pair's two share enter.
    pair
        Source and target.
    of_bridges
        Every candidate's neurons on the flat axis, bool (neuron,).
    layers
        Layer numbers.
    """
    of_pair = neurons.combined(pair)
    masks = np.array(list(of_bridges.values()))
    sets = []
    for layer in layers:
        span = layer_slice(neurons.layer_offsets, layer)
        union = np.flatnonzero(masks[:, span].any(axis=0))
        members = [np.flatnonzero(mask[span][union]) for mask in masks]
        sets.append(LayerSets(np.flatnonzero(of_pair[span]), union, members))
    return sets
