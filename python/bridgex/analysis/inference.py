"""What resampled scores say: p-values, intervals, and which candidates may be the best.

Scores of resamples are (resample, bridge), all candidates of a resample together; NaN marks a
candidate that cannot be scored.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Scores = NDArray[np.float64]

CONFIDENCE = 0.95
"""Of the intervals, and of the set of the candidates that may be best."""


@dataclass(frozen=True)
class PermutationTest:
    """How a score lies among those that arise when the words of one side are permuted.

    All float64; NaN where not estimable. z is NaN too where the permuted scores are all the same.

    Attributes
    ----------
    z, p
        Of the bridge score, (bridge,): distance from the permutations' mean in their standard
        deviations, and (1 + permutations at or above) / (1 + permutations).
    family_p
        Family-wise p of the bridge score over the candidates, (bridge,).
    layer_z, layer_p
        Of every layer score, (layer, bridge).
    """

    z: Scores
    p: Scores
    family_p: Scores
    layer_z: Scores
    layer_p: Scores


@dataclass(frozen=True)
class Stability:
    """What random halves of the words say about the scores of all words.

    Attributes
    ----------
    low, high
        Ends of the 95 % interval of the bridge score, float64 (bridge,).
    probability_of_best
        Share of the resamples in which a candidate has the highest score, float64 (bridge,).
    may_be_best
        The candidates that no other beats reliably, bool (bridge,): with 95 % confidence or more
        the truly best one is among them.
    resamples
        Resamples in which every candidate could be scored that any half can score; they are the
        ones that count. A candidate that no half can score is NaN, and may not be the best.
    """

    low: Scores
    high: Scores
    probability_of_best: Scores
    may_be_best: NDArray[np.bool_]
    resamples: int


def bridge_scores(scores: Scores, used: NDArray[np.bool_]) -> Scores:
    """Return the mean over the layers in use, (..., bridge), of scores (..., layer, bridge).

    NaN where no layer is in use, or where one that is has no score.
    """
    counts = used.sum(axis=0)
    total = np.where(used, scores, 0.0).sum(axis=-2)
    mean: Scores = np.where(counts > 0, total / np.maximum(counts, 1), np.nan)
    return mean


def place_in_null(observed: Scores, null: Scores) -> tuple[Scores, Scores]:
    """Return z and p of scores (...,) among scores that arose by chance, (resample, ...).

    References
    ----------
    Phipson & Smyth 2010, "Permutation p-values should never be zero".
    """
    known = np.isfinite(observed)
    count = null.shape[0]
    away, spread = observed - null.mean(axis=0), null.std(axis=0, ddof=1)
    # The deviation of numbers that are all the same may be some 1e-17.
    varies = null.max(axis=0) > null.min(axis=0)
    z = np.divide(away, spread, out=np.full_like(observed, np.nan), where=varies)
    p = (1 + (null >= observed).sum(axis=0)) / (1 + count)
    return np.where(known, z, np.nan), np.where(known, p, np.nan)


def family_wise_p(observed: Scores, null: Scores) -> Scores:
    """Return the family-wise p of every candidate by the maximum of studentised scores.

    Centre and scale are those of the observed and the permuted scores together, so that the
    observed maximum is exchangeable with the permuted ones.

    References
    ----------
    Westfall & Young 1993, "Resampling-based multiple testing".
    """
    result = np.full_like(observed, np.nan)
    known = np.isfinite(observed)
    if not known.any():
        return result
    every = np.concatenate([observed[None, known], null[:, known]])
    away, spread = every - every.mean(axis=0), every.std(axis=0, ddof=1)
    varies = every.max(axis=0) > every.min(axis=0)
    scaled = np.divide(away, spread, out=np.zeros_like(every), where=varies)
    top = scaled[1:].max(axis=1)
    result[known] = (1 + (top[:, None] >= scaled[0]).sum(axis=0)) / (1 + len(null))
    return result


def permutation_test(
    observed: Scores, permuted: Scores, used: NDArray[np.bool_]
) -> PermutationTest:
    """Return the test of layer scores (layer, bridge) and of their means over the layers.

    Parameters
    ----------
    observed
        Layer scores, (layer, bridge).
    permuted
        Layer scores under joint permutations of the words, (permutation, layer, bridge).
    used
        The layers that the bridge scores are means over, bool (layer, bridge). A candidate that
        lacks an observed score in one of them is NaN.
    """
    observed = np.where(used, observed, np.nan)
    score, null = bridge_scores(observed, used), bridge_scores(permuted, used)
    return PermutationTest(
        *place_in_null(score, null), family_wise_p(score, null), *place_in_null(observed, permuted)
    )


def stability(score: Scores, halves: Scores, words: int) -> Stability:
    """Return what scores of random halves of the words say about the scores of all words.

    Parameters
    ----------
    score
        Bridge scores, (bridge,).
    halves
        Bridge scores of random halves of the words, (half, bridge). At least 2 have to be
        complete: see ``complete_halves``.
    words
        Number of words, of which a half has floor(words / 2).
    """
    scatter = deviations(halves, words)
    known = np.isfinite(score) & np.isfinite(scatter).all(axis=0)
    score = np.where(known, score, np.nan)
    reach = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) * scatter.std(axis=0, ddof=1)
    resampled = np.where(known, score + scatter, -np.inf)
    best = np.bincount(resampled.argmax(axis=1), minlength=score.size)
    return Stability(
        low=score - reach,
        high=score + reach,
        probability_of_best=np.where(known, best / len(scatter), np.nan),
        may_be_best=may_be_best(score, scatter),
        resamples=len(scatter),
    )


def complete_halves(halves: Scores) -> NDArray[np.bool_]:
    """Return which halves score every candidate that any of them scores, bool (half,).

    None is complete where no half scores a candidate.
    """
    known = np.isfinite(halves)
    scored = known.any(axis=0).sum()
    complete: NDArray[np.bool_] = (known.sum(axis=1) == scored) & (scored > 0)
    return complete


def deviations(halves: Scores, words: int) -> Scores:
    """Return how scores of complete halves scatter about their mean, scaled to scores of all words.

    The mean of h of W values has (W - h) / h times the variance that the mean of W fresh ones has.
    """
    whole = halves[complete_halves(halves)]
    half = words // 2
    scatter: Scores = (whole - whole.mean(axis=0)) * math.sqrt(half / (words - half))
    return scatter


def may_be_best(score: Scores, scatter: Scores) -> NDArray[np.bool_]:
    """Return which candidates no other beats reliably, bool (bridge,).

    Candidate i is out where the best exceeds it by more than c_i standard deviations of their
    difference over the resamples. c_i is the 95 % quantile of the largest of the studentised
    differences j - i over all others j.

    References
    ----------
    Gupta 1965, "On some multiple decision (selection and ranking) rules". Hsu 1981, "Simultaneous
    confidence intervals for all distances from the best".
    """
    inside = np.zeros(score.size, dtype=np.bool_)
    names = np.flatnonzero(np.isfinite(score))
    if not names.size:
        return inside
    score, scatter = score[names], scatter[:, names]
    best = score.argmax()
    for i, name in enumerate(names):
        differences = scatter - scatter[:, [i]]
        spread = differences.std(axis=0, ddof=1)
        studentised = np.divide(
            differences, spread, out=np.zeros_like(differences), where=spread > 0
        )
        reach = np.quantile(studentised.max(axis=1), CONFIDENCE) * spread[best]
        inside[name] = score[best] - score[i] <= reach
    return inside
