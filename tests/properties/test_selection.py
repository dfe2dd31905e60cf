"""Language neurons against their definition, written with sorting and sets."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.statistics_strategy import Given, some_statistics, statistics_of

from bridgex.analysis import LanguageNeurons, Selection, bridge_neurons, select_neurons
from bridgex.analysis.rules import set_size
from bridgex.errors import InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from bridgex.schema import NeuronStatistics


def best(values: list[float], second: list[float], indices: list[int], k: int) -> set[int]:
    return set(sorted(indices, key=lambda i: (-values[i], -second[i], i))[:k])


def plain_log_odds(one: NeuronStatistics, index: int) -> float:
    on = int(one.positive_count[index])
    return math.log((on + 0.5) / (one.token_count - on + 0.5))


def members(mask: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> set[int]:
    return set(np.flatnonzero(mask).tolist())


@given(some_statistics(), st.sampled_from([4.0, 10.0, 25.0]))
def test_probability_by_layer(
    given_: Given,
    percent: float,
) -> None:
    statistics, offsets = given_
    chosen = select_neurons(statistics, offsets, Selection(top_percent=percent))
    for language, one in statistics.items():
        expected: set[int] = set()
        for low, high in pairwise(offsets):
            k = round((high - low) * percent / 100)
            indices = list(range(low, high))
            expected |= best(one.positive_count.tolist(), one.sum.tolist(), indices, k)
        assert members(chosen.mask(language)) == expected


@given(some_statistics())
def test_contrast_over_the_model(
    given_: Given,
) -> None:
    statistics, offsets = given_
    chosen = select_neurons(
        statistics, offsets, Selection("contrast", scope="model", top_percent=10)
    )
    size = int(offsets[-1])
    for language, one in statistics.items():
        values = [
            plain_log_odds(one, i)
            - sum(plain_log_odds(other, i) for other in statistics.values()) / len(statistics)
            for i in range(size)
        ]
        found = members(chosen.mask(language))
        assert len(found) == round(size / 10)
        # Equal sums may differ in the last bit, so the sets are compared by their values.
        threshold = sorted(values, reverse=True)[len(found) - 1]
        assert all(values[i] >= threshold - 1e-9 for i in found)
        assert {i for i in range(size) if values[i] > threshold + 1e-9} <= found


@given(some_statistics())
def test_ties_can_be_included_as_published(
    given_: Given,
) -> None:
    statistics, offsets = given_
    chosen = select_neurons(
        statistics, offsets, Selection(scope="model", top_percent=10, ties="include")
    )
    k = round(int(offsets[-1]) / 10)
    for language, one in statistics.items():
        threshold = sorted(one.positive_count, reverse=True)[k - 1]
        expected = {i for i, count in enumerate(one.positive_count) if count >= threshold}
        assert members(chosen.mask(language)) == expected


@given(some_statistics())
def test_bridge_sets(
    given_: Given,
) -> None:
    statistics, offsets = given_
    chosen = select_neurons(statistics, offsets, Selection(top_percent=10))
    pair = ("aa", "bb")
    taken = members(chosen.mask("aa")) | members(chosen.mask("bb"))
    own = members(chosen.mask("cc"))
    assert members(bridge_neurons("all", "cc", pair, chosen, statistics)) == own
    assert members(bridge_neurons("specific", "cc", pair, chosen, statistics)) == own - taken
    excess = [
        plain_log_odds(statistics["cc"], i)
        - max(plain_log_odds(statistics["aa"], i), plain_log_odds(statistics["bb"], i))
        for i in range(int(offsets[-1]))
    ]
    expected: set[int] = set()
    for low, high in pairwise(offsets):
        free = [i for i in range(low, high) if i not in taken]
        rounded = [round(value, 9) for value in excess]
        expected |= best(rounded, statistics["cc"].sum.tolist(), free, round((high - low) / 10))
    found = members(bridge_neurons("contrast", "cc", pair, chosen, statistics))
    assert not found & taken
    assert sorted(round(excess[i], 9) for i in found) == sorted(
        round(excess[i], 9) for i in expected
    )


def test_saturated_sets_are_called_uninformative() -> None:
    always = statistics_of([10, 10, 10, 1, 2, 3, 0, 0, 0, 0], [1.0] * 10, 10)
    other = statistics_of([10, 10, 10, 3, 2, 1, 0, 0, 0, 0], [1.0] * 10, 10)
    offsets = np.array([0, 10])
    few = select_neurons({"aa": always, "bb": other}, offsets, Selection(top_percent=30))
    assert few.report.uninformative
    assert few.report.saturation.tolist() == [1.0, 1.0]
    many = select_neurons({"aa": always, "bb": other}, offsets, Selection(top_percent=60))
    assert many.report.saturation.tolist() == [0.5, 0.5]
    assert not many.report.uninformative


def small() -> tuple[LanguageNeurons, dict[str, NeuronStatistics]]:
    statistics = {"aa": statistics_of([1, 2, 3, 4], [0.0] * 4, 4)}
    return select_neurons(statistics, np.array([0, 4]), Selection(top_percent=25)), statistics


def test_an_unknown_language_is_named_with_those_there() -> None:
    with pytest.raises(NotFoundError, match=r"'zz'; there are aa"):
        small()[0].mask("zz")


@pytest.mark.parametrize(
    ("percent", "message"),
    [(0.0, "between 0 and 100"), (100.0, "between 0 and 100"), (1.0, "is no neuron")],
)
def test_sets_that_make_no_sense_are_refused(percent: float, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        select_neurons(small()[1], np.array([0, 4]), Selection(top_percent=percent))


def test_contrast_of_one_language_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="two languages"):
        select_neurons(small()[1], np.array([0, 4]), Selection("contrast", top_percent=25))


def test_no_statistics_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="no language"):
        select_neurons({}, np.array([0, 4]))


def test_a_bridge_set_needs_a_size_that_makes_sense() -> None:
    statistics = {code: statistics_of([1, 2, 3, 4], [0.0] * 4, 4) for code in ("aa", "bb", "cc")}
    chosen = select_neurons(statistics, np.array([0, 4]), Selection("threshold", threshold=0.9))

    def size(percent: float | None) -> int:
        mask = bridge_neurons("contrast", "cc", ("aa", "bb"), chosen, statistics, percent=percent)
        return int(mask.sum())

    assert [size(percent) for percent in (25, 50, 90)] == [1, 2, 3]
    with pytest.raises(InvalidInputError, match="the top 1 % of 4 neurons is no neuron"):
        size(None)
    with pytest.raises(InvalidInputError, match="percent must lie between 0 and 100, got 0"):
        size(0)


def test_set_size_says_what_would_be_enough() -> None:
    assert set_size(2048, 1.0) == 20
    with pytest.raises(InvalidInputError, match=r"at least 2\.5 percent"):
        set_size(40, 1.0)
