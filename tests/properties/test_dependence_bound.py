"""The error bound holds, above all for rows that are made to break it."""

from typing import Any

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from tests.dependence_cases import (
    ESTIMATORS,
    NORMALIZE,
    Rows,
    agree,
    computed,
    condition,
    hostile_sets,
    row_sets,
)

from bridgex.analysis.arrays import dependence, spectrum_scores
from bridgex.testing import reference

TOLERANCES = st.sampled_from([0.5, 0.1, 1e-2, 1e-3, 1e-5, 1e-8])
OPTIONS = st.fixed_dictionaries(
    {
        "estimator": ESTIMATORS,
        "normalize": NORMALIZE,
        "bandwidth": st.sampled_from(
            ["neuron", "layer", "reference", 1e-3, 0.03, 0.3, 1.0, 5.0, 1e3]
        ),
    }
)


def rounding(sets: tuple[Rows, Rows], options: dict[str, Any], plain: Rows) -> float:
    largest = float(np.nanmax(np.abs(plain), initial=1e-3))
    return 1e-8 * max(1.0, largest) + 1e-14 * condition(sets, options)


@settings(max_examples=400)
@given(sets=st.one_of(hostile_sets(), row_sets()), options=OPTIONS, tol=TOLERANCES)
def test_no_entry_is_further_from_its_definition_than_the_bound(
    sets: tuple[Rows, Rows], options: dict[str, Any], tol: float
) -> None:
    result = computed(sets, **options, tol=tol, dtype="f64")
    if result is None:
        return
    assert result.matrix is not None
    plain = reference.dependence_matrix(*sets, **options)
    slack = rounding(sets, options, plain)
    agree(result.matrix, plain, result.error_bound + slack)
    score = reference.layer_score(plain)
    assert np.isnan(score) == np.isnan(result.layer_score)
    assert np.isnan(score) or abs(result.layer_score - score) <= result.error_bound + slack
    assert result.error_bound >= 0.0
    assert options["normalize"] == "none" or result.error_bound <= max(tol, 1e-12)
    assert result.rank > 0 or result.error_bound == 0.0
    event("features" if result.rank > 0 else "kernels")


@settings(max_examples=100)
@given(sets=hostile_sets(), estimator=ESTIMATORS, tol=st.sampled_from([0.1, 1e-3]))
def test_single_precision_adds_only_its_rounding(
    sets: tuple[Rows, Rows], estimator: Any, tol: float
) -> None:
    exact = dependence(*sets, estimator=estimator, tol=0.0, dtype="f64", matrix=True).matrix
    result = dependence(*sets, estimator=estimator, tol=tol, matrix=True)
    assert result.matrix is not None
    assert exact is not None
    largest = max(1.0, float(np.nanmax(np.abs(exact), initial=0.0)))
    agree(result.matrix, exact, result.error_bound + 5e-6 * largest)


@settings(max_examples=60)
@given(sets=hostile_sets(), options=OPTIONS, tol=st.sampled_from([0.1, 1e-3]))
def test_the_bound_of_a_spectrum_holds_for_every_candidate(
    sets: tuple[Rows, Rows], options: dict[str, Any], tol: float
) -> None:
    pair, union = sets
    members = [[row] for row in range(len(union))] + [list(range(len(union)))]
    scores = spectrum_scores([pair], [union], [members], tol=tol, **options)
    options = options | {"dtype": "f64", "tol": 0.0}
    if options["bandwidth"] == "layer":
        every = np.concatenate([reference.standardise(rows) for rows in sets])
        width = reference.layer_bandwidth(every)
        options["bandwidth"] = width if np.isfinite(width) else 1.0
    for candidate, rows in enumerate(members):
        if scores.reason[0, candidate]:
            continue
        expected = dependence(pair, union[rows], **options).layer_score
        slack = scores.error_bound[0] + 5e-6 * max(1.0, abs(expected))
        assert abs(scores.score[0, candidate] - expected) <= slack


@pytest.mark.parametrize("bandwidth", ["neuron", "layer"])
@pytest.mark.parametrize("tol", [1e-5, 1.01e-4, 1.5e-4, 3e-4, 1e-2])
def test_the_tolerance_is_kept_in_single_precision(tol: float, bandwidth: Any) -> None:
    rng = np.random.default_rng(3)
    sets = rng.normal(size=(8, 600)), rng.standard_t(4, size=(8, 600))
    assert 0 < dependence(*sets, tol=tol, bandwidth=bandwidth).error_bound <= tol
