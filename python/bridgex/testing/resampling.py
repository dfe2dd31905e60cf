"""Scores of permuted and of halved samples, as their definitions read.

What is resampled are words. A word may have several probes (columns); they stay together.
Kernels are functions of two samples, so permuting samples permutes a kernel's rows and columns,
and leaving samples out leaves rows and columns out: the rows are standardised and the kernel
widths are chosen once, from all samples, and never again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bridgex.testing import reference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from bridgex.testing.reference import Estimator, Matrix, Normalize

    Prepared = tuple[Matrix, Matrix, tuple[Matrix, Matrix]]


@dataclass(frozen=True)
class Layer:
    """The rows of one layer.

    Attributes
    ----------
    pair
        Rows of the pair's neurons, float64 (n1, sample).
    union
        Rows of the neurons of any candidate, float64 (n2, sample).
    members
        For every candidate, which rows of ``union`` are its own, int64 (own,).
    """

    pair: Matrix
    union: Matrix
    members: tuple[NDArray[np.int64], ...]


def word_permutations(groups: ArrayLike, count: int, *, seed: int = 0) -> NDArray[np.int64]:
    """Return random permutations of samples that keep the probes of a word together.

    Parameters
    ----------
    groups
        Label of every sample's word, (sample,). Samples with the same label are one word's, in
        the same order of prompts for every word.
    count
        Number of permutations.
    seed
        Seed of the draws.

    Returns
    -------
    int64 (count, sample): ``rows[:, permutation]`` are permuted rows. Words change places with
    words that have as many probes, so a word that is alone with its number stays.
    """
    words = _samples_of_words(groups)
    rng = np.random.default_rng([seed, 0])
    result = np.empty((count, len(np.asarray(groups))), dtype=np.int64)
    for permutation in result:
        for size in sorted({word.size for word in words}):
            alike = [word for word in words if word.size == size]
            for to, source in enumerate(rng.permutation(len(alike))):
                permutation[alike[to]] = alike[source]
    return result


def word_halves(groups: ArrayLike, count: int, *, seed: int = 0) -> NDArray[np.bool_]:
    """Return which samples are in random halves of the words, bool (count, sample).

    A half has floor(words / 2) words, drawn without replacement, with all their probes. The draws
    have nothing to do with the permutations of the same seed.
    """
    words = _samples_of_words(groups)
    rng = np.random.default_rng([seed, 1])
    result = np.zeros((count, len(np.asarray(groups))), dtype=np.bool_)
    for half in result:
        for word in rng.permutation(len(words))[: len(words) // 2]:
            half[words[word]] = True
    return result


def permuted_scores(
    layers: Sequence[Layer],
    permutations: NDArray[np.int64],
    *,
    estimator: Estimator = "unbiased",
    normalize: Normalize = "cka",
    bandwidth: str | float = "neuron",
) -> Matrix:
    """Return layer scores with the candidates' samples permuted against the pair's.

    The same permutation applies in every layer and for every candidate. Rows of the pair depend
    on each other as before, and so do those of all candidates: only what joins the two is cut.

    Parameters
    ----------
    layers
        Rows and members, with the same samples and candidates in every layer.
    permutations
        int64 (permutation, sample). The identity gives the observed scores.
    estimator, normalize, bandwidth
        As in ``reference.dependence_matrix``; ``layer`` pools the pair's and all candidates' rows.

    Returns
    -------
    float64 (permutation, layer, candidate); NaN where no neuron of one set can be estimated.
    """
    result = np.empty((len(permutations), len(layers), len(layers[0].members)))
    for at, layer in enumerate(layers):
        for candidate, own in enumerate(layer.members):
            x, y, widths = _prepared(layer, own, bandwidth)
            for p, permutation in enumerate(permutations):
                matrix = reference.standardised_matrix(
                    x, y[:, permutation], widths, estimator=estimator, normalize=normalize
                )
                result[p, at, candidate] = reference.layer_score(matrix)
    return result


def subset_scores(
    layers: Sequence[Layer],
    subsets: NDArray[np.bool_],
    *,
    estimator: Estimator = "unbiased",
    normalize: Normalize = "cka",
    bandwidth: str | float = "neuron",
) -> Matrix:
    """Return layer scores of some of the samples.

    Every estimator is that of so many samples: with m of them, ``unbiased`` is the U-statistic of
    the m, ``biased`` divides by (m - 1)². The published trace, which grows with the square of the
    number of samples, is brought to that of all by (S / m)². A row with one value only in the
    subset scores 0 there, as constant rows do. Rows that cannot be estimated from all samples are
    left out of every subset.

    Parameters
    ----------
    layers, estimator, normalize, bandwidth
        As in ``permuted_scores``.
    subsets
        Which samples are in, bool (subset, sample).

    Returns
    -------
    float64 (subset, layer, candidate); NaN where no neuron of one set can be estimated.
    """
    result = np.empty((len(subsets), len(layers), len(layers[0].members)))
    grows = estimator == "reference" and normalize == "none"
    for at, layer in enumerate(layers):
        for candidate, own in enumerate(layer.members):
            x, y, widths = _estimable(_prepared(layer, own, bandwidth), estimator, normalize)
            for b, kept in enumerate(subsets):
                matrix = reference.standardised_matrix(
                    _centred_rows(x[:, kept]),
                    _centred_rows(y[:, kept]),
                    widths,
                    estimator=estimator,
                    normalize=normalize,
                )
                scale = (kept.size / kept.sum()) ** 2 if grows else 1.0
                result[b, at, candidate] = reference.layer_score(matrix) * scale
    return result


def _samples_of_words(groups: ArrayLike) -> list[NDArray[np.int64]]:
    groups = np.asarray(groups)
    return [np.flatnonzero(groups == label) for label in np.unique(groups)]


def _prepared(layer: Layer, own: NDArray[np.int64], bandwidth: str | float) -> Prepared:
    """Return the standardised rows of the pair and of a candidate, and their kernel widths."""
    published = bandwidth == "reference"
    x = reference.standardise(layer.pair, published=published)
    union = reference.standardise(layer.union, published=published)
    if bandwidth == "layer":
        bandwidth = reference.layer_bandwidth(np.concatenate([x, union]))
    return x, union[own], reference.bandwidths(x, union[own], bandwidth)


def _estimable(prepared: Prepared, estimator: Estimator, normalize: Normalize) -> Prepared:
    """Return the rows whose own terms are positive over all samples, or that are constant."""
    x, y, widths = prepared
    kept = [
        ~np.isnan(reference.own_terms(rows, width, estimator, normalize))
        for rows, width in zip((x, y), widths, strict=True)
    ]
    return x[kept[0]], y[kept[1]], (widths[0][kept[0]], widths[1][kept[1]])


def _centred_rows(rows: Matrix) -> Matrix:
    constant = reference.is_constant(rows)[:, None]
    return np.where(constant, 0.0, rows - rows.mean(axis=1, keepdims=True))
