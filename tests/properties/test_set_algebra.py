"""What languages share, by every measure, against Python's sets."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgex.analysis import LanguageNeurons, Selection, overlap
from bridgex.analysis.overlaps import language_combinations
from bridgex.errors import InvalidInputError, NotFoundError
from bridgex.testing import reference_sets as plain

if TYPE_CHECKING:
    from numpy.typing import NDArray

CODES = tuple("abcdefghijkl")


@st.composite
def some_neurons(draw: st.DrawFn) -> LanguageNeurons:
    """Draw sets of up to twelve languages over layers that begin anywhere, some of them empty."""
    offsets = np.cumsum([0, *draw(st.lists(st.integers(1, 40), min_size=1, max_size=3))])
    size = int(offsets[-1])
    count = draw(st.integers(1, 12))
    density = draw(st.sampled_from([0.0, 0.05, 0.3, 0.9]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    masks = rng.random((count, size)) < density
    return LanguageNeurons(
        CODES[:count], masks, offsets, np.zeros(size, dtype=np.bool_), Selection()
    )


def sets_of(neurons: LanguageNeurons, low: int = 0, high: int | None = None) -> list[set[int]]:
    return [set(np.flatnonzero(mask[low:high]).tolist()) for mask in neurons.masks]


@given(some_neurons())
def test_overlap_counts_and_measures(neurons: LanguageNeurons) -> None:
    found = overlap(neurons)
    sets = sets_of(neurons)
    for i, a in enumerate(sets):
        for j, b in enumerate(sets):
            assert found.counts[i, j] == len(a & b)
            for matrix, definition in (
                (found.jaccard, plain.jaccard),
                (found.overlap_coefficient, plain.overlap_coefficient),
                (found.containment, plain.containment),
            ):
                assert matrix[i, j] == pytest.approx(definition(a, b), nan_ok=True)
    for layer, (low, high) in enumerate(pairwise(neurons.layer_offsets)):
        inside = sets_of(neurons, low, high)
        assert found.layer_counts[layer].tolist() == [[len(a & b) for b in inside] for a in inside]


@given(some_neurons())
def test_combinations_count_every_neuron_once(neurons: LanguageNeurons) -> None:
    found = language_combinations(neurons)
    rows = [tuple(neurons.languages.index(code) for code in one.languages) for one in found]
    counts = [one.count for one in found]
    assert dict(zip(rows, counts, strict=True)) == plain.combinations(sets_of(neurons))
    order = [(-count, len(row), row) for row, count in zip(rows, counts, strict=True)]
    assert order == sorted(order)
    assert sum(counts) == neurons.masks.any(axis=0).sum()


@given(some_neurons(), st.data())
def test_combined_is_set_algebra(neurons: LanguageNeurons, data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.sampled_from(neurons.languages), min_size=1, unique=True))
    others = [code for code in neurons.languages if code not in chosen]
    without = data.draw(st.lists(st.sampled_from(others), unique=True)) if others else []
    sets = dict(zip(neurons.languages, sets_of(neurons), strict=True))
    away = set().union(*(sets[code] for code in without))

    def members(mask: NDArray[np.bool_]) -> set[int]:
        return set(np.flatnonzero(mask).tolist())

    shared = set.intersection(*(sets[code] for code in chosen))
    union = set.union(*(sets[code] for code in chosen))
    assert members(neurons.combined(chosen, without=without)) == shared - away
    assert members(neurons.combined(chosen, without=without, any_of=True)) == union - away
    assert sets_of(neurons) == list(sets.values())


@given(some_neurons(), st.data())
def test_within_keeps_the_layers_asked_for(neurons: LanguageNeurons, data: st.DataObject) -> None:
    count = neurons.layer_offsets.size - 1
    layers = data.draw(st.lists(st.integers(0, count - 1), min_size=1, unique=True))
    inside = neurons.within(layers)
    for layer, (low, high) in enumerate(pairwise(neurons.layer_offsets)):
        expected = neurons.masks[:, low:high] if layer in layers else False
        assert (inside.masks[:, low:high] == expected).all()


def test_sets_that_are_not_there_are_refused() -> None:
    neurons = LanguageNeurons(
        ("aa", "bb"),
        np.ones((2, 6), dtype=np.bool_),
        np.array([0, 2, 6]),
        np.ones(6, dtype=np.bool_),
        Selection(),
    )
    with pytest.raises(NotFoundError, match="no statistics of language 'cc'; there are aa, bb"):
        neurons.combined(["aa"], without=["cc"])
    with pytest.raises(InvalidInputError, match="'aa' is among the languages and among those"):
        neurons.combined(["aa", "bb"], without=["aa"])
    with pytest.raises(InvalidInputError, match="no language was asked for"):
        neurons.combined([])
    with pytest.raises(InvalidInputError, match="layers 0 to 1, and 2 was asked for"):
        neurons.within([2])
    with pytest.raises(InvalidInputError, match="no layer"):
        neurons.within([])
