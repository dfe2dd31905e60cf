"""The neurons that enter a spectrum, and the choices behind it."""

from __future__ import annotations

import numpy as np
import pytest

from bridgex.analysis import Selection, SpectrumOptions
from bridgex.analysis.layer_sets import LayerSets
from bridgex.errors import InvalidInputError


def test_neurons_that_no_estimable_candidate_has_do_not_enter() -> None:
    pair = np.arange(6)
    union = np.array([3, 10, 11, 20, 21, 22, 23, 30, 31])
    sets = LayerSets(
        pair,
        union,
        [np.array([0, 2, 3, 4, 5]), np.array([1, 2, 7]), np.array([3, 4, 5, 6, 8]), pair[:0]],
    )
    found = sets.estimable()
    assert found.pair is pair
    assert found.union.tolist() == [3, 11, 20, 21, 22, 23, 31]
    assert [found.union[one].tolist() for one in found.members] == [
        [3, 11, 20, 21, 22],
        [],
        [20, 21, 22, 23, 31],
        [],
    ]
    assert sets.shared == [1, 0, 0, 0]


def test_a_pair_that_is_too_small_leaves_nothing() -> None:
    sets = LayerSets(np.arange(4), np.arange(8), [np.arange(8)])
    found = sets.estimable()
    assert (found.pair.size, found.union.size, found.members[0].size) == (0, 0, 0)


def test_options_that_do_not_apply_are_none() -> None:
    linear = SpectrumOptions(estimator="linear", bridge_set="all")
    assert (linear.bandwidth, linear.tolerance, linear.bridge_percent) == (None, None, None)
    default = SpectrumOptions()
    assert (default.bandwidth, default.tolerance, default.bridge_percent) == ("neuron", 1e-3, 1.0)
    assert SpectrumOptions(Selection(top_percent=5)).bridge_percent == 5.0
    assert SpectrumOptions(Selection("threshold", threshold=0.5)).bridge_percent == 1.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"estimator": "linear", "bandwidth": 1.0}, "bandwidth is no option of the estimator"),
        ({"estimator": "linear", "tolerance": 0.1}, "tolerance is no option of the estimator"),
        ({"bridge_set": "specific", "bridge_percent": 1.0}, "bridge percent is no option of the"),
        ({"bridge_percent": 0.0}, "bridge percent must lie between 0 and 100"),
    ],
)
def test_options_that_do_not_apply_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        SpectrumOptions(**options)  # type: ignore[arg-type]  # on purpose


def test_a_preset_gives_way_and_what_is_given_does_not() -> None:
    paper = SpectrumOptions.preset("paper")
    assert paper.selection == Selection(scope="model", ties="include")
    assert (paper.bandwidth, paper.bridge_set) == ("reference", "specific")
    lape = SpectrumOptions.preset("paper", select="lape", estimator="linear")
    assert lape.selection == Selection("lape", scope="model")
    assert lape.bandwidth is None
    with pytest.raises(InvalidInputError, match="ties is no option"):
        SpectrumOptions.preset("paper", select="lape", ties="include")


def test_percentages_that_are_no_neuron_are_refused_before_the_work() -> None:
    SpectrumOptions().check_sizes((100, 60))
    with pytest.raises(InvalidInputError, match="the top 1 % of 40 neurons is no neuron"):
        SpectrumOptions().check_sizes((100, 40))
    model = SpectrumOptions(Selection(scope="model"), bridge_set="all")
    model.check_sizes((30, 40))
    with pytest.raises(InvalidInputError, match="the top 1 % of 40 neurons"):
        SpectrumOptions(Selection("threshold", threshold=0.5)).check_sizes((40,))
