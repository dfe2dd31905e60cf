"""Set algebra and combinations of bitsets, against Python's own sets."""

import doctest
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from bridgex.analysis import sets as module
from bridgex.analysis import unpack
from bridgex.analysis.sets import combinations, difference, intersection, pack, union
from bridgex.errors import InvalidInputError
from bridgex.testing import reference_sets

NEURONS = 150


def stacks(least: int = 0, most: int = 70) -> st.SearchStrategy[list[set[int]]]:
    """Sets that hold few neurons each, so that many neurons are in the same sets."""
    members = st.sets(st.integers(0, NEURONS - 1), max_size=6)
    return st.lists(members, min_size=least, max_size=most)


def packed(sets: list[set[int]]) -> NDArray[np.uint64]:
    rows = [pack(list(one), NEURONS) for one in sets]
    return np.array(rows, dtype=np.uint64).reshape(len(sets), 3)


def members(bitset: NDArray[np.uint64]) -> set[int]:
    return set(unpack(bitset, NEURONS).tolist())


@given(stacks(least=1))
def test_algebra_is_that_of_sets(sets: list[set[int]]) -> None:
    bitsets = packed(sets)
    assert [members(row) for row in bitsets] == sets
    assert members(intersection(bitsets)) == set.intersection(*sets)
    assert members(union(bitsets)) == set.union(*sets)
    assert members(difference(bitsets[0], bitsets[1:])) == sets[0].difference(*sets[1:])


@given(stacks(), st.integers(0, 4), st.none() | st.integers(0, 9))
def test_combinations_are_those_of_sets(
    sets: list[set[int]], minimum: int, limit: int | None
) -> None:
    found = combinations(packed(sets), minimum=minimum, limit=limit)
    rows = [tuple(unpack(row, len(sets)).tolist()) for row in found.members]
    plain = reference_sets.combinations(sets)
    expected = [
        (row, count)
        for row, count in sorted(plain.items(), key=lambda one: (-one[1], len(one[0]), one[0]))
        if count >= minimum
    ]
    assert list(zip(rows, found.counts.tolist(), strict=True)) == expected[:limit]


def test_many_sets_need_several_words() -> None:
    rng = np.random.default_rng(0)
    sets = [set(rng.choice(NEURONS, 70, replace=False).tolist()) for _ in range(200)]
    found = combinations(packed(sets))
    rows = [tuple(unpack(row, len(sets)).tolist()) for row in found.members]
    assert Counter(dict(zip(rows, found.counts.tolist(), strict=True))) == Counter(
        reference_sets.combinations(sets)
    )


def test_nothing_is_in_no_combination() -> None:
    for bitsets in (np.zeros((0, 2), dtype=np.uint64), np.zeros((3, 2), dtype=np.uint64)):
        found = combinations(bitsets)
        assert found.counts.shape == (0,)
        assert found.members.shape == (0, -(-len(bitsets) // 64))


def test_bad_input_is_refused() -> None:
    bitsets = np.ones((2, 2), dtype=np.uint64)
    with pytest.raises(InvalidInputError, match="members must be 0 to 4, but are 1 to 5"):
        pack([5, 1], 5)
    with pytest.raises(InvalidInputError, match="members must be 0 to 4, but are -1 to 1"):
        pack([1, -1], 5)
    with pytest.raises(InvalidInputError, match="vector of whole numbers, not float64"):
        pack([0.5], 5)
    with pytest.raises(InvalidInputError, match="one set or more, but there is none"):
        intersection(bitsets[:0])
    with pytest.raises(InvalidInputError, match=r"uint64 with shape \(2,\) as the others are"):
        difference(bitsets[0, :1], bitsets)
    with pytest.raises(InvalidInputError, match="must not be negative, but are -1 and 1"):
        combinations(bitsets, limit=-1)
    for function in (intersection, union, combinations):
        with pytest.raises(InvalidInputError, match=r"uint64 with shape \(language, word\)"):
            function(bitsets.astype(np.int64))


def test_the_examples_in_the_documentation_run() -> None:
    outcome = doctest.testmod(module)
    assert outcome.failed == 0
    assert outcome.attempted >= 5
