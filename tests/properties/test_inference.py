"""What is made of resampled scores, against the plain definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from bridgex.analysis import inference
from bridgex.testing import inference as plain

Scores = NDArray[np.float64]


@st.composite
def some_scores(draw: st.DrawFn) -> tuple[Scores, Scores]:
    """Return layer scores, and those of resamples, some of them missing, some tied or constant."""
    layers, bridges, count = (
        draw(st.integers(1, 3)),
        draw(st.integers(1, 5)),
        draw(st.integers(2, 40)),
    )
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    every = rng.normal(size=(count + 1, layers, bridges)) + 0.5 * rng.normal(size=(count + 1, 1, 1))
    if draw(st.booleans()):
        every = np.round(every, 1)
    missing = rng.random((layers, bridges)) < draw(st.sampled_from([0.0, 0.3, 1.0]))
    every[:, missing] = np.nan
    if draw(st.booleans()):
        every[1:, 0, 0] = every[1, 0, 0]
    return every[0], every[1:]


def same(found: Scores, expected: Scores) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@given(some_scores())
def test_the_permutation_test_is_what_the_definition_says(scores: tuple[Scores, Scores]) -> None:
    observed, permuted = scores
    found = inference.permutation_test(observed, permuted, np.isfinite(observed))
    score = plain.bridge_scores(observed, observed)
    expected = plain.permutation_test(score, plain.bridge_scores(permuted, observed))
    same(found.p, expected.p)
    same(found.z, expected.z)
    same(found.family_p, expected.family_p)
    for layer, one in enumerate(observed):
        by_layer = plain.permutation_test(one, permuted[:, layer])
        same(found.layer_z[layer], by_layer.z)
        same(found.layer_p[layer], by_layer.p)


def test_the_test_is_of_the_mean_over_the_layers_that_are_used() -> None:
    rng = np.random.default_rng(5)
    observed, permuted = rng.normal(size=(2, 3)), rng.normal(size=(50, 2, 3))
    used = np.array([[True, False, True], [True, True, True]])
    observed[0, 2] = permuted[:, 0, 2] = np.nan
    found = inference.permutation_test(observed, permuted, used)
    one = inference.permutation_test(observed[1:], permuted[:, 1:], used[1:])
    assert (found.z[1], found.p[1]) == (one.z[1], one.p[1])
    assert np.isnan([found.z[2], found.p[2], found.family_p[2], found.layer_p[0, 1]]).all()
    assert np.isfinite([found.z[0], found.layer_p[1, 2]]).all()


@given(some_scores(), st.integers(8, 60), st.booleans())
def test_stability_is_what_the_definition_says(
    scores: tuple[Scores, Scores], words: int, lose: bool
) -> None:
    observed, resampled = scores
    score = plain.bridge_scores(observed, observed)
    halves = plain.bridge_scores(resampled, observed)
    used = np.isfinite(observed)
    assert np.array_equal(inference.bridge_scores(resampled, used), halves, equal_nan=True)
    if lose:
        halves[:, score.argmax()] = np.nan
    judged = np.where(np.isfinite(halves).any(axis=0), score, np.nan)
    known = np.isfinite(judged)
    if not known.any():
        assert not inference.complete_halves(halves).any()
        return
    found = inference.stability(score, halves, words)
    scatter = plain.deviations(halves, words)
    low, high = plain.interval(judged, scatter)
    same(found.low, low)
    same(found.high, high)
    assert np.isnan(found.probability_of_best[~known]).all()
    assert found.resamples == len(scatter)
    best = plain.probability_of_best(judged, scatter)
    same(found.probability_of_best[known], best[known])
    assert np.array_equal(found.may_be_best, plain.may_be_best(judged, scatter)[0])


def test_a_candidate_that_no_half_can_score_does_not_hide_the_others() -> None:
    halves = np.random.default_rng(3).normal(size=(200, 3)) * [np.nan, 0.1, 0.1]
    found = inference.stability(np.array([9.0, 1.0, 1.01]), halves, 40)
    assert found.may_be_best.tolist() == [False, True, True]
    assert np.isnan([found.low[0], found.high[0], found.probability_of_best[0]]).all()
    assert found.probability_of_best[1:].sum() == pytest.approx(1)


def test_halves_are_complete_where_they_score_what_any_half_scores() -> None:
    nan = np.nan
    halves = np.array([[1.0, nan, nan], [1.0, 2.0, nan], [nan, 2.0, nan]])
    assert inference.complete_halves(halves).tolist() == [False, True, False]
    assert not inference.complete_halves(np.full((3, 2), nan)).any()


@given(some_scores(), st.data())
def test_halves_that_lack_a_score_are_left_out(
    scores: tuple[Scores, Scores], data: st.DataObject
) -> None:
    _, resampled = scores
    halves = resampled[:, 0].copy()
    lacking = data.draw(st.integers(0, len(halves) - 1))
    halves[lacking, 0] = np.nan
    assume(inference.complete_halves(halves).any())
    same(inference.deviations(halves, 20), plain.deviations(halves, 20))


@pytest.mark.parametrize("shift", [0.0, 3.0])
def test_the_best_is_told_apart_only_where_it_leads(shift: float) -> None:
    rng = np.random.default_rng(0)
    found = inference.stability(np.array([shift, 0.0, 0.0]), rng.normal(size=(400, 3)) * 0.3, 40)
    assert found.may_be_best.all() == (shift == 0.0)
