"""What resampled scores say: the definitions where the answer is known."""

import math
from itertools import combinations, permutations

import numpy as np
import pytest
from numpy.typing import NDArray

from bridgex.testing import inference, reference

Rows = NDArray[np.float64]


def test_a_bridge_score_is_the_mean_over_estimable_layers() -> None:
    nan = np.nan
    observed = np.array([[1.0, nan, nan], [3.0, 4.0, nan]])
    scores = np.array([[[1.0, 7.0, 7.0], [3.0, 4.0, 7.0]], [[nan, 7.0, 7.0], [3.0, 6.0, 7.0]]])
    expected = [[2.0, 4.0, nan], [nan, 6.0, nan]]
    assert np.array_equal(inference.bridge_scores(scores, observed), expected, equal_nan=True)


def test_z_and_p_of_a_score_among_chance_scores() -> None:
    null = np.array([0.0, 1.0, 2.0, 3.0])
    z, p = inference.place_in_null(3.0, null)
    assert z == pytest.approx(1.5 / null.std(ddof=1))
    assert p == 2 / 5
    z, p = inference.place_in_null(1.0, np.ones(9))
    assert math.isnan(z)
    assert p == 1.0


def correlated(rng: np.random.Generator, count: int) -> Rows:
    common = rng.normal(size=(count, 1))
    return common + rng.normal(size=(count, 4))


def test_the_family_wise_p_of_one_candidate_is_its_p() -> None:
    scores = correlated(np.random.default_rng(0), 100)[:, :1]
    result = inference.permutation_test(scores[0], scores[1:])
    assert result.family_p == pytest.approx(result.p)


def test_family_wise_p_values_do_not_know_the_scale_of_a_candidate() -> None:
    scores = correlated(np.random.default_rng(1), 200)
    scores[0, 2] += 5
    plain = inference.permutation_test(scores[0], scores[1:])
    moved = scores * np.array([1.0, 50.0, 1.0, 0.01]) + np.array([0.0, 9.0, 1.0, -3.0])
    again = inference.permutation_test(moved[0], moved[1:])
    assert again.family_p == pytest.approx(plain.family_p)
    assert again.z == pytest.approx(plain.z)
    assert plain.family_p[2] < 0.05
    assert np.all(plain.family_p >= plain.p - 0.02)


def test_the_family_wise_level_is_kept_exactly() -> None:
    """Whichever of the scores is the observed one, the smallest p is as often below a level."""
    scores = correlated(np.random.default_rng(2), 40)
    least = [
        np.min(inference.permutation_test(scores[i], np.delete(scores, i, axis=0)).family_p)
        for i in range(len(scores))
    ]
    assert np.array_equal(np.sort(least), np.arange(1, 41) / 40)


def test_a_candidate_that_cannot_be_scored_takes_no_part() -> None:
    scores = correlated(np.random.default_rng(3), 50)
    without = inference.permutation_test(scores[0, 1:], scores[1:, 1:])
    scores[:, 0] = np.nan
    found = inference.permutation_test(scores[0], scores[1:])
    assert np.isnan([found.z[0], found.p[0], found.family_p[0]]).all()
    assert np.array_equal(found.family_p[1:], without.family_p)
    scatter = inference.deviations(scores[1:], 20)
    assert inference.probability_of_best(scores[0], scatter)[0] == 0
    inside, low = inference.may_be_best(scores[0], scatter)
    assert not inside[0]
    assert np.isnan(low[0])


@pytest.mark.parametrize("words", [8, 9])
def test_the_scatter_of_halves_is_the_standard_error_of_a_mean(words: int) -> None:
    values = np.random.default_rng(4).exponential(size=words)
    halves = np.array([[values[list(c)].mean()] for c in combinations(range(words), words // 2)])
    scatter = inference.deviations(halves, words)
    assert scatter.mean() == pytest.approx(0, abs=1e-12)
    assert scatter.var() == pytest.approx(values.var(ddof=1) / words)


def test_halves_that_lack_a_score_are_left_out() -> None:
    halves = np.array([[1.0, np.nan], [2.0, np.nan], [np.nan, np.nan], [3.0, np.nan]])
    assert inference.deviations(halves, 2)[:, 0].tolist() == [-1.0, 0.0, 1.0]


def test_an_interval_is_around_the_observed_score() -> None:
    scatter = np.random.default_rng(5).normal(size=(100_000, 1)) * 2
    low, high = inference.interval(np.array([7.0]), scatter)
    assert (low[0], high[0]) == pytest.approx((7 - 3.92, 7 + 3.92), abs=0.03)


def test_the_probability_of_being_best_is_a_share_of_resamples() -> None:
    observed = np.array([1.0, 0.0, np.nan])
    scatter = np.array([[0.0, 0.0, np.nan], [-2.0, 0.0, np.nan], [0.0, 0.5, np.nan]])
    assert inference.probability_of_best(observed, scatter) == pytest.approx([2 / 3, 1 / 3, 0])


def test_only_the_best_may_be_best_where_it_leads_by_far() -> None:
    scatter = np.random.default_rng(6).normal(size=(500, 3))
    inside, low = inference.may_be_best(np.array([0.0, 10.0, 1.0]), scatter)
    assert inside.tolist() == [False, True, False]
    assert low[1] == 0
    assert np.all(low[[0, 2]] > 0)


def test_candidates_with_the_same_scores_may_all_be_best() -> None:
    scatter = np.repeat(np.random.default_rng(7).normal(size=(50, 1)), 3, axis=1)
    inside, low = inference.may_be_best(np.full(3, 0.2), scatter)
    assert inside.all()
    assert np.array_equal(low, np.zeros(3))


def test_what_candidates_share_does_not_hide_their_difference() -> None:
    rng = np.random.default_rng(8)
    scatter = rng.normal(size=(2000, 1)) + 0.1 * rng.normal(size=(2000, 2))
    observed = np.array([0.0, 0.5])
    low, high = inference.interval(observed, scatter)
    assert high[0] > low[1]
    assert inference.may_be_best(observed, scatter)[0].tolist() == [False, True]


def test_the_truly_best_is_in_the_set_in_as_many_cases_as_promised() -> None:
    """Equal expectations are the worst case: any candidate is out in 5 % of the cases."""
    rng = np.random.default_rng(9)
    scatter = rng.normal(size=(4000, 4))
    inside = [inference.may_be_best(rng.normal(size=4), scatter)[0][0] for _ in range(600)]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.03)


def kernels(samples: int, seed: int) -> tuple[Rows, Rows]:
    rng = np.random.default_rng(seed)
    rows = reference.standardise(rng.standard_t(3, (2, samples)))
    first, second = (reference.kernel(r, reference.median_difference(r)) for r in rows)
    return reference.centred(first), reference.centred(second)


@pytest.mark.parametrize("samples", [4, 5, 7])
def test_moments_are_those_of_all_permutations(samples: int) -> None:
    a, b = kernels(samples, samples)
    every = [np.sum(a * b[np.ix_(p, p)]) for p in map(list, permutations(range(samples)))]
    found = inference.permutation_moments(a, b)
    assert found.mean == pytest.approx(np.mean(every), rel=1e-12)
    assert found.variance == pytest.approx(np.var(every), rel=1e-10)


def test_the_skewness_is_near_that_of_permutations() -> None:
    a, b = kernels(60, 1)
    rng = np.random.default_rng(10)
    drawn = [np.sum(a * b[np.ix_(p, p)]) for p in (rng.permutation(60) for _ in range(4000))]
    scaled = (np.array(drawn) - np.mean(drawn)) / np.std(drawn)
    assert inference.permutation_moments(a, b).skewness == pytest.approx(
        np.mean(scaled**3), rel=0.2
    )


@pytest.mark.parametrize("value", [0.01, 0.5, 3.0, 9.0, 80.0, 600.0])
def test_the_gamma_tail_where_it_has_a_closed_form(value: float) -> None:
    poisson = math.exp(-value) * sum(value**k / math.factorial(k) for k in range(4))
    assert inference.gamma_tail(4, value) == pytest.approx(poisson, rel=1e-11)
    assert inference.gamma_tail(0.5, value) == pytest.approx(math.erfc(value**0.5), rel=1e-11)


def test_nothing_is_below_the_lower_end_of_a_gamma_distribution() -> None:
    assert inference.gamma_tail(2.0, 0.0) == inference.gamma_tail(2.0, -3.0) == 1.0


def test_pair_p_values_are_uniform_for_independent_rows() -> None:
    found = np.sort([inference.pair_p_value(*kernels(50, seed)) for seed in range(500)])
    steps = np.arange(501) / 500
    distance = max(np.max(steps[1:] - found), np.max(found - steps[:-1]))
    assert distance < 1.63 / 500**0.5  # Kolmogorov-Smirnov at 1 %


def test_a_pair_that_depends_has_a_small_p_value() -> None:
    a, _ = kernels(50, 3)
    assert inference.pair_p_value(a, a) < 1e-12
