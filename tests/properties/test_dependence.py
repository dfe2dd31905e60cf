"""Dependence against its plain definition."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.dependence_cases import OPTIONS, Rows, agree, computed, condition, row_sets

from bridgex.analysis.arrays import Reason, dependence, spectrum_scores
from bridgex.testing import reference


@settings(max_examples=150, deadline=None)
@given(sets=row_sets(), options=OPTIONS, tol=st.sampled_from([0.0, 1e-3, 0.1]))
def test_every_entry_is_within_the_bound(
    sets: tuple[Rows, Rows], options: dict[str, Any], tol: float
) -> None:
    noise = {"f64": 1e-8, "f32": 5e-6}  # of the definition far from zero; of f32 products
    result = computed(sets, **options, tol=tol)
    if result is None:
        return
    plain = reference.dependence_matrix(*sets, **options)
    for dtype in ("f64", "f32"):
        result = computed(sets, **options, tol=tol, dtype=dtype)
        assert result is not None
        assert result.matrix is not None
        largest = np.nanmax(np.abs(plain), initial=1e-3)
        rounding = noise[dtype] * max(1.0, largest) + 1e-14 * condition(sets, options)
        agree(result.matrix, plain, result.error_bound + rounding)
        assert options["normalize"] == "none" or result.error_bound <= max(tol, 1e-12)


@settings(max_examples=60, deadline=None)
@given(sets=row_sets(), options=OPTIONS)
def test_maxima_and_score_are_those_of_the_matrix(
    sets: tuple[Rows, Rows], options: dict[str, Any]
) -> None:
    result = computed(sets, **options)
    if result is None:
        return
    assert result.matrix is not None
    numbers = np.where(np.isnan(result.matrix), -np.inf, result.matrix)
    for axis, best in ((1, result.row_max), (0, result.column_max)):
        np.testing.assert_array_equal(np.where(np.isnan(best), -np.inf, best), numbers.max(axis))
    expected = reference.layer_score(result.matrix)
    assert result.layer_score == pytest.approx(expected, abs=1e-12, nan_ok=True)
    bare = dependence(*sets, **options)
    assert bare.matrix is None
    assert bare.layer_score == pytest.approx(result.layer_score, abs=0.0, nan_ok=True)


@settings(max_examples=60, deadline=None)
@given(sets=row_sets())
def test_constant_rows_score_zero_and_are_counted(sets: tuple[Rows, Rows]) -> None:
    constant = [reference.is_constant(rows) for rows in sets]
    result = dependence(*sets, matrix=True)
    assert result.constant_rows == sum(int(rows.sum()) for rows in constant)
    assert result.matrix is not None
    left_out = np.isnan(result.matrix)
    assert np.all((result.matrix[constant[0]] == 0.0) | left_out[constant[0]])
    assert np.all((result.matrix[:, constant[1]] == 0.0) | left_out[:, constant[1]])


def test_a_row_with_one_outlier_is_left_out_and_counted() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 30))
    x[0] = np.arange(30) == 7
    result = dependence(x, rng.normal(size=(3, 30)), matrix=True)
    assert result.matrix is not None
    assert (result.left_out, result.constant_rows) == (1, 0)
    assert np.isnan(result.row_max[0])
    assert np.isnan(result.matrix[0]).all()
    assert np.isfinite(result.layer_score)
    assert result.layer_score == pytest.approx(reference.layer_score(result.matrix))
    # The biased estimator's own term is positive for it.
    assert dependence(x, x, estimator="biased").left_out == 0


def test_a_zero_median_falls_back_to_the_differences_that_are_not_zero() -> None:
    row = np.zeros((1, 40))
    row[0, :6] = [1.0, 1.0, 1.0, 1.0, 1.0, 3.0]
    standard = reference.standardise(row)[0]
    expected = reference.median_difference(standard)
    assert np.median(np.abs(standard[:, None] - standard[None, :])) == 0.0
    assert expected > 0.0
    assert dependence(row, row).bandwidth_x[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("bandwidth", ["neuron", "layer"])
@pytest.mark.parametrize("estimator", ["unbiased", "reference"])
def test_features_are_in_use_and_pay(bandwidth: Any, estimator: Any) -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_t(4, size=(3, 300))
    y = np.concatenate([x[:1] ** 2, rng.standard_t(4, size=(2, 300))])
    plain = reference.dependence_matrix(x, y, estimator=estimator, bandwidth=bandwidth)
    ranks = []
    for tol in (1e-1, 1e-2, 1e-3):
        result = dependence(x, y, estimator=estimator, bandwidth=bandwidth, tol=tol, matrix=True)
        assert result.matrix is not None
        assert np.abs(result.matrix - plain).max() <= result.error_bound + 5e-6
        assert 0 < result.error_bound <= tol
        ranks.append(result.rank)
    assert 0 < ranks[0] <= ranks[1]
    assert 0 < ranks[2] <= 300 / 16  # beyond which kernels are used
    assert ranks[1] <= 300 / 16


def test_results_do_not_depend_on_threads_or_on_the_company_of_rows() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(80, 120)), rng.normal(size=(90, 120))
    one, many = (dependence(x, y, threads=threads, matrix=True) for threads in (1, 3))
    np.testing.assert_array_equal(one.matrix, many.matrix)
    alone = dependence(x[:3], y[:5], dtype="f64", tol=1e-6, matrix=True).matrix
    assert alone is not None
    crowd = dependence(x, y, dtype="f64", tol=1e-6, matrix=True).matrix
    assert crowd is not None
    np.testing.assert_allclose(crowd[:3, :5], alone, atol=2e-6)


@settings(max_examples=40, deadline=None)
@given(data=st.data(), options=OPTIONS)
def test_a_spectrum_is_the_dependence_of_every_candidate(
    data: st.DataObject, options: dict[str, Any]
) -> None:
    pair, union = data.draw(row_sets())
    subsets = st.lists(st.integers(0, len(union) - 1), unique=True)
    members = data.draw(st.lists(subsets, min_size=1, max_size=3))
    scores = spectrum_scores([pair, pair[:0]], [union, union], [members, members], **options)
    assert scores.score.shape == scores.reason.shape == (2, len(members))
    assert np.all(scores.reason[1] == Reason.NO_PAIR_NEURONS)
    for candidate, rows in enumerate(members):
        score, reason = scores.score[0, candidate], Reason(int(scores.reason[0, candidate]))
        assert np.isnan(score) == (reason != Reason.ESTIMABLE)
        if not rows:
            assert reason is Reason.NO_BRIDGE_NEURONS
            continue
        if options["bandwidth"] == "layer" or reason is Reason.NO_BANDWIDTH:
            continue  # the width depends on the union; compared below
        one = dependence(pair, union[rows], **options)
        largest = max(1.0, abs(float(np.nanmax(one.row_max, initial=0.0))))
        slack = one.error_bound + scores.error_bound[0] + 5e-6 * largest
        assert score == pytest.approx(one.layer_score, abs=slack, nan_ok=True)
        counts = scores.constant_rows[0, candidate], scores.left_out[0, candidate]
        assert counts == (one.constant_rows, one.left_out)


def test_the_layer_bandwidth_is_shared_by_all_candidates() -> None:
    rng = np.random.default_rng(3)
    pair, union = rng.normal(size=(4, 60)), rng.standard_t(3, size=(6, 60))
    width = reference.layer_bandwidth(reference.standardise(np.concatenate([pair, union])))
    members = [[0, 1, 2], [3, 4, 5]]
    scores = spectrum_scores([pair], [union], [members], bandwidth="layer")
    for candidate, rows in enumerate(members):
        plain = reference.dependence_matrix(pair, union[rows], bandwidth=width)
        expected = reference.layer_score(plain)
        assert scores.score[0, candidate] == pytest.approx(expected, abs=1.1e-3)


@settings(max_examples=30, deadline=None)
@given(sets=row_sets(), bad=st.sampled_from([np.nan, np.inf, -np.inf]), data=st.data())
def test_values_that_are_not_finite_are_named(
    sets: tuple[Rows, Rows], bad: float, data: st.DataObject
) -> None:
    x, y = sets
    row = data.draw(st.integers(0, len(y) - 1))
    sample = data.draw(st.integers(0, y.shape[1] - 1))
    y[row, sample] = bad
    with pytest.raises(ValueError, match=rf"y must be finite, but row {row} holds .* {sample}\n"):
        dependence(x, y)
    with pytest.raises(ValueError, match=rf"bridge_rows\[1\] must be finite, but row {row} "):
        spectrum_scores([x, x], [x, y], [[[0]], [[0]]])
