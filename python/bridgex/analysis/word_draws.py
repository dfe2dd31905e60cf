"""Which words trade places, and which are left out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bridgex.errors import InvalidInputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

LEAST_RESAMPLES = 20
"""With fewer, a chance of 5 % cannot be seen."""

LEAST_WORDS = 8
"""A half of fewer has less than the 4 samples that the unbiased estimator needs."""

LEAST_ORDERS = math.factorial(LEAST_WORDS)
"""With fewer orders of the words, permutations repeat, and often are the identity."""


@dataclass(frozen=True)
class Resampling:
    """How often something is drawn to say how far a score can be trusted.

    Attributes
    ----------
    permutations
        Permutations of the words, for p-values.
    resamples
        Random halves of the words, for intervals and for who may be best.
    random_sets
        Random sets of neurons beside every candidate's.
    seed
        All draws are functions of it.
    tol
        What features may leave out of an entry where they are resampled, on the scale of CKA: see
        ``resampled_scores``. It is left out in every draw alike. A smaller one costs time.

    Raises
    ------
    InvalidInputError
        When a number is neither 0, which leaves that part out, nor 20 or more; when the seed or
        ``tol`` is negative, or ``tol`` is not finite.
    """

    permutations: int = 199
    resamples: int = 400
    random_sets: int = 100
    seed: int = 0
    tol: float = 0.1

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise InvalidInputError(f"seed must not be negative, got {self.seed}")
        if not 0 <= self.tol < math.inf:
            raise InvalidInputError(f"tol must be finite and not negative, got {self.tol}")
        for name in ("permutations", "resamples", "random_sets"):
            value, spoken = getattr(self, name), name.replace("_", " ")
            if value and value < LEAST_RESAMPLES:
                raise InvalidInputError(
                    f"{spoken} must be 0 for none, or {LEAST_RESAMPLES} or more; got {value}",
                    hint="With fewer, a chance of 5 % cannot be seen.",
                )


def word_numbers(groups: ArrayLike, samples: int) -> NDArray[np.int64]:
    """Return the number of every sample's word, int64 (sample,), counted from 0.

    Raises
    ------
    InvalidInputError
        When there is not one label for every sample.
    """
    labels = np.asarray(groups)
    if labels.shape != (samples,):
        raise InvalidInputError(
            f"groups must have one label for each of the {samples} samples, not the shape "
            f"{labels.shape}"
        )
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def check_words(count: int) -> None:
    """Refuse so few words that resampling them says nothing."""
    if count < LEAST_WORDS:
        raise InvalidInputError(
            f"at least {LEAST_WORDS} words are needed to resample them, and {count} came"
        )


def can_be_permuted(words: NDArray[np.int64]) -> bool:
    """Return whether words have as many orders as 8 that are alike, or more.

    Words trade places with words of as many probes only.

    Parameters
    ----------
    words
        Number of every sample's word, int64 (sample,).
    """
    alike = np.bincount(np.bincount(words))
    orders = sum(math.lgamma(count + 1) for count in alike.tolist())
    return orders >= math.log(LEAST_ORDERS) - 1e-9


def word_permutations(words: NDArray[np.int64], count: int, *, seed: int) -> NDArray[np.int64]:
    """Draw permutations of the samples that keep the probes of a word together.

    Words trade places with words of as many probes; one that is alone with its number stays.

    Parameters
    ----------
    words
        Number of every sample's word, int64 (sample,): see ``word_numbers``.
    count, seed
        How many, and of which seed.

    Returns
    -------
    int64 (count, sample).
    """
    sizes = np.bincount(words)
    by_word = np.argsort(words, kind="stable")
    starts = np.cumsum(sizes) - sizes
    alike = [by_word[starts[sizes == size][:, None] + np.arange(size)] for size in np.unique(sizes)]
    rng = np.random.default_rng([seed, 0])
    result = np.empty((count, words.size), dtype=np.int64)
    for permutation in result:
        for block in alike:
            permutation[block] = block[rng.permutation(len(block))]
    return result


def word_halves(words: NDArray[np.int64], count: int, *, seed: int) -> NDArray[np.bool_]:
    """Draw halves of the words without replacement, bool (count, sample).

    Parameters
    ----------
    words, count, seed
        As in ``word_permutations``, from another stream; a half has floor(words / 2) words.
    """
    total = int(words.max()) + 1
    rng = np.random.default_rng([seed, 1])
    result = np.empty((count, words.size), dtype=np.bool_)
    for half in result:
        inside = np.zeros(total, dtype=np.bool_)
        inside[rng.permutation(total)[: total // 2]] = True
        half[:] = inside[words]
    return result
