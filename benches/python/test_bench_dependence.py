"""Dependence of two sets of neurons, beside what else computes it, everything on one thread.

Rivals are asserted to agree before their time counts.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from benches.python import rivals
from benches.python.workload import BLOCK, NEURONS, kurtosis, two_sets

from bridgex.analysis.arrays import dependence

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_benchmark.fixture import BenchmarkFixture

# Tolerances as the targets state them.
TOLERANCES = {"layer": 1e-4, "reference": 1e-4, "neuron": 1e-3}
# The series itself ends too early for the heaviest tails.
TAYLOR_TOLERANCE = 1e-3
SUBSET = 2
PUBLISHED = {"estimator": "reference", "normalize": "none"}


@cache
def exact(bandwidth: Any) -> Any:
    """Return the dependence from the kernels themselves, in double precision."""
    options: Any = PUBLISHED if bandwidth == "reference" else {}
    return dependence(
        *two_sets(), bandwidth=bandwidth, tol=0.0, dtype="f64", matrix=True, **options
    )


@pytest.mark.parametrize("bandwidth", TOLERANCES)
def test_bridgex(benchmark: BenchmarkFixture, record: Callable[..., None], bandwidth: Any) -> None:
    sets, tolerance = two_sets(), TOLERANCES[bandwidth]
    options: Any = PUBLISHED if bandwidth == "reference" else {}
    found = benchmark(dependence, *sets, bandwidth=bandwidth, tol=tolerance, threads=1, **options)
    tails = kurtosis(np.concatenate(sets))
    record(
        bandwidth,
        "bridgex",
        rank=found.rank,
        error_bound=found.error_bound,
        kurtosis=float(np.median(tails)),
        kurtosis_max=float(tails.max()),
    )
    assert found.layer_score == pytest.approx(exact(bandwidth).layer_score, abs=tolerance)


@pytest.mark.parametrize("bandwidth", ["layer", "neuron"])
def test_centred_kernels(
    benchmark: BenchmarkFixture, record: Callable[..., None], bandwidth: Any
) -> None:
    scaled = rivals.scaled(*two_sets(), bandwidth)
    found = benchmark(rivals.centred_kernels, *scaled).numpy()
    record(bandwidth, "torch")
    np.testing.assert_allclose(found, exact(bandwidth).matrix, atol=1e-4)


def test_taylor_series(benchmark: BenchmarkFixture, record: Callable[..., None]) -> None:
    found = benchmark(rivals.taylor, *rivals.scaled(*two_sets(), "layer"))
    record("layer", "taylor")
    np.testing.assert_allclose(found, exact("layer").matrix, atol=TAYLOR_TOLERANCE)


def test_published_loop(timed: Callable[..., Any], record: Callable[..., None]) -> None:
    """A few pairs, whose kernels are given: all pairs would take minutes."""
    scaled = rivals.scaled(*two_sets(), "reference")
    kernels = [rivals.kernels(one[:SUBSET]) for one in scaled]
    found = timed(rivals.published_loop, *kernels, rounds=7, warm_up=True).numpy()
    record("reference", "published loop", timed=SUBSET**2, scale=NEURONS**2 / SUBSET**2)
    expected = exact("reference").matrix[:SUBSET, :SUBSET]
    np.testing.assert_allclose(found, expected, atol=1e-3 * abs(expected).max())


@pytest.mark.parametrize("bandwidth", ["layer", "neuron"])
def test_block(benchmark: BenchmarkFixture, record: Callable[..., None], bandwidth: Any) -> None:
    sets, tolerance = two_sets(BLOCK), TOLERANCES[bandwidth]
    found = benchmark(dependence, *sets, bandwidth=bandwidth, tol=tolerance, threads=1)
    record(f"block {bandwidth}", "bridgex", rank=found.rank, error_bound=found.error_bound)
    finer = dependence(*sets, bandwidth=bandwidth, tol=tolerance / 100, dtype="f64")
    assert found.layer_score == pytest.approx(finer.layer_score, abs=tolerance)


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("bandwidth", ["layer", "neuron"])
def test_product_of_block(
    benchmark: BenchmarkFixture, record: Callable[..., None], bandwidth: Any, library: str
) -> None:
    """The matrix product inside the above and nothing else: the floor of any such method."""
    one, other = rivals.factors(*two_sets(BLOCK), bandwidth, TOLERANCES[bandwidth])
    product = rivals.PRODUCTS[library]
    found = benchmark(product, one, other)
    work = 2 * len(one) * len(other) * one.shape[1]
    record(f"block {bandwidth}", f"{library} product", features=[len(one), len(other)], flop=work)
    np.testing.assert_allclose(found[:4], one[:4].astype(float) @ other.T.astype(float), atol=1e-2)
