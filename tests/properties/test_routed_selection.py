"""Sets of neurons of routed experts, each with tokens of its own, against plain definitions."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgex.analysis import Selection, bridge_neurons, random_bridge_sets, select_neurons
from bridgex.schema import NeuronStatistics
from bridgex.testing import reference_sets as plain

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOKENS = 1000
WIDTH = 10
Given: TypeAlias = "tuple[dict[str, NeuronStatistics], NDArray[np.int64]]"


def statistics_of(
    counts: NDArray[np.int64], seen: NDArray[np.int64], tokens: int = TOKENS
) -> NeuronStatistics:
    on = np.minimum(counts, seen)
    return NeuronStatistics(
        positive_count=on,
        sum=(on % 3).astype(np.float64),
        sum_squares=np.ones(on.size),
        maximum=np.ones(on.size, dtype=np.float32),
        token_count=tokens,
        record_count=1,
        routed_count=seen,
    )


@st.composite
def routed(draw: st.DrawFn) -> Given:
    """Statistics of three or four languages; many experts see few tokens of some, or none."""
    experts = draw(st.lists(st.integers(2, 5), min_size=1, max_size=3))
    offsets = np.cumsum([0, *(count * WIDTH for count in experts)])
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    found = {}
    for language in draw(st.sampled_from([("aa", "bb", "cc"), ("aa", "bb", "cc", "dd")])):
        seen = rng.choice([0, 1, 99, 100, 200, 400, TOKENS], sum(experts)).repeat(WIDTH)
        found[language] = statistics_of(rng.integers(0, 401, seen.size), seen)
    return found, offsets


def reaches(one: NeuronStatistics, neuron: int) -> bool:
    return int(one.seen[neuron]) >= 100


def rate(one: NeuronStatistics, neuron: int) -> float:
    return int(one.positive_count[neuron]) / int(one.seen[neuron])


def odds(one: NeuronStatistics, neuron: int, others: list[NeuronStatistics]) -> float:
    """Log-odds as of the fewest tokens that any of the others that reach the neuron saw."""
    tokens = min(int(other.seen[neuron]) for other in others if reaches(other, neuron))
    on = rate(one, neuron) * tokens
    return math.log((on + 0.5) / (tokens - on + 0.5))


def members(mask: NDArray[np.bool_]) -> set[int]:
    return set(np.flatnonzero(mask).tolist())


@given(routed(), st.sampled_from([4.0, 10.0, 40.0]))
def test_probability(given_: Given, percent: float) -> None:
    statistics, offsets = given_
    chosen = select_neurons(statistics, offsets, Selection(top_percent=percent))
    for language, one in statistics.items():
        expected: set[int] = set()
        for low, high in pairwise(offsets.tolist()):
            known = [n for n in range(low, high) if reaches(one, n)]
            known.sort(key=lambda n: (-rate(one, n), -float(one.mean[n]), n))
            expected |= set(known[: round((high - low) * percent / 100)])
        assert members(chosen.mask(language)) == expected


@given(routed(), st.sampled_from([0.2, 0.5, 1.0]))
def test_threshold(given_: Given, threshold: float) -> None:
    statistics, offsets = given_
    chosen = select_neurons(statistics, offsets, Selection("threshold", threshold=threshold))
    for language, one in statistics.items():
        assert members(chosen.mask(language)) == {
            n for n in range(int(offsets[-1])) if reaches(one, n) and rate(one, n) >= threshold
        }


@given(routed())
def test_contrast(given_: Given) -> None:
    statistics, offsets = given_
    rule = Selection("contrast", scope="model", top_percent=10)
    chosen = select_neurons(statistics, offsets, rule)
    size = int(offsets[-1])
    for language, one in statistics.items():
        values = {}
        for n in range(size):
            known = [other for other in statistics.values() if reaches(other, n)]
            if reaches(one, n) and len(known) >= 2:
                mean = sum(odds(other, n, known) for other in known) / len(known)
                values[n] = odds(one, n, known) - mean
        found = members(chosen.mask(language))
        assert len(found) == min(round(size / 10), len(values))
        assert found <= set(values)
        if found:
            # Equal sums may differ in the last bit, so the sets are compared by their values.
            last = sorted(values.values(), reverse=True)[len(found) - 1]
            assert all(values[n] >= last - 1e-9 for n in found)
            assert {n for n in values if values[n] > last + 1e-9} <= found


@given(routed(), st.sampled_from([10.0, 40.0]), st.sampled_from([0.5, 0.8]))
def test_lape(given_: Given, percent: float, quantile: float) -> None:
    statistics, offsets = given_
    size = int(offsets[-1])
    rule = Selection("lape", scope="model", top_percent=percent, quantile=quantile)
    masks = select_neurons(statistics, offsets, rule).masks
    everyone = list(statistics.values())
    known = [[n for n in range(size) if reaches(one, n)] for one in everyone]
    ascending = sorted(rate(one, n) for one, own in zip(everyone, known, strict=True) for n in own)
    limit = ascending[max(round(quantile * len(ascending)), 1) - 1] if ascending else 1.0
    active, entropies = {}, {}
    for n in range(size):
        rates = {row: rate(one, n) for row, one in enumerate(everyone) if reaches(one, n)}
        owners = {row for row, value in rates.items() if value > limit}
        if len(rates) >= 2 and owners:
            mean = sum(rates.values()) / len(rates)
            active[n] = owners
            entropies[n] = plain.entropy([rates.get(row, mean) for row in range(len(everyone))])
    found = {n: members(masks[:, n]) for n in range(size) if masks[:, n].any()}
    assert len(found) == min(round(size * percent / 100), len(active))
    assert all(owners == active[n] for n, owners in found.items())
    if found:
        last = sorted(entropies.values())[len(found) - 1]
        assert all(entropies[n] <= last + 1e-9 for n in found)
        assert {n for n in active if entropies[n] < last - 1e-9} <= set(found)


@given(routed(), st.integers(0, 2**40))
def test_random_sets_are_drawn_from_what_the_language_reaches(given_: Given, seed: int) -> None:
    statistics, offsets = given_
    profile = select_neurons(statistics, offsets, Selection(top_percent=10))
    drawn = select_neurons(statistics, offsets, Selection("random", top_percent=10, seed=seed))
    for language, one in statistics.items():
        found = members(drawn.mask(language))
        assert all(reaches(one, n) for n in found)
        assert len(found) == profile.mask(language).sum()


@given(routed(), st.sampled_from([10.0, 40.0]))
def test_bridge_sets(given_: Given, percent: float) -> None:
    statistics, offsets = given_
    neurons = select_neurons(statistics, offsets, Selection(top_percent=10))
    found = members(
        bridge_neurons("contrast", "cc", ("aa", "bb"), neurons, statistics, percent=percent)
    )
    three = [statistics[code] for code in ("cc", "aa", "bb")]
    of_pair = members(neurons.mask("aa") | neurons.mask("bb"))
    for low, high in pairwise(offsets.tolist()):
        values = {}
        for n in range(low, high):
            if n not in of_pair and all(reaches(one, n) for one in three):
                own, *pair = (odds(one, n, three) for one in three)
                values[n] = own - max(pair)
        here = {n for n in found if low <= n < high}
        assert here <= set(values)
        assert len(here) == min(round((high - low) * percent / 100), len(values))
        if here:
            last = sorted(values.values(), reverse=True)[len(here) - 1]
            assert all(values[n] >= last - 1e-9 for n in here)


@pytest.mark.parametrize("tokens", [0, 1, 99])
@pytest.mark.parametrize("select", ["contrast", "lape"])
@pytest.mark.parametrize("on", [0, 1])
def test_a_language_that_hardly_reaches_an_expert_makes_its_neurons_nobodys_own(
    tokens: int, select: str, on: int
) -> None:
    """The first expert sees few tokens of one language; the second is aa's own in truth."""
    seen = {code: np.full(20, 500) for code in ("aa", "bb", "cc")}
    seen["bb"][:10] = tokens
    counts = {code: np.full(20, 100) for code in seen}
    counts["bb"][:10] = on * tokens
    counts["aa"][10:] = 400
    statistics = {code: statistics_of(counts[code], seen[code]) for code in seen}
    options = {"quantile": 0.5} if select == "lape" else {}
    rule = Selection(select, top_percent=50, **options)  # type: ignore[arg-type]  # choices
    chosen = select_neurons(statistics, np.array([0, 20]), rule)
    assert members(chosen.mask("aa")) == set(range(10, 20))
    assert not members(chosen.mask("bb")) & set(range(10))


def test_neurons_that_are_never_on_are_no_languages_own() -> None:
    """However few tokens an expert saw of one language, and however many of others."""
    seen = {"aa": np.full(20, 100), "bb": np.full(20, 900), "cc": np.full(20, 900)}
    on = np.array([0] * 10 + [50] * 10)
    counts = {"aa": on, "bb": on * 5, "cc": on * 5}
    statistics = {code: statistics_of(counts[code], seen[code]) for code in seen}
    neurons = select_neurons(statistics, np.array([0, 20]), Selection("probability", top_percent=5))
    found = bridge_neurons("contrast", "aa", ("bb", "cc"), neurons, statistics, percent=45)
    assert members(found) & set(range(11, 20)) == set(range(11, 20))


def test_a_language_of_few_tokens_reaches_what_sees_all_of_them() -> None:
    seen = np.array([8, 8, 3, 3])
    one = statistics_of(np.array([4, 2, 3, 3]), seen, tokens=8)
    chosen = select_neurons({"aa": one}, np.array([0, 4]), Selection(top_percent=25))
    assert members(chosen.mask("aa")) == {0}


def test_pools_of_random_sets_hold_what_languages_reach() -> None:
    seen = np.array([1] * 20 + [900] * 80)
    statistics = {code: statistics_of(np.arange(100), seen) for code in ("aa", "bb", "cc")}
    offsets = np.array([0, 100])
    neurons = select_neurons(statistics, offsets, Selection(top_percent=1))
    (drawn,) = random_bridge_sets(
        ("aa", "bb"), neurons, statistics, layers=[0], sizes=[4], count=50
    )
    assert drawn.min() >= 20


def test_layers_without_neurons_have_none() -> None:
    offsets = np.array([0, 20, 20, 40])
    statistics = {
        code: statistics_of(np.arange(40) * factor, np.full(40, TOKENS))
        for code, factor in (("aa", 1), ("bb", 2), ("cc", 3))
    }
    for select in ("probability", "contrast", "random"):
        rule = Selection(select, top_percent=10)
        chosen = select_neurons(statistics, offsets, rule)
        assert chosen.report.sizes.tolist() == [4, 4, 4]
    rule.check_sizes([20, 0, 20])
    found = bridge_neurons("contrast", "cc", ("aa", "bb"), chosen, statistics, percent=10)
    assert found.sum() == 4
    drawn = random_bridge_sets(
        ("aa", "bb"), chosen, statistics, layers=[0, 1], sizes=[2, 0], count=3
    )
    assert [one.shape for one in drawn] == [(3, 2), (3, 0)]
