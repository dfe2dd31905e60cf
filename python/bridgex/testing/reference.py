"""The metrics as their definitions read, in NumPy and float64.

Written for clarity: a loop over pairs of neurons, kernels of samples by samples. Everything that
``bridgex.analysis`` computes fast is tested against this module, and so can other code be.

Rows are neurons and columns are samples: ``x`` is (n1, sample), ``y`` is (n2, sample).
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

    Matrix = NDArray[np.float64]

Estimator = Literal["unbiased", "biased", "reference", "linear"]
Normalize = Literal["cka", "none"]


def top_k(values: ArrayLike, k: int, tie_break: ArrayLike | None = None) -> NDArray[np.int64]:
    """Return the indices of the k largest values, ascending, int64 (k,).

    Of equal values the one with the larger ``tie_break`` comes first, then the lower index.
    """
    values = np.asarray(values, dtype=np.float64)
    second = np.zeros_like(values) if tie_break is None else np.asarray(tie_break)
    order = np.lexsort((np.arange(values.size), -second, -values))
    return np.sort(order[:k]).astype(np.int64)


def overlap_counts(
    sets: Sequence[set[int]], layer_offsets: Sequence[int] | None = None
) -> NDArray[np.uint64]:
    """Return the sizes of all pairwise intersections: (set, set), or (layer, set, set)."""

    def table(low: float, high: float) -> list[list[int]]:
        return [[sum(low <= n < high for n in one & other) for other in sets] for one in sets]

    if layer_offsets is None:
        return np.array(table(0, np.inf), dtype=np.uint64)
    spans = pairwise(layer_offsets)
    return np.array([table(low, high) for low, high in spans], dtype=np.uint64)


def is_constant(rows: Matrix) -> NDArray[np.bool_]:
    """Return which rows hold one value only, bool (row,)."""
    constant: NDArray[np.bool_] = rows.max(axis=1) == rows.min(axis=1)
    return constant


def standardise(rows: ArrayLike, *, published: bool = False) -> Matrix:
    """Centre every row and divide it by its standard deviation (ddof = 1).

    The published scripts add 1e-6 to the standard deviation. A constant row becomes zeros.
    """
    rows = np.asarray(rows, dtype=np.float64)
    spread = rows.std(axis=1, ddof=1) + (1e-6 if published else 0.0)
    constant = is_constant(rows)
    centred = rows - rows.mean(axis=1, keepdims=True)
    return np.where(constant[:, None], 0.0, centred / np.where(constant, 1.0, spread)[:, None])


def median_difference(row: Matrix) -> float:
    """Return the median of |row[a] - row[b]| over all pairs of samples.

    Where that is zero, the median of the differences that are not; NaN where all are.
    """
    first, second = np.triu_indices(row.size, k=1)
    return _positive_median(np.abs(row[first] - row[second]))


def layer_bandwidth(rows: Matrix) -> float:
    """Return the median Euclidean distance between rows, over all pairs of rows."""
    first, second = np.triu_indices(len(rows), k=1)
    return _positive_median(np.linalg.norm(rows[first] - rows[second], axis=1))


def published_bandwidth(x: Matrix, y: Matrix) -> float:
    """Return the bandwidth of the published scripts.

    The lower median of the Euclidean distances between the rows within ``x`` and within ``y``,
    both orders and every row's distance to itself included, plus 1e-6.
    """

    def distances(rows: Matrix) -> Matrix:
        differences = rows[:, None, :] - rows[None, :, :]
        result: Matrix = np.linalg.norm(differences, axis=2).ravel()
        return result

    every = np.sort(np.concatenate([distances(x), distances(y)]))
    return float(every[(every.size - 1) // 2]) + 1e-6


def bandwidths(x: Matrix, y: Matrix, rule: str | float) -> tuple[Matrix, Matrix]:
    """Return the kernel widths of the standardised rows of ``x`` and ``y``: (n1,), (n2,)."""
    if rule == "neuron":
        return (
            np.array([median_difference(row) for row in x]),
            np.array([median_difference(row) for row in y]),
        )
    if rule == "layer":
        width = layer_bandwidth(np.concatenate([x, y]))
    elif rule == "reference":
        width = published_bandwidth(x, y)
    else:
        width = float(rule)
    return np.full(len(x), width), np.full(len(y), width)


def kernel(row: Matrix, sigma: float) -> Matrix:
    """Return exp(-(row[a] - row[b])² / (2 sigma²)) - 1, (sample, sample).

    No estimator notices the 1 that is taken away, and a nearly flat kernel keeps its digits.
    """
    result: Matrix = np.expm1(-(((row[:, None] - row[None, :]) / sigma) ** 2) / 2)
    return result


def centred(matrix: Matrix) -> Matrix:
    """Return H K H with H = I - 1 1ᵀ / S."""
    rows: Matrix = matrix - matrix.mean(axis=0, keepdims=True)
    result: Matrix = rows - rows.mean(axis=1, keepdims=True)
    return result


def biased(k: Matrix, m: Matrix) -> float:
    """Return tr(K H L H) / (S - 1)² (Gretton et al. 2005)."""
    return float(np.sum(centred(k) * centred(m))) / (len(k) - 1) ** 2


def unbiased(k: Matrix, m: Matrix) -> float:
    """Return the estimator of Song et al. 2012, eq. 5, in its original form."""
    size = len(k)
    k = k - np.diag(np.diag(k))
    m = m - np.diag(np.diag(m))
    ones = np.ones(size)
    total = (
        np.trace(k @ m)
        + (ones @ k @ ones) * (ones @ m @ ones) / ((size - 1) * (size - 2))
        - 2.0 / (size - 2) * (ones @ k @ m @ ones)
    )
    return float(total) / (size * (size - 3))


def published_trace(k: Matrix, m: Matrix) -> float:
    """Return tr(K H L), which the published scripts compute: centred on one side only."""
    return float(np.sum((k - k.mean(axis=1, keepdims=True)) * m))


def pair_dependence(x: Matrix, y: Matrix, widths: tuple[float, float], name: Estimator) -> float:
    """Return an estimator, not normalised, for two standardised rows."""
    if name == "linear":
        return float(x @ y) ** 2 / (x.size - 1) ** 2
    estimators: dict[str, Callable[[Matrix, Matrix], float]] = {
        "biased": biased,
        "reference": published_trace,
        "unbiased": unbiased,
    }
    return estimators[name](kernel(x, widths[0]), kernel(y, widths[1]))


def dependence_matrix(
    x: ArrayLike,
    y: ArrayLike,
    *,
    estimator: Estimator = "unbiased",
    normalize: Normalize = "cka",
    bandwidth: str | float = "neuron",
) -> Matrix:
    """Return the dependence of every row of ``x`` on every row of ``y``, float64 (n1, n2).

    Zero for constant rows; NaN for a row whose own term is not positive, where ``normalize`` is
    ``cka``. The own term counts as positive from 1e-9 of the biased one, which is rounding.
    The ``reference`` bandwidth brings the published way to standardise with it.
    """
    published = bandwidth == "reference"
    x, y = (standardise(rows, published=published) for rows in (x, y))
    widths = bandwidths(x, y, bandwidth)
    return standardised_matrix(x, y, widths, estimator=estimator, normalize=normalize)


def standardised_matrix(
    x: Matrix,
    y: Matrix,
    widths: tuple[Matrix, Matrix],
    *,
    estimator: Estimator,
    normalize: Normalize,
) -> Matrix:
    """Return the dependence matrix of rows that are standardised and whose widths are known.

    The estimator ``linear`` takes it that the rows have mean zero; no other notices a shift.
    """
    x_widths, y_widths = widths
    x_self = own_terms(x, x_widths, estimator, normalize)
    y_self = own_terms(y, y_widths, estimator, normalize)
    result = np.zeros((len(x), len(y)))
    for i, row in enumerate(x):
        for j, other in enumerate(y):
            if np.isnan(x_self[i]) or np.isnan(y_self[j]):
                result[i, j] = np.nan
            elif row.any() and other.any():
                value = pair_dependence(row, other, (x_widths[i], y_widths[j]), estimator)
                result[i, j] = value / np.sqrt(x_self[i] * y_self[j])
    return result


def layer_score(matrix: Matrix) -> float:
    """Return (mean of the row maxima + mean of the column maxima) / 2; NaN rows are left out."""
    matrix = matrix[~np.isnan(matrix).all(axis=1)]
    matrix = matrix[:, ~np.isnan(matrix).all(axis=0)]
    if matrix.size == 0:
        return float("nan")
    return float(matrix.max(axis=1).mean() + matrix.max(axis=0).mean()) / 2


def own_terms(rows: Matrix, widths: Matrix, estimator: Estimator, normalize: Normalize) -> Matrix:
    """Return what scores of every row are normalised by, squared: (row,).

    The estimator of the row with itself, NaN where that is not positive; 1 without normalising.
    """
    terms = np.ones(len(rows))
    if normalize == "none":
        return terms
    for i, (row, width) in enumerate(zip(rows, widths, strict=True)):
        if row.any():
            own = pair_dependence(row, row, (width, width), estimator)
            scale = abs(pair_dependence(row, row, (width, width), "biased"))
            terms[i] = own if own > 1e-9 * scale else np.nan
    return terms


def _positive_median(values: Matrix) -> float:
    if values.size == 0:
        return float("nan")
    median = float(np.median(values))
    if median > 0:
        return median
    rest = values[values > 0]
    return float(np.median(rest)) if rest.size else float("nan")
