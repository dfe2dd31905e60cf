"""Paired comparison and rank correlation, in plain NumPy and exact integers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bridgex.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray


class Difference(NamedTuple):
    """Difference of two accuracies on the same examples, with its interval; points of 1."""

    value: float
    low: float
    high: float

    @property
    def reliable(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0


def paired_difference(
    correct: NDArray[np.bool_],
    baseline: NDArray[np.bool_],
    *,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Difference:
    """Return accuracy minus baseline accuracy with a percentile bootstrap interval.

    Parameters
    ----------
    correct, baseline
        What each got right of the same examples, bool (example,).
    confidence
        Share of resamples inside the interval, between 0 and 1.
    resamples
        Number of times the examples are drawn with replacement.
    seed
        Seed of the draws.

    Notes
    -----
    An example adds -1, 0 or 1, so a resample is one multinomial draw over these three: the same
    distribution as drawing examples, at a cost that does not grow with their number.

    Raises
    ------
    InvalidInputError
        The arrays differ in length or are empty, or a setting is out of range.
    """
    gained, lost = _discordant(correct, baseline)
    if not 0 < confidence < 1 or resamples < 1:
        raise InvalidInputError(
            f"confidence between 0 and 1 and at least 1 resample were expected, "
            f"got {confidence} and {resamples}"
        )
    count = correct.size
    shares = np.array([gained, lost, count - gained - lost]) / count
    drawn = np.random.default_rng(seed).multinomial(count, shares, size=resamples)
    tail = (1 - confidence) / 2
    low, high = np.quantile((drawn[:, 0] - drawn[:, 1]) / count, [tail, 1 - tail])
    return Difference((gained - lost) / count, float(low), float(high))


def mcnemar_p(correct: NDArray[np.bool_], baseline: NDArray[np.bool_]) -> float:
    """Return the exact two-sided p-value that both are equally often the only one right.

    Raises
    ------
    InvalidInputError
        The arrays differ in length or are empty.

    References
    ----------
    McNemar, Psychometrika 12 (1947), with the binomial distribution in place of chi-squared.
    """
    gained, lost = _discordant(correct, baseline)
    either = gained + lost
    tail = sum(math.comb(either, k) for k in range(min(gained, lost) + 1))
    return min(1.0, 2 * tail / (1 << either))


def _discordant(correct: NDArray[np.bool_], baseline: NDArray[np.bool_]) -> tuple[int, int]:
    if correct.shape != baseline.shape or correct.ndim != 1 or not correct.size:
        raise InvalidInputError(
            f"two results on the same examples were expected, "
            f"got shapes {correct.shape} and {baseline.shape}"
        )
    return int(np.sum(correct & ~baseline)), int(np.sum(baseline & ~correct))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted so that the chance of any false alarm among them is kept.

    References
    ----------
    Holm, Scandinavian Journal of Statistics 6 (1979).
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted = [1.0] * len(p_values)
    largest = 0.0
    for rank, place in enumerate(order):
        largest = max(largest, (len(p_values) - rank) * p_values[place])
        adjusted[place] = min(1.0, largest)
    return adjusted


def kendall_tau(first: ArrayLike, second: ArrayLike) -> float:
    """Return Kendall's tau-b of two rows of values; NaN where one of them is constant.

    References
    ----------
    Kendall, Biometrika 33 (1945).
    """
    x, y = _rows(first, second)
    above = np.triu_indices(x.size, k=1)
    signs_x = np.sign(x[:, None] - x[None, :])[above]
    signs_y = np.sign(y[:, None] - y[None, :])[above]
    return _ratio(np.sum(signs_x * signs_y), np.sum(signs_x**2) * np.sum(signs_y**2))


def spearman_rho(first: ArrayLike, second: ArrayLike) -> float:
    """Return the correlation of the ranks, equal values sharing their mean rank.

    NaN where one of the rows is constant.
    """
    x, y = (_ranks(row) for row in _rows(first, second))
    x, y = x - x.mean(), y - y.mean()
    return _ratio(np.sum(x * y), np.sum(x**2) * np.sum(y**2))


def _rows(first: ArrayLike, second: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if x.shape != y.shape or x.ndim != 1:
        raise InvalidInputError(
            f"two rows of equal length were expected, got shapes {x.shape} and {y.shape}"
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise InvalidInputError("a rank correlation needs finite values")
    return x, y


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    below = (values[None, :] < values[:, None]).sum(axis=1)
    equal = (values[None, :] == values[:, None]).sum(axis=1)
    ranks: NDArray[np.float64] = below + (equal - 1) / 2
    return ranks


def _ratio(numerator: np.floating, squared_denominator: np.floating) -> float:
    if squared_denominator == 0:
        return math.nan
    return float(numerator / np.sqrt(squared_denominator))
