"""What resampled scores say: p-values, intervals, and which candidates may be the best.

Scores of a resample are (resample, candidate). All candidates were resampled together, so that
what they have in common stays in common. NaN marks a candidate that cannot be scored.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bridgex.testing.reference import Matrix


class PermutationTest(NamedTuple):
    """Per candidate, float64 (candidate,); NaN where it cannot be scored."""

    z: Matrix
    p: Matrix
    family_p: Matrix


class Moments(NamedTuple):
    """Mean, variance and skewness of a pair's dependence over all permutations of the samples."""

    mean: float
    variance: float
    skewness: float


def bridge_scores(scores: Matrix, observed: Matrix) -> Matrix:
    """Return the mean over the layers that are estimable in the observed scores.

    Parameters
    ----------
    scores
        float64 (..., layer, candidate).
    observed
        float64 (layer, candidate); its NaN are left out, whatever ``scores`` has there.

    Returns
    -------
    float64 (..., candidate). NaN where no layer is estimable, and where a resample lacks one
    that is: a mean over fewer layers would be of something else.
    """
    used = np.isfinite(observed)
    total = np.where(used, scores, 0.0).sum(axis=-2)
    counts = used.sum(axis=0)
    return np.where(counts > 0, total / np.maximum(counts, 1), np.nan)


def place_in_null(observed: float, null: Matrix) -> tuple[float, float]:
    """Return z and p of a score among scores that arose by chance.

    z = (observed - mean) / standard deviation (ddof = 1); p = (1 + number at or above) /
    (1 + number), which never is 0 and holds its level exactly (Phipson & Smyth 2010). For
    random sets of neurons as for permutations; 1 - p is the share of random sets that is beaten.
    """
    varies = null.max() > null.min()  # the deviation of equal numbers may differ from 0
    z = (observed - null.mean()) / null.std(ddof=1) if varies else math.nan
    return float(z), float(1 + np.sum(null >= observed)) / (1 + null.size)


def permutation_test(observed: Matrix, null: Matrix) -> PermutationTest:
    """Return z, p and the family-wise p of every candidate by the maximum statistic.

    Parameters
    ----------
    observed
        Scores, float64 (candidate,).
    null
        Scores under joint permutations, float64 (permutation, candidate).

    Notes
    -----
    The maximum is over studentised scores. A mean of maxima has a mean and a spread under
    independence that depend on the size of the set; a maximum of raw scores would be the largest
    set's alone, and small sets could never pass it. Centre and scale are those of the observed
    and the permuted scores together: a function of all of them that knows no order, so that the
    observed maximum is exchangeable with the permuted ones and the level exact for every number
    of permutations. Candidates that depend on the pair do not change the joint distribution of
    those that do not under permutation, so the control is strong (Westfall & Young 1993).
    """
    names = np.flatnonzero(np.isfinite(observed))
    z, p, family = (np.full(observed.size, np.nan) for _ in range(3))
    for k in names:
        z[k], p[k] = place_in_null(observed[k], null[:, k])
    every = np.concatenate([observed[None, names], null[:, names]])
    varies = every.max(axis=0, initial=-np.inf) > every.min(axis=0, initial=np.inf)
    spread = np.where(varies, every.std(axis=0, ddof=1), 1.0)
    scaled = np.where(varies, every - every.mean(axis=0), 0.0) / spread
    top = scaled[1:].max(axis=1, initial=-np.inf)
    for k, own in zip(names, scaled[0], strict=True):
        family[k] = (1 + np.sum(top >= own)) / (1 + len(null))
    return PermutationTest(z, p, family)


def deviations(halves: Matrix, words: int) -> Matrix:
    """Return how scores of random halves of the words scatter, as scores of all words would.

    Parameters
    ----------
    halves
        Scores of halves, float64 (half, candidate).
    words
        Number of words, of which a half has floor(words / 2).

    Notes
    -----
    The mean of h of W values, drawn without replacement, has (W - h) / h times the variance that
    the mean of all W has over fresh words: 1 for a half. They are deviations from the mean over
    the halves, not from the score of all words. A mean of maxima grows with the noise in what is
    maximised, and every resample has more of it than the sample, so the resampled scores lie to
    one side of the observed one; what is wanted of them is their spread.

    Halves that lack the score of a candidate which other halves have are left out.
    """
    half = words // 2
    scored = np.isfinite(halves).any(axis=0)
    halves = halves[np.isfinite(halves[:, scored]).all(axis=1)]
    result: Matrix = (halves - halves.mean(axis=0)) * math.sqrt(half / (words - half))
    return result


def interval(observed: Matrix, scatter: Matrix, confidence: float = 0.95) -> tuple[Matrix, Matrix]:
    """Return low and high ends of intervals for the expected score of so many words.

    Parameters
    ----------
    observed
        Scores, float64 (candidate,).
    scatter
        ``deviations``, float64 (half, candidate).
    confidence
        Between 0 and 1.

    Notes
    -----
    The target is the mean of the score over fresh samples of as many words from the same
    population, for the same neurons: what the score estimates without bias. The normal quantile
    times the standard deviation of the scatter covers it better than the scatter's quantiles do.
    """
    reach = NormalDist().inv_cdf((1 + confidence) / 2) * scatter.std(axis=0, ddof=1)
    return observed - reach, observed + reach


def probability_of_best(observed: Matrix, scatter: Matrix) -> Matrix:
    """Return in which share of the resamples each candidate has the highest score, (candidate,).

    A resample's scores are the observed ones plus its deviations. Zero where a candidate cannot
    be scored.
    """
    resampled = np.where(np.isfinite(observed), observed + scatter, -np.inf)
    return np.bincount(resampled.argmax(axis=1), minlength=observed.size) / len(scatter)


def may_be_best(
    observed: Matrix, scatter: Matrix, confidence: float = 0.95
) -> tuple[NDArray[np.bool_], Matrix]:
    """Return the candidates that no other beats reliably, and by how much others are behind.

    The set holds the truly best candidate with the given confidence or more (Gupta 1965; Hsu
    1981). Candidate i is out where (score of the best - score of i) exceeds c_i times the
    standard deviation of that difference over the resamples. c_i is the quantile of the maximum,
    over all others j, of the studentised differences j - i: if i is truly the best, every one of
    them has an expectation of at most 0, and one of all exceeds c_i with 5 % chance.

    Returns
    -------
    bool (candidate,); and the lower end of best - i, float64 (candidate,), which is above 0 where
    i is out. The observed best is in; its own lower end is 0. False and NaN for a candidate that
    cannot be scored.
    """
    inside, low = np.zeros(observed.size, dtype=np.bool_), np.full(observed.size, np.nan)
    names = np.flatnonzero(np.isfinite(observed))
    best = names[np.argmax(observed[names])]
    for i in names:
        others = names[names != i]
        differences = scatter[:, others] - scatter[:, [i]]
        spread = differences.std(axis=0, ddof=1)
        positive = np.where(spread > 0, spread, np.inf)
        largest = (differences / positive).max(axis=1, initial=0.0)
        reach = np.quantile(largest, confidence) * spread[others == best].sum()
        low[i] = observed[best] - observed[i] - reach
        inside[i] = low[i] <= 0
    return inside, low


def permutation_moments(a: Matrix, b: Matrix) -> Moments:
    """Return the moments of tr(A P B Pᵀ) over permutations P, of centred kernels A and B.

    Mean and variance are exact, for four samples or more (Kazi-Aoual et al. 1995). The skewness
    is that of the limit, a sum of λ_i μ_j χ²_1 over the eigenvalues of both.
    """
    size = len(a)
    (t, t2, s2, t3), (u, u2, v2, u3) = _invariants(a), _invariants(b)
    variance = 2 * ((size - 1) * t2 - t**2) * ((size - 1) * u2 - u**2)
    variance /= (size - 1) ** 2 * (size + 1) * (size - 2)
    first = size * (size + 1) * s2 - (size - 1) * (t**2 + 2 * t2)
    second = size * (size + 1) * v2 - (size - 1) * (u**2 + 2 * u2)
    variance += first * second / ((size + 1) * size * (size - 1) * (size - 2) * (size - 3))
    skewness = math.sqrt(8) * t3 * u3 / (t2 * u2) ** 1.5
    return Moments(t * u / (size - 1), variance, skewness)


def pair_p_value(a: Matrix, b: Matrix) -> float:
    """Return the chance of a tr(A B) as large or larger under independence, for one pair.

    The gamma distribution, shifted so that it has the permutations' mean, variance and skewness
    (Pearson's type III). Never to be used after a maximum over pairs.
    """
    mean, variance, skewness = permutation_moments(a, b)
    shape = 4 / skewness**2
    z = (float(np.sum(a * b)) - mean) / math.sqrt(variance)
    return gamma_tail(shape, shape + z * math.sqrt(shape))


def gamma_tail(shape: float, value: float) -> float:
    """Return the chance that a gamma variable of scale 1 exceeds a value.

    By the series of the lower tail below shape + 1, and by the continued fraction of the upper
    tail above, which keeps its digits however small it is (Abramowitz & Stegun, 6.5.29, 6.5.31).
    """
    if value <= 0:
        return 1.0
    scale = math.exp(shape * math.log(value) - value - math.lgamma(shape))
    if value < shape + 1:
        return 1 - scale * _lower_series(shape, value)
    return scale * _upper_fraction(shape, value)


def _lower_series(shape: float, value: float) -> float:
    term = total = 1 / shape
    divisor = shape
    while term > total * 1e-17:
        divisor += 1
        term *= value / divisor
        total += term
    return total


def _upper_fraction(shape: float, value: float) -> float:
    """Evaluate 1 / (v + 1 - a - 1 (1 - a) / (v + 3 - a - 2 (2 - a) / (v + 5 - a - ...)))."""
    result = 0.0
    for n in range(1000, 0, -1):
        result = n * (n - shape) / (value + 2 * n + 1 - shape - result)
    return 1 / (value + 1 - shape - result)


def _invariants(a: Matrix) -> tuple[float, float, float, float]:
    """Return tr A, tr A², the sum of the squared diagonal, and tr A³."""
    squared = a @ a
    diagonal = np.diag(a)
    cubed = float(np.sum(squared * a))
    return float(np.trace(a)), float(np.trace(squared)), float(diagonal @ diagonal), cubed
