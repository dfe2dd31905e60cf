"""How far scores can be trusted, from arrays: against the plain definitions."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from bridgex.analysis import Resampling, uncertainty, verdict
from bridgex.analysis.arrays import Estimator, Precision, spectrum_scores
from bridgex.errors import InvalidInputError
from bridgex.testing import inference, resampling

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Rows = NDArray[np.float64]

MEMBERS = [np.arange(6), np.arange(4, 12), np.arange(12, 18), np.arange(0)]
DRAWN = Resampling(permutations=40, resamples=60, random_sets=0, seed=3)


def rows(samples: int, *, strength: float = 0.5) -> tuple[list[Rows], list[Rows]]:
    """Return two layers in which the first candidate depends on the pair most."""
    rng = np.random.default_rng(1)
    pairs, bridges = [], []
    for _ in range(2):
        pair, union = rng.standard_t(5, (5, samples)), rng.standard_t(5, (18, samples))
        union[:5] += strength * pair
        union[6:9] += 0.5 * strength * pair[:3] ** 2
        pairs.append(pair)
        bridges.append(union)
    return pairs, bridges


def plain(
    pairs: list[Rows], bridges: list[Rows], groups: list[int], estimator: Estimator
) -> tuple[Rows, Rows, Rows]:
    """Return observed, permuted and halved layer scores by the definitions."""
    layers = [
        resampling.Layer(pair, union, tuple(MEMBERS[:3]))
        for pair, union in zip(pairs, bridges, strict=True)
    ]
    orders = resampling.word_permutations(groups, DRAWN.permutations, seed=DRAWN.seed)
    halves = resampling.word_halves(groups, DRAWN.resamples, seed=DRAWN.seed)
    every = np.concatenate([np.arange(len(groups))[None], orders])
    scores = resampling.permuted_scores(layers, every, estimator=estimator)
    return scores[0], scores[1:], resampling.subset_scores(layers, halves, estimator=estimator)


# What resampled features leave out moves a score by some 1e-3 of 24 samples, and z by some 1e-2.
@pytest.mark.parametrize(("estimator", "close"), [("linear", 1e-4), ("unbiased", 0.05)])
def test_arrays_get_what_the_definitions_say(estimator: Estimator, close: float) -> None:
    groups = [number // 2 for number in range(24)]
    pairs, bridges = rows(24)
    found = uncertainty(
        pairs, bridges, [MEMBERS] * 2, groups=groups, resampling=DRAWN, estimator=estimator
    )
    observed, permuted, halves = plain(pairs, bridges, groups, estimator)
    score = inference.bridge_scores(observed, observed)
    test = inference.permutation_test(score, inference.bridge_scores(permuted, observed))
    scatter = inference.deviations(inference.bridge_scores(halves, observed), 12)
    low, high = inference.interval(score, scatter)
    assert found.words == 12
    assert found.random_sets is None
    assert found.test is not None
    assert found.stability is not None
    unit = scatter.std(axis=0, ddof=1)
    assert found.score[:3] == pytest.approx(score, abs=1e-3)
    assert found.test.z[:3] == pytest.approx(test.z, abs=close)
    assert found.test.p[:3] == pytest.approx(test.p, abs=1 / 40)
    assert found.test.family_p[:3] == pytest.approx(test.family_p, abs=1 / 40)
    assert np.abs((found.stability.low[:3] - low) / unit).max() < close
    assert np.abs((found.stability.high[:3] - high) / unit).max() < close
    best = inference.probability_of_best(score, scatter)
    assert found.stability.probability_of_best[:3] == pytest.approx(best, abs=2 / 60)
    inside, _ = inference.may_be_best(score, scatter)
    assert found.stability.may_be_best.tolist() == [*inside.tolist(), False]
    assert np.isnan([found.score[3], found.test.z[3], found.stability.low[3]]).all()
    by_layer = inference.permutation_test(observed[1], permuted[:, 1])
    assert found.test.layer_z[1, :3] == pytest.approx(by_layer.z, abs=close)
    assert found.test.layer_p[1, :3] == pytest.approx(by_layer.p, abs=1 / 40)


def test_the_score_is_the_mean_of_the_spectrum() -> None:
    pairs, bridges = rows(40)
    scores = spectrum_scores(pairs, bridges, [MEMBERS] * 2).score
    found = uncertainty(pairs, bridges, [MEMBERS] * 2, resampling=DRAWN)
    assert found.score[:3] == pytest.approx(scores[:, :3].mean(axis=0))
    assert found.words == 40


def test_what_is_not_asked_for_is_not_there() -> None:
    pairs, bridges = rows(40)
    found = uncertainty(pairs, bridges, [MEMBERS] * 2, resampling=Resampling(0, 0, 0))
    assert (found.test, found.stability, found.random_sets) == (None, None, None)
    only = uncertainty(pairs, bridges, [MEMBERS] * 2, resampling=Resampling(20, 0, 0))
    assert only.test is not None
    assert only.stability is None


def test_nothing_is_said_where_no_half_scores_both_candidates() -> None:
    """Kernels so narrow that the own terms of a half are as often below 0 as above."""
    rng = np.random.default_rng(41)
    pair, union = rng.normal(size=(4, 12)), rng.normal(size=(2, 12))
    alone = [np.array([0]), np.array([1])]
    drawn = Resampling(permutations=0, resamples=20, random_sets=0)
    found = uncertainty([pair], [union], [alone], bandwidth=0.01, resampling=drawn)
    assert np.isfinite(found.score).all()
    assert found.stability is None
    assert verdict(found, ("de", "tl"))[0].startswith("too few halves of the words")


def test_words_of_different_numbers_of_probes_are_no_evidence_against_dependence() -> None:
    groups = np.repeat(np.arange(9), np.arange(1, 10))
    rng = np.random.default_rng(0)
    pair = rng.normal(size=(3, 45))
    union = pair + 0.1 * rng.normal(size=(3, 45))
    drawn = Resampling(permutations=40, resamples=0, random_sets=0)
    found = uncertainty([pair], [union], [[np.arange(3)]], groups=groups, resampling=drawn)
    assert found.test is None
    [sentence] = verdict(found, ("de",))
    assert sentence.startswith("words cannot be permuted: too few have as many probes")


def test_finer_features_and_products_come_nearer_to_the_definition() -> None:
    groups = list(range(24))
    pairs, bridges = rows(24)
    observed, permuted, _ = plain(pairs, bridges, groups, "unbiased")
    expected = inference.permutation_test(observed[0], permuted[:, 0]).z

    def z(dtype: Precision, tol: float) -> Rows:
        drawn = replace(DRAWN, resamples=0, tol=tol)
        found = uncertainty(
            pairs[:1], bridges[:1], [MEMBERS[:3]], resampling=drawn, dtype=dtype
        ).test
        assert found is not None
        return found.z

    assert np.abs(z("f64", 1e-10) - expected).max() < 1e-6
    assert np.abs(z("f32", 0.1) - expected).max() > 1e-3
    assert 0 < np.abs(z("f32", 0.1) - z("f64", 0.1)).max() < 1e-4


def test_draws_are_functions_of_the_seed() -> None:
    pairs, bridges = rows(30)

    def ask(seed: int) -> Rows:
        drawn = Resampling(20, 20, 0, seed)
        found = uncertainty(pairs, bridges, [MEMBERS] * 2, resampling=drawn)
        assert found.test is not None
        assert found.stability is not None
        return np.concatenate([found.test.z, found.stability.low])

    assert np.array_equal(ask(0), ask(0), equal_nan=True)
    assert np.abs(ask(0) - ask(1))[:3].min() > 1e-6


def test_progress_counts_layers() -> None:
    class Counter:
        done = 0
        opened: tuple[object, ...] = ()

        @contextmanager
        def task(self, description: str, *, total: int, unit: str) -> Iterator[Counter]:
            self.opened = (description, total, unit)
            yield self

        def advance(self, amount: int) -> None:
            self.done += amount

        def note(self, text: str) -> None:
            raise AssertionError(text)

    pairs, bridges = rows(30)
    counter = Counter()
    uncertainty(pairs, bridges, [MEMBERS] * 2, resampling=DRAWN, reporter=counter)
    assert counter.opened == ("resampling", 2, "layers")
    assert counter.done == 2


@pytest.mark.parametrize(
    ("groups", "message"),
    [([0] * 23, "one label for each of the 24 samples"), ([0, 1] * 12, "at least 8 words")],
)
def test_words_that_cannot_be_resampled_are_refused(groups: list[int], message: str) -> None:
    pairs, bridges = rows(24)
    for drawn in (Resampling(20, 0, 0), Resampling(0, 20, 0)):
        with pytest.raises(InvalidInputError, match=message):
            uncertainty(pairs, bridges, [MEMBERS] * 2, groups=groups, resampling=drawn)


def test_few_words_are_enough_where_nothing_is_drawn() -> None:
    pairs, bridges = rows(24)
    nothing = Resampling(0, 0, 0)
    found = uncertainty(pairs, bridges, [MEMBERS] * 2, groups=[0, 1] * 12, resampling=nothing)
    assert found.words == 2
    assert np.isfinite(found.score[:3]).all()


def test_no_layer_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="no layer came"):
        uncertainty([], [], [])
