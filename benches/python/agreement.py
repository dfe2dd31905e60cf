"""Agreement with libraries that share no code with bridgex.

``python -m benches.python.agreement`` prints the largest difference of any entry, as a share of
the largest entry, as a Markdown table. Kernels and their widths come from SciPy and NumPy, not
from ``bridgex.testing``; repsim's ``rbf`` kernel brings the median rule of its own.

No library computes tr(KHL), which ``reference`` stands for.
"""

from __future__ import annotations

import sys
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import dcor
import numpy as np
import repsim
from scipy.spatial.distance import pdist
from scipy.stats import zscore

from bridgex.analysis.arrays import dependence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from bridgex.analysis.arrays import Bandwidth, Estimator, Normalize

    Matrix = NDArray[np.float64]

ESTIMATORS: tuple[Estimator, ...] = ("unbiased", "biased", "linear")
NORMALIZE: tuple[Normalize, ...] = ("cka", "none")
BANDWIDTHS: tuple[Bandwidth, ...] = ("neuron", "layer", "reference", 0.3, 2.0, 50.0)
SAMPLES = (5, 60)


class Row(NamedTuple):
    """The largest difference of any entry, as a share of the largest entry."""

    library: str
    estimator: Estimator
    normalize: Normalize
    bandwidth: str
    difference: float


def sets(samples: int) -> tuple[Matrix, Matrix]:
    """Return rows with and without heavy tails, and rows that depend on them."""
    rng = np.random.default_rng(samples)
    x = np.stack([rng.normal(size=samples), rng.standard_t(2, size=samples), rng.random(samples)])
    y = np.stack([x[0] ** 2 + rng.normal(size=samples), rng.exponential(size=samples)])
    return x, y


def standard(rows: Matrix, bandwidth: Bandwidth) -> Matrix:
    """Return rows of mean 0 and standard deviation 1, or those of the published scripts."""
    scores: Matrix = zscore(rows, axis=1, ddof=1)
    if bandwidth == "reference":
        deviation = rows.std(axis=1, ddof=1, keepdims=True)
        scores = scores * deviation / (deviation + 1e-6)
    return scores


def widths(x: Matrix, y: Matrix, bandwidth: Bandwidth) -> tuple[list[float], list[float]]:
    """Return the kernel widths of the standardised rows."""
    if bandwidth == "neuron":
        median = [[float(np.median(pdist(row[:, None]))) for row in rows] for rows in (x, y)]
        return median[0], median[1]
    if bandwidth == "layer":
        width = float(np.median(pdist(np.concatenate([x, y]))))
    elif bandwidth == "reference":
        within = [np.tile(pdist(rows), 2) for rows in (x, y)]
        every = np.sort(np.concatenate([*within, np.zeros(len(x) + len(y))]))
        width = float(every[(every.size - 1) // 2]) + 1e-6
    else:
        width = float(bandwidth)
    return [width] * len(x), [width] * len(y)


def kernels(rows: Matrix, sigmas: list[float], estimator: Estimator) -> list[Matrix]:
    """Return a kernel per row, (sample, sample)."""
    if estimator == "linear":
        return [np.outer(row, row) for row in rows]
    differences = [(row[:, None] - row) / sigma for row, sigma in zip(rows, sigmas, strict=True)]
    # Estimators do not notice the 1, and a nearly flat kernel keeps its digits without it.
    return [np.expm1(-(one**2) / 2) for one in differences]


def by_dcor(first: Matrix, second: Matrix, *, unbiased: bool) -> float:
    """Return the estimator of two kernels from dcor's centred matrices."""
    if unbiased:
        centred = [dcor.u_centered(one - np.diag(np.diag(one))) for one in (first, second)]
        return float(dcor.u_product(*centred))
    size = len(first)
    centred = [dcor.double_centered(one) for one in (first, second)]
    return float(dcor.mean_product(*centred)) * (size / (size - 1)) ** 2


def by_repsim(first: Matrix, second: Matrix, *, unbiased: bool) -> float:
    """Return the estimator of two kernels from repsim, which is given columns, not kernels."""
    name = "song" if unbiased else "gretton"
    columns = [root(one) for one in (first, second)]
    return float(repsim.hsic(columns, kernel_type="linear", estimator=name)[0, 1])


def root(kernel: Matrix) -> Matrix:
    """Return columns whose products are a kernel, up to a constant."""
    centred = kernel - kernel.mean(axis=0)
    values, vectors = np.linalg.eigh(centred - centred.mean(axis=1, keepdims=True))
    columns: Matrix = vectors * np.sqrt(values.clip(min=0.0))
    return columns


def by_kernels(
    hsic: Callable[[Matrix, Matrix], float],
    x: list[Matrix],
    y: list[Matrix],
    normalize: Normalize,
) -> Matrix:
    """Return the dependence of every kernel on every other."""
    values = np.array([[hsic(one, other) for other in y] for one in x])
    if normalize == "none":
        return values
    own = [np.array([hsic(one, one) for one in kernels]) for kernels in (x, y)]
    # Own terms that are not positive leave the row out, here as there.
    own = [np.where(terms > 0, terms, np.nan) for terms in own]
    normalised: Matrix = values / np.sqrt(np.outer(*own))
    return normalised


def with_own_kernels(x: Matrix, y: Matrix, estimator: Estimator, normalize: Normalize) -> Matrix:
    """Return what repsim computes from the rows, with its own kernels and widths."""
    kernel = "linear" if estimator == "linear" else "rbf"
    name = "song" if estimator == "unbiased" else "gretton"
    columns = [row[:, None] for row in (*x, *y)]
    values: Matrix = repsim.hsic(columns, kernel_type=kernel, estimator=name)
    own = np.where(values.diagonal() > 0, values.diagonal(), np.nan)
    # Its own cka divides by the biased own terms, whichever the estimator is.
    scale = np.sqrt(np.outer(own, own)) if normalize == "cka" else 1.0
    result: Matrix = (values / scale)[: len(x), len(x) :]
    return result


def libraries(
    x: Matrix, y: Matrix, estimator: Estimator, normalize: Normalize, bandwidth: Bandwidth
) -> Iterator[tuple[str, Matrix]]:
    """Yield the name of every library that knows this dependence, and what it says."""
    x, y = standard(x, bandwidth), standard(y, bandwidth)
    sigmas = widths(x, y, bandwidth)
    first, second = kernels(x, sigmas[0], estimator), kernels(y, sigmas[1], estimator)
    unbiased = estimator == "unbiased"
    yield "dcor", by_kernels(partial(by_dcor, unbiased=unbiased), first, second, normalize)
    yield "repsim", by_kernels(partial(by_repsim, unbiased=unbiased), first, second, normalize)
    if bandwidth == "neuron":
        yield "repsim, own kernels", with_own_kernels(x, y, estimator, normalize)


def compare() -> Iterator[Row]:
    """Yield the largest difference for every library, estimator, normalisation and bandwidth."""
    for estimator, normalize, bandwidth in product(ESTIMATORS, NORMALIZE, BANDWIDTHS):
        if estimator == "linear" and bandwidth != "neuron":
            continue  # it has no kernel
        differences: dict[str, float] = {}
        for samples in SAMPLES:
            x, y = sets(samples)
            found = dependence(
                x,
                y,
                estimator=estimator,
                normalize=normalize,
                bandwidth=bandwidth,
                tol=0.0,
                dtype="f64",
                matrix=True,
            ).matrix
            assert found is not None
            for library, expected in libraries(x, y, estimator, normalize, bandwidth):
                assert np.array_equal(np.isnan(found), np.isnan(expected)), library
                worst = float(np.nanmax(np.abs(found - expected)) / np.nanmax(np.abs(expected)))
                differences[library] = max(worst, differences.get(library, 0.0))
        for library, worst in differences.items():
            width = "none" if estimator == "linear" else str(bandwidth)
            yield Row(library, estimator, normalize, width, worst)


def table() -> str:
    """Return the comparison as a Markdown table."""
    lines = [
        "| library | estimator | normalize | bandwidth | largest difference |",
        "|---|---|---|---|---|",
    ]
    for library, estimator, normalize, bandwidth, difference in sorted(compare()):
        lines.append(f"| {library} | {estimator} | {normalize} | {bandwidth} | {difference:.1e} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(table() + "\n")
