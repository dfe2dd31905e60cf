"""Scores of permuted and of halved samples: the definitions against brute force."""

from itertools import permutations

import numpy as np
import pytest
from numpy.typing import NDArray

from bridgex.testing import reference
from bridgex.testing.reference import Estimator, Normalize
from bridgex.testing.resampling import (
    Layer,
    permuted_scores,
    subset_scores,
    word_halves,
    word_permutations,
)

Rows = NDArray[np.float64]
ESTIMATORS: list[Estimator] = ["unbiased", "biased", "reference", "linear"]
NORMALIZE: list[Normalize] = ["cka", "none"]
GROUPS = ["b", "a", "b", "c", "a", "d", "c", "e", "e", "f"]


def layers(samples: int, seed: int = 0) -> list[Layer]:
    rng = np.random.default_rng(seed)
    result = []
    for _ in range(2):
        pair, union = rng.standard_t(4, (3, samples)), rng.standard_t(4, (5, samples))
        union[1] = pair[0] ** 2 + 0.3 * rng.normal(size=samples)
        result.append(Layer(pair, union, (np.array([0, 1, 2]), np.array([1, 3]), np.array([4]))))
    return result


def test_words_change_places_with_words_of_as_many_probes() -> None:
    groups = np.array(GROUPS)
    for permutation in word_permutations(groups, 50, seed=1):
        assert sorted(permutation) == list(range(len(groups)))
        moved = groups[permutation]
        for label in "abce":
            places = np.flatnonzero(groups == label)
            assert len(set(moved[places])) == 1
            assert np.array_equal(permutation[places], np.sort(permutation[places]))


def test_all_permutations_of_words_are_drawn_equally_often() -> None:
    drawn = word_permutations([0, 1, 2], 6000, seed=2)
    counts = [np.all(drawn == one, axis=1).sum() for one in permutations(range(3))]
    assert np.abs(np.array(counts) - 1000).max() < 120  # 4 standard deviations


def test_a_word_alone_with_its_number_of_probes_stays() -> None:
    assert np.array_equal(word_permutations([0, 0, 0, 1, 1], 3), [[0, 1, 2, 3, 4]] * 3)


def test_a_half_has_half_of_the_words_whole() -> None:
    groups = np.array([*GROUPS, "g"])
    halves = word_halves(groups, 200, seed=3)
    for half in halves:
        inside = {label for label in set(groups) if half[groups == label].all()}
        assert len(inside) == 3
        assert half.sum() == sum((groups == label).sum() for label in inside)
    assert np.all(np.abs(halves.mean(axis=0) - 3 / 7) < 0.14)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("normalize", NORMALIZE)
@pytest.mark.parametrize("bandwidth", ["neuron", "layer", "reference", 0.7])
def test_permuted_scores_are_those_of_permuted_rows(
    estimator: Estimator, normalize: Normalize, bandwidth: str | float
) -> None:
    sets = layers(12)
    drawn = np.concatenate([[np.arange(12)], word_permutations(np.arange(12), 2)])
    found = permuted_scores(
        sets, drawn, estimator=estimator, normalize=normalize, bandwidth=bandwidth
    )
    for p, permutation in enumerate(drawn):
        for at, layer in enumerate(sets):
            rule = bandwidth
            if bandwidth == "layer":
                rows = np.concatenate([layer.pair, layer.union])
                rule = reference.layer_bandwidth(reference.standardise(rows))
            for c, own in enumerate(layer.members):
                matrix = reference.dependence_matrix(
                    layer.pair,
                    layer.union[own][:, permutation],
                    estimator=estimator,
                    normalize=normalize,
                    bandwidth=rule,
                )
                assert found[p, at, c] == pytest.approx(reference.layer_score(matrix), rel=1e-9)


def u_statistic(k: Rows, m: Rows) -> float:
    """Return the mean of the kernel of order four over all quadruples of distinct samples."""
    total = [
        k[a, b] * m[a, b] + k[a, b] * m[c, d] - 2 * k[a, b] * m[a, c]
        for a, b, c, d in permutations(range(len(k)), 4)
    ]
    return float(np.mean(total))


def test_unbiased_scores_of_a_subset_are_its_u_statistics() -> None:
    layer = layers(11)[0]
    half = word_halves(np.arange(11), 1)
    kept = np.flatnonzero(half[0])
    own = layer.members[1]
    x, y = reference.standardise(layer.pair), reference.standardise(layer.union[own])

    def kernels(rows: Rows) -> list[Rows]:
        widths = [reference.median_difference(row) for row in rows]
        full = [reference.kernel(row, width) for row, width in zip(rows, widths, strict=True)]
        return [one[np.ix_(kept, kept)] for one in full]

    matrix = np.array([[u_statistic(k, m) for m in kernels(y)] for k in kernels(x)])
    found = subset_scores([layer], half, normalize="none")[0, 0, 1]
    assert found == pytest.approx(reference.layer_score(matrix), rel=1e-9)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("normalize", NORMALIZE)
def test_the_subset_of_all_samples_scores_as_observed(
    estimator: Estimator, normalize: Normalize
) -> None:
    sets = layers(10)
    every = subset_scores(
        sets, np.ones((1, 10), dtype=np.bool_), estimator=estimator, normalize=normalize
    )
    observed = permuted_scores(sets, np.arange(10)[None], estimator=estimator, normalize=normalize)
    assert every == pytest.approx(observed, rel=1e-9)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("normalize", NORMALIZE)
def test_scores_of_subsets_are_on_the_scale_of_the_whole(
    estimator: Estimator, normalize: Normalize
) -> None:
    rng = np.random.default_rng(4)
    row = rng.normal(size=200)
    layer = Layer(row[None], (row + 0.1 * rng.normal(size=200))[None], (np.array([0]),))
    observed = permuted_scores(
        [layer], np.arange(200)[None], estimator=estimator, normalize=normalize
    )
    halves = subset_scores(
        [layer], word_halves(np.arange(200), 5), estimator=estimator, normalize=normalize
    )
    assert halves.mean() == pytest.approx(observed.item(), rel=0.1)


def test_a_row_that_is_constant_in_a_subset_scores_zero_there() -> None:
    spike = np.array([0.3, 0.3, 0.3, 0.3, 0.3, 5.0, 4.0, 1.0])
    layer = Layer(spike[None], np.arange(8.0)[None], (np.array([0]),))
    subsets = np.array([[True] * 5 + [False] * 3])
    assert subset_scores([layer], subsets).item() == 0.0
