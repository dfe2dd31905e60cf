"""Dependence of two sets of neurons, beside what else computes it.

Tiny by default, so that it can run with the tests; ``BRIDGEX_BENCH=full`` takes the size of the
published experiments: 100 × 100 neurons over 1,000 samples. Everything runs on one thread.
"""

import os
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture

from bridgex.analysis.arrays import dependence
from bridgex.testing import reference

NEURONS, SAMPLES = (100, 1000) if os.environ.get("BRIDGEX_BENCH") == "full" else (6, 64)
SUBSET = 2
TOLERANCE = 1e-3
BANDWIDTHS = pytest.mark.parametrize("bandwidth", ["neuron", "layer"])

Rows = NDArray[np.float32]


@pytest.fixture(scope="module")
def sets() -> tuple[Rows, Rows]:
    """Two sets with heavy tails; half of the second depends on the first."""
    rng = np.random.default_rng(0)
    x = rng.standard_t(5, size=(NEURONS, SAMPLES)).astype(np.float32)
    y = rng.standard_t(5, size=(NEURONS, SAMPLES)).astype(np.float32)
    y[::2] += x[::2] ** 2 - x[1::2]
    return x, y


@BANDWIDTHS
def test_bridgex(benchmark: BenchmarkFixture, sets: tuple[Rows, Rows], bandwidth: Any) -> None:
    result = benchmark(dependence, *sets, bandwidth=bandwidth, tol=TOLERANCE, threads=1)
    benchmark.extra_info.update(pairs=NEURONS**2, rank=result.rank, bound=result.error_bound)
    assert result.layer_score == pytest.approx(exact_score(sets, bandwidth), abs=TOLERANCE)


@BANDWIDTHS
def test_torch_centred_kernels_and_one_product(
    benchmark: BenchmarkFixture, sets: tuple[Rows, Rows], bandwidth: Any
) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        matrix = benchmark(torch_debiased_cka, *standard_sets(sets, bandwidth))
    finally:
        torch.set_num_threads(threads)
    benchmark.extra_info.update(pairs=NEURONS**2)
    score = reference.layer_score(matrix.numpy().astype(np.float64))
    assert score == pytest.approx(exact_score(sets, bandwidth), abs=1e-4)


@BANDWIDTHS
def test_numpy_pair_by_pair_on_a_subset(
    benchmark: BenchmarkFixture, sets: tuple[Rows, Rows], bandwidth: Any
) -> None:
    """The definition, on few pairs: the time of all is extrapolated from ``pairs``."""
    x, y = (rows[:SUBSET] for rows in sets)
    matrix = benchmark(reference.dependence_matrix, x, y, bandwidth=bandwidth)
    benchmark.extra_info.update(pairs=SUBSET**2)
    score = dependence(x, y, bandwidth=bandwidth, tol=TOLERANCE).layer_score
    assert reference.layer_score(matrix) == pytest.approx(score, abs=TOLERANCE)


def exact_score(sets: tuple[Rows, Rows], bandwidth: Any) -> float:
    return dependence(*sets, bandwidth=bandwidth, tol=0.0, dtype="f64").layer_score


def standard_sets(sets: tuple[Rows, Rows], bandwidth: Any) -> list[torch.Tensor]:
    """Standardised rows over their kernel widths, which the rival is given for nothing."""
    rows = [reference.standardise(one) for one in sets]
    found = dependence(*sets, bandwidth=bandwidth, tol=0.1)
    widths = [found.bandwidth_x, found.bandwidth_y]
    return [
        torch.from_numpy((one / width[:, None]).astype(np.float32))
        for one, width in zip(rows, widths, strict=True)
    ]


def torch_debiased_cka(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    first, second = (u_centred(rows).flatten(1) for rows in (x, y))
    own = [one.square().sum(1).rsqrt() for one in (first, second)]
    return (first @ second.T) * own[0][:, None] * own[1]


def u_centred(u: torch.Tensor) -> torch.Tensor:
    """Kernels with zero diagonals, centred so that their products are the unbiased estimator."""
    size = u.shape[1]
    kernels = torch.exp(-0.5 * (u[:, :, None] - u[:, None, :]).square())
    kernels.diagonal(dim1=1, dim2=2).zero_()
    sums = kernels.sum(2)
    total = sums.sum(1)[:, None, None] / ((size - 1) * (size - 2))
    kernels += total - (sums[:, :, None] + sums[:, None, :]) / (size - 2)
    kernels.diagonal(dim1=1, dim2=2).zero_()
    return kernels
