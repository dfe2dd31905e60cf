"""Top-k sets and overlaps against Python's own sorting and sets."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridgex.analysis.arrays import overlap_counts, top_k, unpack
from bridgex.testing import reference

# Probabilities saturate, so equal values are the rule.
VALUES = st.sampled_from([-np.inf, 0.0, -0.0, 0.25, 0.5, 1.0])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(VALUES, VALUES), max_size=200), st.data())
def test_exactly_k_with_the_tie_rule(
    neurons: list[tuple[float, float]], data: st.DataObject
) -> None:
    values, second = [one for one, _ in neurons], [other for _, other in neurons]
    k = data.draw(st.integers(0, len(neurons)))
    for tie_break in (None, second):
        bitset = top_k(values, k, tie_break)
        assert bitset.shape == (-(-len(values) // 64),)
        members = unpack(bitset, len(values))
        assert members.size == k
        np.testing.assert_array_equal(members, reference.top_k(values, k, tie_break))


@given(st.lists(VALUES, min_size=1, max_size=70), st.data())
def test_numbers_that_are_none_are_refused(values: list[float], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(values) - 1))
    values[place] = np.nan
    with pytest.raises(ValueError, match=f"values must be numbers, but number {place} is NaN"):
        top_k(values, 1)
    with pytest.raises(ValueError, match=f"tie_break must be numbers, but number {place} is NaN"):
        top_k([0.0] * len(values), 1, values)


@settings(max_examples=100, deadline=None)
@given(data=st.data(), layers=st.lists(st.integers(0, 100), min_size=1, max_size=5))
def test_overlap_counts_of_layers_that_begin_anywhere(
    data: st.DataObject, layers: list[int]
) -> None:
    offsets = [0, *np.cumsum(layers).tolist()]
    neurons = offsets[-1]
    subsets = st.sets(st.integers(0, neurons - 1)) if neurons else st.just(set())
    sets = data.draw(st.lists(subsets, min_size=1, max_size=4))
    bitsets = np.zeros((len(sets), -(-neurons // 64)), dtype=np.uint64)
    for row, members in enumerate(sets):
        values = [float(neuron in members) for neuron in range(neurons)]
        bitsets[row] = top_k(values, len(members))
    np.testing.assert_array_equal(overlap_counts(bitsets), reference.overlap_counts(sets))
    np.testing.assert_array_equal(
        overlap_counts(bitsets, offsets), reference.overlap_counts(sets, offsets)
    )


def test_overlap_counts_do_not_depend_on_threads() -> None:
    rng = np.random.default_rng(0)
    bitsets = rng.integers(0, 2**64, size=(9, 3000), dtype=np.uint64)
    expected = overlap_counts(bitsets, threads=1)
    np.testing.assert_array_equal(overlap_counts(bitsets, threads=3), expected)
    np.testing.assert_array_equal(expected.diagonal(), np.bitwise_count(bitsets).sum(axis=1))
    with pytest.raises(ValueError, match="threads must be"):
        overlap_counts(bitsets, threads=0)
