"""Which words trade places and which are left out, against the plain definitions."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgex.analysis import Resampling
from bridgex.analysis.word_draws import (
    can_be_permuted,
    word_halves,
    word_numbers,
    word_permutations,
)
from bridgex.errors import InvalidInputError
from bridgex.testing import resampling as plain

if TYPE_CHECKING:
    from collections.abc import Sequence

LABELS = st.lists(st.integers(0, 30), min_size=8, max_size=40).filter(lambda x: len(set(x)) >= 8)


@given(LABELS, st.integers(0, 2**40))
def test_draws_are_those_of_the_definition(labels: list[int], seed: int) -> None:
    words = word_numbers([f"kata{label:02}" for label in labels], len(labels))
    permutations = word_permutations(words, 5, seed=seed)
    assert np.array_equal(permutations, plain.word_permutations(labels, 5, seed=seed))
    halves = word_halves(words, 5, seed=seed)
    assert np.array_equal(halves, plain.word_halves(labels, 5, seed=seed))


def test_nothing_is_drawn_where_nothing_is_asked_for() -> None:
    words = np.arange(9)
    assert word_permutations(words, 0, seed=0).shape == (0, 9)
    assert word_halves(words, 0, seed=0).shape == (0, 9)


@pytest.mark.parametrize(
    ("probes", "can"),
    [
        (range(1, 10), False),
        ([1] * 8, True),
        ([1] * 7 + [2], False),
        ([1, 1, 2, 2, 3, 3, 4, 4, 5, 5], False),
        ([number // 4 + 1 for number in range(20)], True),
    ],
)
def test_words_can_be_permuted_where_they_have_enough_orders(
    probes: Sequence[int], can: bool
) -> None:
    words = np.repeat(np.arange(len(probes)), probes)
    orders = math.prod(map(math.factorial, Counter(probes).values()))
    assert can_be_permuted(words) is can is (orders >= math.factorial(8))


def test_every_sample_needs_a_label() -> None:
    with pytest.raises(InvalidInputError, match=r"of the 9 samples, not the shape \(8,\)"):
        word_numbers(list("abcdefgh"), 9)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("permutations", 19, "permutations must be 0 for none, or 20 or more; got 19"),
        ("resamples", -1, "resamples must be 0"),
        ("random_sets", 1, "random sets must be 0"),
        ("seed", -1, "seed must not be negative, got -1"),
        ("tol", -0.1, "tol must be finite and not negative, got -0.1"),
        ("tol", float("nan"), "tol must be finite"),
    ],
)
def test_draws_that_make_no_sense_are_refused(name: str, value: Any, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        Resampling(**{name: value})


def test_halves_are_not_the_beginnings_of_permutations() -> None:
    words = np.arange(40)
    starts = word_permutations(words, 50, seed=3)[:, :20]
    halves = word_halves(words, 50, seed=3)
    assert not any(half[start].all() for half, start in zip(halves, starts, strict=True))
