"""Whether p-values, intervals and verdicts hold what they promise, where the truth is known."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from benches.python.populations import Population

from bridgex.analysis import Resampling, uncertainty
from bridgex.analysis.arrays import spectrum_scores

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benches.python.populations import Matrix, Sample

    from bridgex.analysis import Uncertainty

LEVEL = 0.05
THREADS = 1


def judged(sample: Sample, drawn: Resampling, *, by_word: bool = True) -> Uncertainty:
    """Return what is said of a sample."""
    return uncertainty(
        sample.pair,
        sample.bridge,
        sample.members,
        groups=sample.words if by_word else None,
        resampling=drawn,
        threads=THREADS,
    )


def kolmogorov_smirnov(p_values: Sequence[float], permutations: int) -> tuple[float, float]:
    """Return the largest distance of p-values from uniform on k / (P + 1), and its chance."""
    found = np.sort(p_values)
    steps = np.arange(1, permutations + 2) / (permutations + 1)
    reached = np.searchsorted(found, steps + 1e-9) / found.size
    distance = float(np.abs(reached - steps).max())
    scaled = (math.sqrt(found.size) + 0.12 + 0.11 / math.sqrt(found.size)) * distance
    if scaled < 0.2:  # where the series has not begun to converge, and the chance is 1
        return distance, 1.0
    terms = [(-1) ** (k - 1) * math.exp(-2 * (k * scaled) ** 2) for k in range(1, 101)]
    return distance, min(max(2 * sum(terms), 0.0), 1.0)


class Uniformity(NamedTuple):
    """P-values of independent sets, by what they are of."""

    p_values: dict[str, list[float]]
    least_family: list[float]
    permutations: int


def independent(
    replications: int, *, by_word: bool = True, words: int = 50, seed: int = 1
) -> Uniformity:
    """Test independent sets: words with one to three probes, three candidates of several sizes."""
    rng = np.random.default_rng(seed)
    drawn = Resampling(permutations=199, resamples=0, random_sets=0)
    values: dict[str, list[float]] = {"layer score": [], "bridge score": []}
    least = []
    for number in range(replications):
        population = Population.draw(rng, 10, (8, 12, 20), (0, 0, 0))
        sample = population.sample(rng, words, probes=3)
        seeded = Resampling(drawn.permutations, 0, 0, seed=number)
        test = judged(sample, seeded, by_word=by_word).test
        assert test is not None
        values["layer score"].append(float(test.layer_p[0, 0]))
        values["bridge score"].append(float(test.p[0]))
        least.append(float(test.family_p.min()))
    return Uniformity(values, least, drawn.permutations)


def one_depends(replications: int, *, words: int = 50) -> tuple[float, float]:
    """Return how often the one candidate that depends is found, and how often another is."""
    rng = np.random.default_rng(2)
    right = wrong = 0
    for number in range(replications):
        population = Population.draw(rng, 10, (8, 12, 20), (0.5, 0, 0))
        sample = population.sample(rng, words, probes=3)
        test = judged(sample, Resampling(199, 0, 0, seed=number)).test
        assert test is not None
        right += bool(test.family_p[0] <= LEVEL)
        wrong += bool((test.family_p[1:] <= LEVEL).any())
    return right / replications, wrong / replications


class Drift(NamedTuple):
    """Scores and z of independent sets of one size."""

    size: int
    score: float
    z: float
    spread: float
    rejected: float


def drift(replications: int, sizes: Sequence[int] = (10, 30, 100, 300)) -> Iterator[Drift]:
    """Test whether z grows with the size of a set, as scores do."""
    rng = np.random.default_rng(3)
    scores, z, rejected = [], [], []
    for number in range(replications):
        population = Population.draw(rng, 10, sizes, [0] * len(sizes))
        found = judged(population.sample(rng, 60), Resampling(199, 0, 0, seed=number))
        assert found.test is not None
        scores.append(found.score)
        z.append(found.test.z)
        rejected.append(found.test.p <= LEVEL)
    means = [np.mean(one, axis=0).tolist() for one in (scores, z, rejected)]
    spread = np.std(z, axis=0, ddof=1).tolist()
    for i, size in enumerate(sizes):
        yield Drift(size, means[0][i], means[1][i], spread[i], means[2][i])


class Stable(NamedTuple):
    """What intervals and verdicts are worth, with so many words."""

    words: int
    coverage: float
    width: float
    best_inside: float
    inside: float
    claims: float
    wrong: float
    said: float
    right: float


SIZES = (20, 20, 20, 20)


def stable(words: int, populations: int, replications: int, strength: Sequence[float]) -> Stable:
    """Draw words again and again from populations, and compare what is said with the truth."""
    rng = np.random.default_rng([4, words])
    rows = []
    for _ in range(populations):
        population = Population.draw(rng, 15, SIZES, strength)
        samples = [population.sample(rng, words) for _ in range(replications)]
        more = [population.sample(rng, words) for _ in range(100)]
        expected = np.mean([_bridge_scores(one) for one in (*samples, *more)], axis=0)
        best = int(expected.argmax())
        for number, sample in enumerate(samples):
            found = judged(sample, Resampling(0, 200, 0, seed=number))
            rows.append(_said(found, expected, best))
    return Stable(words, *np.mean(np.array(rows, dtype=float), axis=0).tolist())


def _said(found: Uncertainty, expected: Matrix, best: int) -> tuple[float, ...]:
    said, top = found.stability, int(found.score.argmax())
    assert said is not None
    alone = said.may_be_best.sum() == 1
    return (
        ((said.low <= expected) & (expected <= said.high)).mean(),
        ((said.high - said.low) / 2 / expected).mean(),
        said.may_be_best[best],
        said.may_be_best.sum(),
        alone,
        alone and top != best,
        said.probability_of_best[top],
        top == best,
    )


def _bridge_scores(sample: Sample) -> Matrix:
    scores = spectrum_scores(sample.pair, sample.bridge, sample.members, threads=THREADS).score
    mean: Matrix = scores.mean(axis=0)
    return mean


class Power(NamedTuple):
    """How often dependence is found, by its strength, with so many words."""

    words: int
    found: list[float]


def power(words: int, replications: int, strength: Sequence[float]) -> Power:
    """Return how often one candidate is found beyond chance."""
    rng = np.random.default_rng([5, words])
    hits = np.zeros(len(strength))
    for number in range(replications):
        population = Population.draw(rng, 10, [10] * len(strength), strength)
        test = judged(population.sample(rng, words), Resampling(199, 0, 0, seed=number)).test
        assert test is not None
        hits += test.p <= LEVEL
    return Power(words, (hits / replications).tolist())
