"""Which words trade places, and which are left out."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from bridgex.errors import InvalidInputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

LEAST_RESAMPLES = 20
"""With fewer, a chance of 5 % cannot be seen."""

LEAST_WORDS = 8
"""A half of fewer has less than the 4 samples that the unbiased estimator needs."""


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

    Raises
    ------
    InvalidInputError
        When a number is neither 0, which leaves that part out, nor 20 or more.
    """

    permutations: int = 199
    resamples: int = 400
    random_sets: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            spoken = name.replace("_", " ")
            if name == "seed":
                if value < 0:
                    raise InvalidInputError(f"seed must not be negative, got {value}")
            elif value and value < LEAST_RESAMPLES:
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
