"""Neurons by entropy, by a threshold and at random, against their plain definitions."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.statistics_strategy import Given, some_statistics, statistics_of

from bridgex.analysis import Selection, select_neurons
from bridgex.errors import InvalidInputError
from bridgex.testing import reference_sets as plain

QUANTILES = st.sampled_from([0.05, 0.5, 0.8, 0.95])
PERCENTS = st.sampled_from([5.0, 10.0, 40.0, 90.0])


def table_of(given_: Given, low: int, high: int) -> list[list[float]]:
    statistics, _ = given_
    return [
        [count / one.token_count for count in one.positive_count[low:high].tolist()]
        for one in statistics.values()
    ]


@given(some_statistics(), PERCENTS, QUANTILES, st.sampled_from(["layer", "model"]))
def test_lape(given_: Given, percent: float, quantile: float, scope: str) -> None:
    statistics, offsets = given_
    rule = Selection("lape", scope=scope, top_percent=percent, quantile=quantile)  # type: ignore[arg-type]  # a choice
    masks = select_neurons(statistics, offsets, rule).masks
    for low, high in pairwise(offsets if scope == "layer" else [0, int(offsets[-1])]):
        table = table_of(given_, low, high)
        active = plain.active_languages(table, quantile)
        owners = [set(np.flatnonzero(column).tolist()) for column in masks[:, low:high].T]
        chosen = [n for n, languages in enumerate(owners) if languages]
        eligible = [n for n, languages in enumerate(active) if languages]
        k = min(round((high - low) * percent / 100), len(eligible))
        assert len(chosen) == k
        assert all(owners[n] == active[n] for n in chosen)
        columns = list(zip(*table, strict=True))
        entropies = {n: plain.entropy(columns[n]) for n in eligible}
        if chosen:
            # Equal entropies may differ in the last bit, so the sets are compared by their values.
            last = sorted(entropies.values())[k - 1]
            assert all(entropies[n] <= last + 1e-9 for n in chosen)
            assert {n for n in eligible if entropies[n] < last - 1e-9} <= set(chosen)


def test_lape_of_a_case_worked_by_hand() -> None:
    # Neuron:  0 only aa, 1 never, 2 everywhere alike, 3 mostly bb, 4 only bb but rarely.
    statistics = {
        "aa": statistics_of([8, 0, 9, 2, 0], [0.0] * 5, 10),
        "bb": statistics_of([0, 0, 9, 7, 1], [0.0] * 5, 10),
    }
    # The ascending tenths are 0 0 0 0 1 2 7 8 9 9: place 6 of 10 holds 2.
    rule = Selection("lape", top_percent=40, quantile=0.6)
    chosen = select_neurons(statistics, np.array([0, 5]), rule)
    assert np.flatnonzero(chosen.mask("aa")).tolist() == [0]
    assert np.flatnonzero(chosen.mask("bb")).tolist() == [3]
    table = table_of((statistics, np.array([0, 5])), 0, 5)
    assert plain.lape(table, 2, 0.6) == [{0}, {3}]
    assert plain.lape(table, 5, 0.6) == [{0, 2}, {2, 3}]
    every = select_neurons(
        statistics, np.array([0, 5]), Selection("lape", top_percent=90, quantile=0.6)
    )
    assert [set(np.flatnonzero(row)) for row in every.masks] == [{0, 2}, {2, 3}]


def test_entropy_of_one_language_alone_is_zero_and_of_all_alike_largest() -> None:
    from bridgex.analysis.evidence import entropy

    found = entropy(np.array([[0.3, 0.2, 0.1], [0.0, 0.2, 0.3], [0.0, 0.2, 0.0]]))
    assert found == pytest.approx([0.0, np.log(3), np.log(4) - 0.75 * np.log(3)])


def test_saturated_probabilities_leave_lape_without_a_neuron_and_are_said() -> None:
    statistics = {code: statistics_of([10] * 20, [1.0] * 20, 10) for code in ("aa", "bb")}
    chosen = select_neurons(statistics, np.array([0, 20]), Selection("lape", top_percent=10))
    assert chosen.report.empty == ("aa", "bb")
    assert np.isnan(chosen.report.saturation).all()
    assert np.isnan(chosen.report.typical_saturation)
    assert not chosen.report.uninformative


@given(some_statistics(), st.sampled_from([0.01, 0.5, 2 / 3, 1.0]))
def test_threshold(given_: Given, threshold: float) -> None:
    statistics, offsets = given_
    chosen = select_neurons(statistics, offsets, Selection("threshold", threshold=threshold))
    for row, values in enumerate(table_of(given_, 0, int(offsets[-1]))):
        assert chosen.masks[row].tolist() == [value >= threshold for value in values]


@given(
    some_statistics(),
    st.sampled_from([4.0, 10.0, 25.0]),
    st.sampled_from(["layer", "model"]),
    st.integers(0, 2**40),
)
def test_random_sets_have_the_profile_of_probability(
    given_: Given, percent: float, scope: str, seed: int
) -> None:
    statistics, offsets = given_
    profile = select_neurons(statistics, offsets, Selection(scope=scope, top_percent=percent))  # type: ignore[arg-type]  # a choice
    rule = Selection("random", scope=scope, top_percent=percent, seed=seed)  # type: ignore[arg-type]  # a choice
    drawn = select_neurons(statistics, offsets, rule)
    for language, one in statistics.items():
        for low, high in pairwise(offsets):
            size = int(profile.mask(language)[low:high].sum())
            order = sorted(range(low, high), key=lambda i: (-one.positive_count[i], -one.sum[i], i))
            found = np.flatnonzero(drawn.mask(language)[low:high]) + low
            assert found.size == size
            assert set(found.tolist()) <= set(order[: 10 * size])


@given(some_statistics(), st.integers(0, 2**40))
def test_a_random_set_depends_on_the_seed_and_the_language_alone(given_: Given, seed: int) -> None:
    statistics, offsets = given_
    rule = Selection("random", top_percent=25, seed=seed)
    every = select_neurons(statistics, offsets, rule)
    again = select_neurons({code: statistics[code] for code in ("bb", "aa")}, offsets, rule)
    for language in ("aa", "bb"):
        assert (again.mask(language) == every.mask(language)).all()


def test_seeds_and_languages_draw_different_sets() -> None:
    one = statistics_of(list(range(1000)), [0.0] * 1000, 1000)
    offsets = np.array([0, 500, 1000])

    def drawn(seed: int) -> list[set[int]]:
        rule = Selection("random", top_percent=2, seed=seed)
        masks = select_neurons({"aa": one, "bb": one}, offsets, rule).masks
        halves = [half for row in masks for half in (row[:500], row[500:])]
        return [set(np.flatnonzero(half).tolist()) for half in halves]

    sets = [*drawn(0), *drawn(1)]
    assert len({frozenset(one) for one in sets}) == 8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"select": "best"}, "expected a selection out of probability, contrast, lape"),
        ({"threshold": 0.5}, "threshold is no option of the selection 'probability'"),
        ({"select": "contrast", "quantile": 0.9}, "quantile is no option of the selection"),
        ({"select": "contrast", "seed": 0}, "seed is no option .*\n.* select by random"),
        ({"select": "lape", "ties": "break"}, "ties is no option of the selection 'lape'"),
        ({"select": "threshold"}, "needs one"),
        ({"select": "threshold", "threshold": 0.5, "top_percent": 1.0}, "top percent is no option"),
        ({"select": "threshold", "threshold": 0.5, "scope": "model"}, "scope is no option"),
        ({"select": "threshold", "threshold": 0.0}, "above 0 and at most 1"),
        ({"select": "threshold", "threshold": 1.1}, "above 0 and at most 1"),
        ({"select": "lape", "quantile": 1.0}, "between 0 and 1"),
        ({"select": "random", "seed": -1}, "must not be negative"),
        ({"top_percent": 0.0}, "between 0 and 100"),
        ({"top_percent": 100.0}, "between 0 and 100"),
        ({"top_percent": float("nan")}, "between 0 and 100"),
    ],
)
def test_rules_that_make_no_sense_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        Selection(**options)  # type: ignore[arg-type]  # on purpose


def test_a_rule_names_what_applies_and_nothing_else() -> None:
    assert Selection() == Selection("probability", scope="layer", top_percent=1.0, ties="break")
    lape = Selection("lape")
    assert (lape.scope, lape.top_percent, lape.quantile) == ("layer", 1.0, 0.95)
    assert (lape.ties, lape.threshold, lape.seed) == (None, None, None)
    assert Selection("random").seed == 0


@pytest.mark.parametrize("select", ["contrast", "lape"])
def test_comparisons_of_one_language_are_refused(select: str) -> None:
    statistics = {"aa": statistics_of([1, 2, 3, 4], [0.0] * 4, 4)}
    with pytest.raises(InvalidInputError, match=f"{select} needs two languages"):
        select_neurons(statistics, np.array([0, 4]), Selection(select, top_percent=25))  # type: ignore[arg-type]  # a choice
