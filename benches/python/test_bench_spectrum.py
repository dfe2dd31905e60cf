"""Whole questions: a pair of languages in every layer, its permutations, and all pairs."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from benches.python.workload import FULL, MIDDLE, PERMUTATIONS, SAMPLES, spectrum

from bridgex.analysis.arrays import spectrum_scores
from bridgex.analysis.resampling import resampled_scores

if TYPE_CHECKING:
    from collections.abc import Callable

    from benches.python.workload import Spectrum
ROUNDS = {"layer": 5 if FULL else 1, "neuron": 3 if FULL else 1}
# Of few permutations the time of all follows: each is the same product.
FEWER = 50 if FULL else 2


@cache
def whole() -> Spectrum:
    """Return one pair's spectrum, made once."""
    return spectrum()


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("bandwidth", ["layer", "neuron"])
def test_one_pair(
    timed: Callable[..., Any], record: Callable[..., None], bandwidth: Any, threads: int
) -> None:
    one = whole()
    found = timed(
        spectrum_scores,
        one.pair,
        one.bridge,
        one.members,
        bandwidth=bandwidth,
        threads=threads,
        rounds=ROUNDS[bandwidth],
    )
    record(
        f"pair {bandwidth}",
        f"{threads} threads",
        rank=int(found.rank.max()),
        error_bound=float(found.error_bound.max()),
    )
    first = one.layers(range(1))
    finer = spectrum_scores(first.pair, first.bridge, first.members, bandwidth=bandwidth, tol=1e-5)
    np.testing.assert_allclose(found.score[:1], finer.score, atol=1e-3)


@pytest.mark.parametrize("bandwidth", ["layer", "neuron"])
def test_permutations(
    timed: Callable[..., Any], record: Callable[..., None], bandwidth: Any
) -> None:
    middle = whole().layers(MIDDLE)
    count = PERMUTATIONS if bandwidth == "layer" else PERMUTATIONS // FEWER
    rng = np.random.default_rng(0)
    orders = np.stack([rng.permutation(SAMPLES) for _ in range(count)])
    found = timed(
        resampled_scores,
        middle.pair,
        middle.bridge,
        middle.members,
        permutations=orders,
        bandwidth=bandwidth,
        threads=2,
        rounds=ROUNDS["neuron"],
    )
    scale = PERMUTATIONS / count
    record(f"permutations {bandwidth}", "bridgex", rank=int(found.rank.max()), scale=scale)
    moved = [rows[:, orders[0]] for rows in middle.bridge]
    again = resampled_scores(middle.pair, moved, middle.members, bandwidth=bandwidth)
    np.testing.assert_allclose(found.permuted[0], again.observed, atol=1e-4)


def test_all_pairs(timed: Callable[..., Any], record: Callable[..., None]) -> None:
    """In a process of its own, which says how long its calls took and how much memory it had."""
    command = [sys.executable, "-m", "benches.python.all_pairs"]
    root = Path(__file__).parents[2]

    def run() -> dict[str, Any]:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    found = timed(run)
    record("all pairs", "bridgex", **found)
    assert found["finite"]
