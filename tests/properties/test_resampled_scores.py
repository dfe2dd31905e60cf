"""Scores of permuted samples and of subsets, against their plain definitions."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridgex.analysis.arrays import spectrum_scores
from bridgex.analysis.resampling import ResampledScores, resampled_scores
from bridgex.errors import InvalidInputError
from bridgex.testing.resampling import (
    Layer,
    permuted_scores,
    subset_scores,
    word_halves,
    word_permutations,
)

ESTIMATORS = st.sampled_from(["unbiased", "biased", "reference", "linear"])
NORMALIZE = st.sampled_from(["cka", "none"])
BANDWIDTHS = st.sampled_from(["neuron", "layer", "reference", 0.7])
WORDS = np.repeat(np.arange(14), [1, 2] * 7)


def layers(seed: int) -> list[Layer]:
    rng = np.random.default_rng(seed)
    result = []
    for _ in range(2):
        pair = rng.standard_t(5, size=(4, WORDS.size))
        union = rng.standard_t(5, size=(5, WORDS.size))
        union[:2] += pair[:2] ** 2
        pair[0, :-2] = np.round(pair[0, :-2])
        union[4] = np.where(np.arange(WORDS.size) == seed % WORDS.size, 1.0, 0.0)
        result.append(Layer(pair, union, (np.arange(4), np.arange(1, 5))))
    return result


def fast(layers: list[Layer], **options: Any) -> ResampledScores:
    return resampled_scores(
        [one.pair for one in layers],
        [one.union for one in layers],
        [one.members for one in layers],
        **options,
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), ESTIMATORS, NORMALIZE, BANDWIDTHS)
def test_every_draw_is_scored_as_defined(
    seed: int, estimator: Any, normalize: Any, bandwidth: Any
) -> None:
    rows = layers(seed)
    permutations = word_permutations(WORDS, 3, seed=seed)
    subsets = word_halves(WORDS, 3, seed=seed)
    options = {"estimator": estimator, "normalize": normalize, "bandwidth": bandwidth}
    found = fast(
        rows, permutations=permutations, subsets=subsets, tol=1e-10, dtype="f64", **options
    )
    identity = np.arange(WORDS.size)[None]
    # The published trace is not centred on one side, where a feature that is cut off counts with
    # the root of its eigenvalue.
    close: dict[str, Any] = {"rtol": 1e-7, "atol": 1e-5 if estimator == "reference" else 1e-8}
    expected = permuted_scores(rows, identity, **options)[0]
    np.testing.assert_allclose(found.observed, expected, **close)
    expected = permuted_scores(rows, permutations, **options)
    np.testing.assert_allclose(found.permuted, expected, **close)
    np.testing.assert_allclose(found.subset, subset_scores(rows, subsets, **options), **close)


def test_draws_are_scored_alike_in_single_precision_and_on_any_number_of_threads() -> None:
    rng = np.random.default_rng(0)
    rows = [Layer(rng.normal(size=(30, 150)), rng.normal(size=(70, 150)), (np.arange(70),))]
    draws: dict[str, Any] = {
        "permutations": word_permutations(np.arange(150), 6),
        "subsets": word_halves(np.arange(150), 6),
    }
    one, two = (fast(rows, threads=threads, **draws) for threads in (1, 2))
    for name in ("observed", "permuted", "subset", "rank"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    double = fast(rows, dtype="f64", **draws)
    np.testing.assert_allclose(one.permuted, double.permuted, atol=1e-5)
    np.testing.assert_allclose(one.subset, double.subset, atol=1e-5)


@pytest.mark.parametrize("samples", [200, 600])
def test_what_resampled_features_leave_out_is_far_below_their_bound(samples: int) -> None:
    rng = np.random.default_rng(samples)
    pair, union = rng.standard_t(5, (20, samples)), rng.standard_t(5, (40, samples))
    union[:10] += 0.5 * pair[:10]
    union[10:20] += 0.4 * pair[:10] ** 2
    rows = [Layer(pair, union, (np.arange(20), np.arange(20, 40)))]
    draws: dict[str, Any] = {
        "permutations": word_permutations(np.arange(samples), 100),
        "subsets": word_halves(np.arange(samples), 100),
    }
    coarse, fine = fast(rows, tol=0.1, **draws), fast(rows, tol=1e-3, **draws)
    assert coarse.rank < fine.rank
    np.testing.assert_allclose(coarse.observed, fine.observed, rtol=0, atol=1e-3)
    for one, other in ((coarse.permuted, fine.permuted), (coarse.subset, fine.subset)):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-3)
        np.testing.assert_allclose(one.std(axis=0), other.std(axis=0), rtol=0.01)


def test_all_samples_are_a_subset_and_the_identity_a_permutation() -> None:
    rows = layers(1)
    everything = np.ones((1, WORDS.size), dtype=bool)
    found = fast(rows, permutations=np.arange(WORDS.size)[None], subsets=everything)
    np.testing.assert_allclose(found.permuted[0], found.observed, rtol=1e-6)
    np.testing.assert_allclose(found.subset[0], found.observed, rtol=1e-4)


def test_empty_sets_have_no_scores() -> None:
    layer = Layer(np.empty((0, 8)), np.ones((1, 8)), (np.arange(1), np.arange(0)))
    found = fast([layer], permutations=np.arange(8)[None])
    assert np.isnan(found.observed).all()
    assert found.permuted.shape == (1, 1, 2)
    assert np.isnan(found.permuted).all()


@pytest.mark.parametrize(
    ("draws", "message"),
    [
        ({"permutations": np.zeros((1, 8), dtype=int)}, "permutation 0 must name every sample"),
        ({"permutations": np.full((1, 8), -1)}, "permutation 0 must name every sample"),
        ({"permutations": np.arange(7)[None]}, r"whole numbers with shape \(draw, 8\)"),
        ({"permutations": np.zeros((1, 8))}, "not float64"),
        ({"subsets": np.ones((1, 8), dtype=int)}, "must be booleans"),
        ({"subsets": np.arange(8)[None] < 3}, "needs 4 samples or more, but there are 3"),
    ],
)
def test_draws_that_cannot_be_made_are_refused(draws: Any, message: str) -> None:
    rng = np.random.default_rng(0)
    layer = Layer(rng.normal(size=(2, 8)), rng.normal(size=(2, 8)), (np.arange(2),))
    with pytest.raises(InvalidInputError, match=message):
        fast([layer], **draws)


def one_hot() -> Layer:
    """Five ordinary rows beside five that are on for one sample, whose own term is 0."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(10, 60))
    x[5:] = np.eye(60)[5:10]
    y = np.concatenate([x[:5] ** 2 + 0.3 * rng.normal(size=(5, 60)), rng.normal(size=(5, 60))])
    return Layer(x, y, (np.arange(5), np.arange(5, 10)))


@pytest.mark.parametrize("tol", [0.0, 1e-3, 0.1])
def test_rows_without_an_own_term_are_left_out_in_single_precision_too(tol: float) -> None:
    layer = one_hot()
    scores = spectrum_scores([layer.pair], [layer.union], [layer.members])
    assert scores.left_out.tolist() == [[5, 5]]
    found = fast([layer], tol=tol, subsets=word_halves(np.arange(60), 8))
    np.testing.assert_allclose(found.observed, scores.score, atol=0.02 if tol else 1e-5)
    expected = subset_scores([layer], word_halves(np.arange(60), 8))
    np.testing.assert_allclose(found.subset, expected, atol=0.02 if tol else 1e-4)


def test_nothing_to_score_is_nothing() -> None:
    layer = Layer(np.ones((2, 8)), np.ones((2, 8)), ())
    found = fast([layer], permutations=np.arange(8)[None])
    assert found.observed.shape == (1, 0)
    assert found.permuted.shape == (1, 1, 0)
    assert fast([]).observed.shape == (0, 0)


def test_a_number_that_is_not_finite_is_named_with_its_layer() -> None:
    rng = np.random.default_rng(0)
    good, bad = rng.normal(size=(2, 8)), rng.normal(size=(2, 8))
    bad[1, 3] = np.nan
    sets = [Layer(good, good, (np.arange(2),)), Layer(bad, good, (np.arange(2),))]
    with pytest.raises(InvalidInputError, match=r"pair_rows\[1\] must be finite, but row 1"):
        fast(sets)
