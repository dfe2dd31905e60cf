"""Values that were derived before the code was written; the Rust tests read the same file."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bridgex.analysis.arrays import dependence
from bridgex.testing import reference

GOLDEN = json.loads(Path(__file__).with_name("dependence.json").read_text(encoding="utf-8"))
CASES = pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: case["name"])


def inputs() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    a = np.arange(float(GOLDEN["samples"]))
    x = np.array([np.sin(a + 1), np.cos(2 * a), (7 * a) % 16])
    y = np.array([np.sin(a + 1) ** 2, (5 * a) % 11, np.log1p(a)])
    return x, y


def named(name: str) -> dict[str, Any]:
    return next(case for case in GOLDEN["cases"] if case["name"] == name)


def check(case: dict[str, Any], matrix: NDArray[np.float64], layer_score: float) -> None:
    assert "matrix" in case or "layer_score" in case
    if "matrix" in case:
        np.testing.assert_allclose(matrix * case["factor"], case["matrix"], rtol=1e-7, atol=6e-11)
    if "layer_score" in case:
        assert layer_score * case["factor"] == pytest.approx(case["layer_score"], abs=1.1e-12)


@CASES
@pytest.mark.parametrize("dtype", ["f64", "f32"])
def test_kernels_give_the_golden_values(case: dict[str, Any], dtype: Any) -> None:
    x, y = inputs()
    result = dependence(
        x,
        y,
        estimator=case["estimator"],
        normalize=case["normalize"],
        bandwidth=case["bandwidth"],
        tol=0.0,
        dtype=dtype,
        matrix=True,
    )
    assert (result.rank, result.error_bound) == (0, 0.0)
    assert result.matrix is not None
    check(case, result.matrix, result.layer_score)
    for widths, side in ((result.bandwidth_x, "x"), (result.bandwidth_y, "y")):
        golden = GOLDEN["widths"][case["bandwidth"]][side]
        np.testing.assert_allclose(widths, golden, rtol=1e-11)


@CASES
def test_features_stay_within_their_bound(case: dict[str, Any]) -> None:
    x, y = inputs()
    result = dependence(
        x,
        y,
        estimator=case["estimator"],
        normalize=case["normalize"],
        bandwidth=case["bandwidth"],
        tol=0.05,
        dtype="f64",
        matrix=True,
    )
    assert result.matrix is not None
    if "matrix" in case:
        golden = np.array(case["matrix"]) / case["factor"]
        assert np.abs(result.matrix - golden).max() <= result.error_bound + 1e-10
    if "layer_score" in case:
        golden_score = case["layer_score"] / case["factor"]
        assert abs(result.layer_score - golden_score) <= result.error_bound + 1e-12


@CASES
def test_the_plain_definition_gives_the_golden_values(case: dict[str, Any]) -> None:
    x, y = inputs()
    matrix = reference.dependence_matrix(
        x,
        y,
        estimator=case["estimator"],
        normalize=case["normalize"],
        bandwidth=case["bandwidth"],
    )
    check(case, matrix, reference.layer_score(matrix))


@pytest.mark.parametrize(("name", "best"), GOLDEN["best_match_of_row_0"].items())
def test_the_best_match_depends_on_the_estimator(name: str, best: int) -> None:
    x, y = inputs()
    case = named(name)
    result = dependence(
        x,
        y,
        estimator=case["estimator"],
        normalize=case["normalize"],
        bandwidth=case["bandwidth"],
        matrix=True,
    )
    assert result.matrix is not None
    assert int(result.matrix[0].argmax()) == best
