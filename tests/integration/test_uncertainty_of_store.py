"""How far the scores of a store's candidates can be trusted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bridgex.analysis import (
    Resampling,
    Selection,
    SpectrumInputs,
    SpectrumOptions,
    random_bridge_sets,
    rank_bridges,
    spectrum,
    spectrum_inputs,
    spectrum_of,
    spectrum_uncertainty,
    uncertainty,
)
from bridgex.analysis.verdicts import CANNOT_BE_PERMUTED
from bridgex.cli.views import spectrum_answer
from bridgex.corpora import split_parts, split_words
from bridgex.schema import Pair, WordPair
from bridgex.store import Store
from bridgex.testing import reference, synthetic

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

PAIR = Pair("id", "tl")
LAYER_SIZES = (60, 50, 70)
WORDS = 40


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a store in which every second word has two probes."""
    path = tmp_path_factory.mktemp("stores") / "store"
    made = Store.create(path, synthetic.provenance(layer_sizes=LAYER_SIZES))
    for language in ("id", "tl", "en", "es", "sw"):
        records = [f"{language} {number}" for number in range(10)]
        for part in split_parts(records, language=language):
            made.add_statistics(part, synthetic.statistics(records, layer_sizes=LAYER_SIZES))
    pairs = [
        WordPair(f"kata{number}", (f"salita{number}-{probe}",))
        for number in range(WORDS)
        for probe in range(1 + number % 2)
    ]
    for block in split_words(pairs, pair=PAIR):
        made.add_probes(block, synthetic.probes(block, "off", layer_sizes=LAYER_SIZES), "off")
    return path


def ask(store: Path, **options: Any) -> SpectrumInputs:
    chosen = SpectrumOptions.preset("default", **{"top_percent": 30, **options})
    return spectrum_inputs(Store.open(store).snapshot(), PAIR, options=chosen)


def test_inputs_serve_for_the_spectrum_as_well(store: Path) -> None:
    inputs = ask(store)
    found = spectrum_of(inputs)
    again = spectrum(
        Store.open(store).snapshot(), PAIR, options=SpectrumOptions(Selection(top_percent=30))
    )
    assert np.array_equal(found.score, again.score)
    some = spectrum_of(inputs.within([2, 0]))
    assert np.array_equal(some.score, found.score[[2, 0]])
    assert some.layers == (2, 0)


def test_probes_of_a_word_stay_together_and_layers_are_chosen(store: Path) -> None:
    inputs = ask(store)
    drawn = Resampling(permutations=20, resamples=20, random_sets=0, seed=5)
    scores = spectrum_of(inputs)
    found = spectrum_uncertainty(inputs, scores, layers=[1, 2], resampling=drawn)
    assert found.words == WORDS
    assert found.score == pytest.approx(
        rank_bridges(scores, layers=[1, 2]).score[
            [rank_bridges(scores, layers=[1, 2]).bridges.index(code) for code in inputs.bridges]
        ]
    )
    part = inputs.within([1, 2])
    groups = [word.source for word in inputs.probes.words]
    arrays = uncertainty(
        part.pair_rows, part.bridge_rows, part.members, groups=groups, resampling=drawn
    )
    assert found.test is not None
    assert arrays.test is not None
    assert np.array_equal(found.test.z, arrays.test.z)
    assert found.stability is not None
    assert arrays.stability is not None
    assert np.array_equal(found.stability.low, arrays.stability.low)


def test_a_spectrum_says_where_words_cannot_be_permuted(store: Path) -> None:
    inputs = ask(store)
    scores = spectrum_of(inputs)
    found = spectrum_uncertainty(inputs, scores, resampling=Resampling(20, 0, 0))
    assert CANNOT_BE_PERMUTED not in spectrum_answer(scores, found).tables[0].notes
    lacking = spectrum_answer(scores, replace(found, test=None))
    assert lacking.tables[0].notes[0] == CANNOT_BE_PERMUTED
    assert {row["z"] for row in lacking.rows} == {None}


def plain_random_scores(
    inputs: SpectrumInputs, sizes: NDArray[np.int64], count: int, seed: int
) -> NDArray[np.float64]:
    """Return bridge scores of random sets by the definition: (set,)."""
    sets = random_bridge_sets(
        PAIR,
        inputs.neurons,
        inputs.statistics,
        layers=inputs.layers,
        sizes=sizes.tolist(),
        count=count,
        seed=seed,
    )
    scores = np.empty((len(sizes), count))
    for layer, pair, of_layer in zip(inputs.layers, inputs.pair_rows, sets, strict=True):
        for number, one in enumerate(of_layer):
            rows = inputs.probes.rows(layer, one)
            matrix = reference.dependence_matrix(pair, rows)
            scores[layer, number] = reference.layer_score(matrix)
    means: NDArray[np.float64] = scores.mean(axis=0)
    return means


@pytest.mark.parametrize("bridge_set", ["contrast", "specific"])
def test_random_sets_are_as_large_as_the_candidates(store: Path, bridge_set: str) -> None:
    inputs = ask(store, bridge_set=bridge_set)
    scores = spectrum_of(inputs)
    assert np.isfinite(scores.score).all()
    drawn = Resampling(0, 0, random_sets=20, seed=7)
    found = spectrum_uncertainty(inputs, scores, resampling=drawn)
    assert found.random_sets is not None
    same_sizes = len(np.unique(scores.bridge_counts, axis=1).T) == 1
    assert same_sizes == (bridge_set == "contrast")
    for column, score in enumerate(found.score):
        expected = plain_random_scores(inputs, scores.bridge_counts[:, column], 20, seed=7)
        assert found.random_sets.mean[column] == pytest.approx(expected.mean(), abs=1e-3)
        assert found.random_sets.sd[column] == pytest.approx(expected.std(ddof=1), abs=1e-3)
        z = (score - expected.mean()) / expected.std(ddof=1)
        assert found.random_sets.z[column] == pytest.approx(z, abs=0.1)
        share = (expected >= score).mean()
        assert found.random_sets.share[column] == pytest.approx(share, abs=1 / 20)


def test_a_set_larger_than_what_is_outside_the_pair_has_no_random_sets_beside_it(
    store: Path,
) -> None:
    inputs = ask(store, bridge_set="all", top_percent=60)
    scores = spectrum_of(inputs)
    assert np.isfinite(scores.score).all()
    found = spectrum_uncertainty(inputs, scores, resampling=Resampling(0, 0, 20))
    assert found.random_sets is not None
    assert np.isnan(found.random_sets.mean).all()
    assert np.isnan(found.random_sets.z).all()
    assert np.isnan(found.random_sets.share).all()


def test_a_layer_without_a_score_has_no_part(store: Path) -> None:
    inputs = ask(store, bridge_set="specific", top_percent=35, scope="model")
    scores = spectrum_of(inputs)
    used = np.isfinite(scores.score)
    assert used.any()
    assert not used.all()
    found = spectrum_uncertainty(inputs, scores, resampling=Resampling(20, 20, 20))
    scored = used.any(axis=0)
    assert np.array_equal(np.isfinite(found.score), scored)
    assert found.test is not None
    assert np.array_equal(np.isfinite(found.test.layer_p), used)
    assert np.array_equal(np.isfinite(found.test.family_p), scored)
    assert found.random_sets is not None
    assert np.array_equal(np.isfinite(found.random_sets.share), scored)
