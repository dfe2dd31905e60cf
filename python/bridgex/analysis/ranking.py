"""Which candidate is the best bridge, by its mean score over the middle layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bridgex.analysis.spectra import middle_layers
from bridgex.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bridgex.analysis.spectra import Spectrum
    from bridgex.schema import Pair


@dataclass(frozen=True)
class Ranking:
    """The candidates of a pair, best first; those that cannot be scored come last.

    Attributes
    ----------
    pair
        Source and target.
    bridges
        Candidate codes, best first.
    score
        Mean layer score, float64 (bridge,); NaN where no layer is estimable.
    estimable_layers
        Layers that entered the mean, int64 (bridge,).
    layers
        Layer numbers that were asked for.
    """

    pair: Pair
    bridges: tuple[str, ...]
    score: NDArray[np.float64]
    estimable_layers: NDArray[np.int64]
    layers: tuple[int, ...]

    @property
    def best(self) -> str | None:
        """The recommended bridge; None where no candidate can be scored."""
        return self.bridges[0] if np.isfinite(self.score[0]) else None


def rank_bridges(spectrum: Spectrum, *, layers: Sequence[int] | None = None) -> Ranking:
    """Rank the candidates of a spectrum by their mean score over layers.

    Parameters
    ----------
    spectrum
        Scores by layer and candidate.
    layers
        Layer numbers to average over; by default the middle third of the model.

    Notes
    -----
    Layers that are not estimable for a candidate are left out of its mean and counted; equal
    scores keep the order in which the candidates were given.

    Raises
    ------
    InvalidInputError
        When the spectrum lacks a layer that is asked for.

    References
    ----------
    Xu et al., "BridgeX-ICL", EMNLP 2025, arXiv 2508.17078.
    """
    wanted = tuple(middle_layers(spectrum.layer_count) if layers is None else layers)
    missing = [layer for layer in wanted if layer not in spectrum.layers]
    if missing:
        raise InvalidInputError(f"the spectrum has no layers {missing}; it has {spectrum.layers}")
    rows = spectrum.score[[spectrum.layers.index(layer) for layer in wanted]]
    counts = np.isfinite(rows).sum(axis=0)
    total = np.nansum(rows, axis=0)
    score = np.divide(total, counts, out=np.full(counts.shape, np.nan), where=counts > 0)
    order = np.argsort(-score, kind="stable")
    return Ranking(
        pair=spectrum.pair,
        bridges=tuple(spectrum.bridges[i] for i in order),
        score=score[order],
        estimable_layers=counts[order],
        layers=wanted,
    )
