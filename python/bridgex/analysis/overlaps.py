"""How many neurons the languages share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bridgex.analysis.arrays import overlap_counts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bridgex.analysis.selection import LanguageNeurons


@dataclass(frozen=True)
class Overlap:
    """Sizes of the intersections of all pairs of languages.

    Attributes
    ----------
    languages
        Language codes, in the order of the axes.
    counts
        Shared neurons, int64 (language, language); the diagonal holds the sizes of the sets.
    layer_counts
        The same in every layer, int64 (layer, language, language).
    """

    languages: tuple[str, ...]
    counts: NDArray[np.int64]
    layer_counts: NDArray[np.int64]

    @property
    def jaccard(self) -> NDArray[np.float64]:
        """Intersection over union, float64 (language, language); NaN for two empty sets."""
        return jaccard(self.counts)


def jaccard(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return intersection over union from intersections, (language, language) both.

    The diagonal holds the sizes of the sets. NaN for two empty sets.
    """
    sizes = np.diagonal(counts)
    union = sizes[:, None] + sizes[None, :] - counts
    nothing = np.full(union.shape, np.nan)
    result: NDArray[np.float64] = np.divide(counts, union, out=nothing, where=union > 0)
    return result


def overlap(neurons: LanguageNeurons) -> Overlap:
    """Count the neurons that every two languages share, overall and by layer.

    Parameters
    ----------
    neurons
        The languages' neurons.

    Notes
    -----
    Cost is languages squared times neurons / 64 words, in Rust; memory for a million neurons and
    a hundred languages is 13 MB of bits.

    References
    ----------
    Xu et al., "BridgeX-ICL", EMNLP 2025, arXiv 2508.17078.
    """
    layer_counts = overlap_counts(neurons.bitsets, neurons.layer_offsets).astype(np.int64)
    return Overlap(
        languages=neurons.languages,
        counts=layer_counts.sum(axis=0),
        layer_counts=layer_counts,
    )
