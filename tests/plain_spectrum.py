"""A spectrum recomputed with the plain definitions, from what a store holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bridgex.analysis import Selection, bridge_neurons, select_neurons
from bridgex.store import Store
from bridgex.testing import reference

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from bridgex.schema import Pair


def plain_spectrum(
    path: Path,
    pair: Pair,
    *,
    layer: int,
    top_percent: float = 1.0,
    estimator: reference.Estimator = "unbiased",
    bandwidth: str = "neuron",
) -> dict[str, float]:
    """Return the layer score of every candidate, all languages of the store but the pair's."""
    snapshot = Store.open(path).snapshot()
    offsets = snapshot.provenance.layer_offsets
    span = slice(offsets[layer], offsets[layer + 1])
    statistics = {code: snapshot.statistics(code) for code in snapshot.languages}
    neurons = select_neurons(statistics, offsets, Selection(top_percent=top_percent))
    rows = snapshot.probes(pair).layer(layer)
    shared = rows[(neurons.mask(pair.source) & neurons.mask(pair.target))[span]]
    masks = {
        code: bridge_neurons("contrast", code, pair, neurons, statistics)[span]
        for code in snapshot.languages
        if code not in pair
    }
    union = rows[np.any(list(masks.values()), axis=0)]
    width = _bandwidth(bandwidth, np.concatenate([shared, union]))
    return {
        code: reference.layer_score(
            reference.dependence_matrix(shared, rows[mask], estimator=estimator, bandwidth=width)
        )
        for code, mask in masks.items()
    }


def _bandwidth(bandwidth: str, rows: NDArray[np.float32]) -> str | float:
    """Return the rule, or the width where it is pooled over all candidates or given."""
    if bandwidth == "layer":
        return reference.layer_bandwidth(reference.standardise(rows))
    return bandwidth if bandwidth in ("neuron", "reference") else float(bandwidth)
