"""How many neurons the languages share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bridgex.analysis.arrays import overlap_counts, unpack
from bridgex.analysis.sets import combinations

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
        """Intersection over union: see ``jaccard``."""
        return jaccard(self.counts)

    @property
    def overlap_coefficient(self) -> NDArray[np.float64]:
        """Intersection over the smaller set: see ``overlap_coefficient``."""
        return overlap_coefficient(self.counts)

    @property
    def containment(self) -> NDArray[np.float64]:
        """Share of the row's set that is in the column's: see ``containment``."""
        return containment(self.counts)


@dataclass(frozen=True)
class Combination:
    """Neurons that all of some languages have, and no other language.

    Attributes
    ----------
    languages
        Language codes.
    count
        How many neurons.
    """

    languages: tuple[str, ...]
    count: int


def jaccard(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return intersection over union, |A ∩ B| / |A ∪ B|, float64 (..., language, language).

    Parameters
    ----------
    counts
        Sizes of the intersections, (..., language, language); sizes of the sets on the diagonal.

    Returns
    -------
    Symmetric; NaN for two empty sets.
    """
    first, second = _sizes(counts)
    return _ratio(counts, first + second - counts)


def overlap_coefficient(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return |A ∩ B| / min(|A|, |B|), float64 (..., language, language).

    Parameters
    ----------
    counts
        Sizes of the intersections, (..., language, language); sizes of the sets on the diagonal.

    Returns
    -------
    Symmetric; 1 where one set contains the other, NaN where either is empty.

    References
    ----------
    Szymkiewicz 1934; Simpson 1943.
    """
    return _ratio(counts, np.minimum(*_sizes(counts)))


def containment(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return |A ∩ B| / |A|, float64 (..., A, B): the share of the row's set in the column's.

    Parameters
    ----------
    counts
        Sizes of the intersections, (..., language, language); sizes of the sets on the diagonal.

    Returns
    -------
    Not symmetric; NaN where the row's set is empty.
    """
    return _ratio(counts, _sizes(counts)[0])


def overlap(neurons: LanguageNeurons, *, threads: int | None = None) -> Overlap:
    """Count the neurons that every two languages share, overall and by layer.

    Parameters
    ----------
    neurons
        The languages' neurons.
    threads
        As in ``overlap_counts``.

    Notes
    -----
    See ``overlap_counts`` for the cost; memory for a million neurons and a hundred languages is
    13 MB of bits.

    References
    ----------
    Xu et al., "BridgeX-ICL", EMNLP 2025, arXiv 2508.17078.
    """
    found = overlap_counts(neurons.bitsets, neurons.layer_offsets, threads=threads)
    layer_counts = found.astype(np.int64)
    return Overlap(
        languages=neurons.languages,
        counts=layer_counts.sum(axis=0),
        layer_counts=layer_counts,
    )


def language_combinations(neurons: LanguageNeurons) -> list[Combination]:
    """Count the neurons of every combination of languages that has any, the most first.

    Every neuron of any language is in exactly one: that of all languages that have it. These are
    the bars of an UpSet plot. Of equal counts fewer languages come first, then the languages'
    order.

    Parameters
    ----------
    neurons
        The languages' neurons.

    Notes
    -----
    See ``combinations``, which does the same for bitsets, for the cost.

    References
    ----------
    Lex et al. 2014, "UpSet: Visualization of intersecting sets".
    """
    found = combinations(neurons.bitsets)
    codes = neurons.languages
    return [
        Combination(tuple(codes[row] for row in unpack(members, len(codes))), count)
        for members, count in zip(found.members, found.counts.tolist(), strict=True)
    ]


def _sizes(counts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the sizes of the row's and of the column's set, both (..., language, language)."""
    sizes = np.diagonal(counts, axis1=-2, axis2=-1)
    rows, columns = np.broadcast_arrays(sizes[..., :, None], sizes[..., None, :])
    return rows, columns


def _ratio(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    nothing = np.full(whole.shape, np.nan)
    result: NDArray[np.float64] = np.divide(part, whole, out=nothing, where=whole > 0)
    return result
