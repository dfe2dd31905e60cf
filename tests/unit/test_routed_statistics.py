"""Statistics of a mixture of experts: every neuron has a denominator of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from bridgex.analysis.evidence import log_odds
from bridgex.corpora import split_parts
from bridgex.errors import InvalidInputError
from bridgex.schema import Experts, NeuronStatistics, Provenance
from bridgex.store import Store, verify

if TYPE_CHECKING:
    from pathlib import Path

PROVENANCE = Provenance(
    model="m",
    architecture="mixtral",
    weights="w",
    config="c",
    tokenizer="t",
    layer_sizes=(5, 2),
    site="act",
    experts=(Experts(2, 2), Experts(0, 0)),
)


def routed(seen: tuple[int, ...] = (3, 3, 0, 0, 4, 4, 4)) -> NeuronStatistics:
    return NeuronStatistics(
        positive_count=np.array([3, 1, 0, 0, 2, 4, 0]),
        sum=np.arange(7.0),
        sum_squares=np.arange(7.0),
        maximum=np.array([1, 1, -np.inf, -np.inf, 1, 1, 0], dtype=np.float32),
        token_count=4,
        record_count=1,
        routed_count=np.array(seen),
    )


def test_rates_are_over_the_tokens_that_reach_a_neuron() -> None:
    found = routed()
    np.testing.assert_allclose(found.activation_probability, [1, 1 / 3, 0, 0, 0.5, 1, 0])
    np.testing.assert_allclose(found.mean, [0, 1 / 3, 2, 3, 1, 1.25, 1.5])
    assert np.isneginf(log_odds(found)).tolist() == [True] * 4 + [False] * 3


def test_denominators_add_up() -> None:
    both = NeuronStatistics.zeros(7).merge(routed()).merge(routed())
    np.testing.assert_array_equal(both.seen, [6, 6, 0, 0, 8, 8, 8])


def test_neurons_are_named_by_their_expert() -> None:
    expert, index = PROVENANCE.expert_neurons(np.array([0, 0, 0, 1]), np.array([1, 2, 4, 0]))
    assert (expert.tolist(), index.tolist()) == ([0, 1, -1, -1], [1, 0, -1, -1])
    assert Provenance.from_json(PROVENANCE.to_json()) == PROVENANCE


def test_a_store_keeps_denominators_and_refuses_others(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "store", PROVENANCE)
    (part,) = split_parts(["Hund"], language="de")
    with pytest.raises(InvalidInputError, match="one expert"):
        store.add_statistics(part, routed((3, 2, 0, 0, 4, 4, 4)))
    with pytest.raises(InvalidInputError, match="no routed_count, the model has experts"):
        store.add_statistics(part, NeuronStatistics.zeros(7).merge(dense()))
    assert store.add_statistics(part, routed())
    found = Store.open(tmp_path / "store").snapshot().statistics("de")
    np.testing.assert_array_equal(found.seen, routed().seen)
    np.testing.assert_array_equal(found.maximum, routed().maximum)
    assert not verify(tmp_path / "store").findings


def dense() -> NeuronStatistics:
    return NeuronStatistics(**{**vars(routed()), "routed_count": None})
