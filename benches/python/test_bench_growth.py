"""How the time of a call grows with samples and with pairs of neurons, over three decades."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from benches.python.workload import FULL, two_sets

from bridgex.analysis.arrays import dependence

if TYPE_CHECKING:
    from collections.abc import Callable

NEURONS, SAMPLES = (10, 1000) if FULL else (3, 64)
# Half decades.
MANY_SAMPLES = [100, 316, 1000, 3162, 10_000, 31_623, 100_000] if FULL else [32, 64]
MANY_NEURONS = [10, 18, 32, 56, 100, 178, 316] if FULL else [2, 4]
BANDWIDTHS = pytest.mark.parametrize("bandwidth", ["layer", "neuron"])


@pytest.fixture
def measure(timed: Callable[..., Any], record: Callable[..., None]) -> Callable[..., None]:
    """Time a call, and note what it is a size of."""

    def call(group: str, size: int, neurons: int, samples: int, bandwidth: Any) -> None:
        sets, options = two_sets(neurons, samples), {"bandwidth": bandwidth, "threads": 1}
        found = timed(dependence, *sets, rounds=5 if FULL else 1, warm_up=True, **options)
        record(f"{group}, {bandwidth}", str(size), size=size, rank=found.rank)
        finer = dependence(*sets, bandwidth=bandwidth, tol=1e-5)
        assert found.layer_score == pytest.approx(finer.layer_score, abs=1e-3)

    return call


@BANDWIDTHS
@pytest.mark.parametrize("samples", MANY_SAMPLES)
def test_samples(measure: Callable[..., None], samples: int, bandwidth: str) -> None:
    measure("samples", samples, NEURONS, samples, bandwidth)


@BANDWIDTHS
@pytest.mark.parametrize("neurons", MANY_NEURONS)
def test_neurons(measure: Callable[..., None], neurons: int, bandwidth: str) -> None:
    measure("pairs of neurons", neurons**2, neurons, SAMPLES, bandwidth)
