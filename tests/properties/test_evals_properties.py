"""Statistics against their plain definitions, and scoring against what it promises."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from bridgex.errors import InvalidInputError
from bridgex.evals.scoring import find_scoring
from bridgex.evals.statistics import (
    holm,
    kendall_tau,
    mcnemar_p,
    paired_difference,
    spearman_rho,
)

Marks = tuple[NDArray[np.bool_], NDArray[np.bool_]]
Rows = tuple[list[int], list[int]]

marks = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40).map(
    lambda rows: (np.array([r[0] for r in rows]), np.array([r[1] for r in rows]))
)
values = st.lists(st.tuples(st.integers(-4, 4), st.integers(-4, 4)), min_size=2, max_size=12).map(
    lambda rows: ([r[0] for r in rows], [r[1] for r in rows])
)
few = st.lists(st.floats(0, 1), max_size=6)
text = st.text(alphabet=st.sampled_from('ab "“”«»「」→\n\u05b0\u064bÉß.'), max_size=12)


@given(marks)
def test_mcnemar_is_the_two_sided_sign_test(pair: Marks) -> None:
    correct, baseline = pair
    gained, lost = int((correct & ~baseline).sum()), int((baseline & ~correct).sum())
    n = gained + lost
    at_least_as_far = sum(
        Fraction(math.comb(n, k), 2**n)
        for k in range(n + 1)
        if abs(2 * k - n) >= abs(gained - lost)
    )
    assert mcnemar_p(correct, baseline) == pytest.approx(float(at_least_as_far), rel=1e-12)


@given(marks)
def test_the_difference_turns_with_its_sides_and_is_reproducible(pair: Marks) -> None:
    found = paired_difference(*pair, resamples=500)
    back = paired_difference(pair[1], pair[0], resamples=500)
    assert found.value == pytest.approx(pair[0].mean() - pair[1].mean())
    assert -1 <= found.low <= found.high <= 1
    if (pair[0] == pair[1]).all():
        assert found == (0, 0, 0)
    assert back.value == -found.value
    assert found == paired_difference(*pair, resamples=500)


def test_the_interval_is_that_of_drawing_examples() -> None:
    rng = np.random.default_rng(1)
    correct, baseline = rng.random(200) < 0.5, rng.random(200) < 0.4
    found = paired_difference(correct, baseline, resamples=20_000)
    differences = correct.astype(float) - baseline
    drawn = differences[rng.integers(0, 200, size=(20_000, 200))].mean(axis=1)
    assert np.allclose([found.low, found.high], np.quantile(drawn, [0.025, 0.975]), atol=0.006)


@given(few)
def test_holm_rejects_what_the_step_down_procedure_rejects(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    for level in (0.01, 0.05, 0.5):
        rejected = set()
        for step, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
            if p_values[place] * (len(p_values) - step) > level:
                break
            rejected.add(place)
        assert {n for n, p in enumerate(adjusted) if p <= level} == rejected


@given(values)
def test_kendall_counts_pairs(rows: Rows) -> None:
    x, y = rows
    pairs = list(itertools.combinations(range(len(x)), 2))
    agree = sum((x[i] - x[j]) * (y[i] - y[j]) > 0 for i, j in pairs)
    differ = sum((x[i] - x[j]) * (y[i] - y[j]) < 0 for i, j in pairs)
    free_x = sum(x[i] != x[j] for i, j in pairs)
    free_y = sum(y[i] != y[j] for i, j in pairs)
    if free_x and free_y:
        assert kendall_tau(x, y) == pytest.approx((agree - differ) / math.sqrt(free_x * free_y))
    else:
        assert math.isnan(kendall_tau(x, y))


@given(values)
def test_spearman_is_the_correlation_of_mean_ranks(rows: Rows) -> None:
    def ranks(row: list[int]) -> list[float]:
        ordered = sorted(row)
        return [ordered.index(v) + (ordered.count(v) - 1) / 2 for v in row]

    if len(set(rows[0])) > 1 and len(set(rows[1])) > 1:
        expected = np.corrcoef(ranks(rows[0]), ranks(rows[1]))[0, 1]
        assert spearman_rho(*rows) == pytest.approx(expected, abs=1e-12)
    else:
        assert math.isnan(spearman_rho(*rows))


@given(text, text)
def test_nothing_after_a_complete_answer_changes_it(before: str, after: str) -> None:
    rule = find_scoring("quoted")
    assert rule.is_complete is not None
    if rule.is_complete(before):
        assert rule.extract(before) == rule.extract(before + after)


@given(text, st.sampled_from(["quoted", "published"]), st.sampled_from(["he", "ar", "ja"]))
def test_a_normal_form_is_its_own_normal_form(word: str, name: str, language: str) -> None:
    rule = find_scoring(name)
    once = rule.normalise(word, language)
    assert rule.normalise(once, language) == once
    assert rule.is_correct(word, (word,), language) is bool(once)


def test_what_cannot_be_compared_is_refused() -> None:
    one, two = np.array([True]), np.array([True, False])
    with pytest.raises(InvalidInputError, match=r"got shapes \(1,\) and \(2,\)"):
        mcnemar_p(one, two)
    with pytest.raises(InvalidInputError, match=r"got shapes \(0,\)"):
        paired_difference(one[:0], one[:0])
    with pytest.raises(InvalidInputError, match=r"got 1\.0 and 10"):
        paired_difference(one, one, confidence=1.0, resamples=10)
    with pytest.raises(InvalidInputError, match="equal length"):
        kendall_tau([1.0], [1.0, 2.0])
    with pytest.raises(InvalidInputError, match="finite"):
        spearman_rho([1.0, math.nan], [1.0, 2.0])
