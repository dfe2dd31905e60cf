"""Random sets against what they promise: their size, their pool, and a function of the seed."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.statistics_strategy import Given, some_statistics, statistics_of

from bridgex.analysis import LanguageNeurons, Selection, random_bridge_sets, select_neurons
from bridgex.errors import InvalidInputError

PAIR = ("aa", "bb")


def two_languages() -> Given:
    counts = np.random.default_rng(0).integers(0, 1000, size=(2, 500)).tolist()
    return (
        {
            code: statistics_of(row, [0.0] * 500, 1000)
            for code, row in zip(PAIR, counts, strict=True)
        },
        np.array([0, 500]),
    )


def chosen_from(given_: Given) -> LanguageNeurons:
    return select_neurons(*given_, Selection(top_percent=10))


@given(some_statistics(), st.integers(0, 5), st.integers(0, 2**40))
def test_sets_come_from_the_most_active_outside_the_pair(
    given_: Given, size: int, seed: int
) -> None:
    statistics, offsets = given_
    neurons = chosen_from(given_)
    layers = range(offsets.size - 1)
    sets = random_bridge_sets(
        PAIR, neurons, statistics, layers=layers, sizes=[size for _ in layers], count=4, seed=seed
    )
    activity = np.mean([one.activation_probability for one in statistics.values()], axis=0)
    of_pair = neurons.mask("aa") | neurons.mask("bb")
    for found, (low, high) in zip(sets, pairwise(offsets), strict=True):
        assert found.shape == (4, size)
        free = [i for i in range(high - low) if not of_pair[low + i]]
        free.sort(key=lambda i: (-round(activity[low + i], 9), i))
        pool = set(free[: 10 * size])
        least = min((activity[low + i] for i in pool), default=0.0)
        for one in found:
            assert (np.diff(one) > 0).all()
            assert not of_pair[low + one].any()
            # Equal means may differ in the last bit, so the pool is compared by its values.
            assert (activity[low + one] >= least - 1e-9).all()


@given(some_statistics(), st.integers(0, 2**40))
def test_a_set_depends_on_the_seed_and_the_layer_alone(given_: Given, seed: int) -> None:
    statistics, offsets = given_
    neurons = chosen_from(given_)

    def draw(layers: list[int], count: int) -> list[list[list[int]]]:
        sizes = [3 for _ in layers]
        found = random_bridge_sets(
            PAIR, neurons, statistics, layers=layers, sizes=sizes, count=count, seed=seed
        )
        return [one.tolist() for one in found]

    layers = list(range(offsets.size - 1))
    every = draw(layers, 5)
    assert draw(layers[::-1], 5) == every[::-1]
    assert draw(layers[-1:], 2) == [every[-1][:2]]


def test_every_neuron_of_the_pool_is_as_likely() -> None:
    statistics, offsets = two_languages()
    neurons = select_neurons(statistics, offsets, Selection(top_percent=1))
    [found] = random_bridge_sets(
        PAIR, neurons, statistics, layers=[0], sizes=[5], count=4000, seed=1
    )
    counts = np.bincount(found.ravel(), minlength=int(offsets[1]))
    assert (counts > 0).sum() == 50
    expected = 4000 * 5 / 50
    # Five standard deviations of a binomial count.
    assert abs(counts[counts > 0] - expected).max() < 5 * np.sqrt(expected)
    [other] = random_bridge_sets(
        PAIR, neurons, statistics, layers=[0], sizes=[5], count=4000, seed=2
    )
    assert (found != other).any()


def test_sets_that_cannot_be_drawn_are_refused() -> None:
    statistics, offsets = two_languages()
    neurons = select_neurons(statistics, offsets, Selection(top_percent=1))
    with pytest.raises(InvalidInputError, match="sets of 500 neurons cannot be drawn in layer 0"):
        random_bridge_sets(PAIR, neurons, statistics, layers=[0], sizes=[500], count=1)
    with pytest.raises(InvalidInputError, match="1 layers and 2 sizes"):
        random_bridge_sets(PAIR, neurons, statistics, layers=[0], sizes=[5, 5], count=1)
