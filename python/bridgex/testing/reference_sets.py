"""Sets of neurons as their definitions read, with Python's sets and loops.

A probability table is (language, neuron): how often each neuron is on for each language.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def entropy(probabilities: Sequence[float]) -> float:
    """Return the entropy of one neuron's probabilities over the languages, normalised, in nats."""
    total = sum(probabilities)
    return -sum(p / total * math.log(p / total) for p in probabilities if p > 0)


def active_languages(table: Sequence[Sequence[float]], quantile: float) -> list[set[int]]:
    """Return for every neuron the languages for which it exceeds the quantile of all numbers.

    The quantile is the number at place round(quantile * count), at least the first, in ascending
    order.
    """
    ascending = sorted(p for row in table for p in row)
    limit = ascending[max(round(quantile * len(ascending)), 1) - 1]
    neurons = range(len(table[0]))
    return [{row for row, values in enumerate(table) if values[n] > limit} for n in neurons]


def lape(table: Sequence[Sequence[float]], k: int, quantile: float) -> list[set[int]]:
    """Return every language's neurons by activation probability entropy.

    The k neurons of the lowest entropy out of those that are active for some language; of equal
    ones that of the larger largest probability, then of the lower index. Each belongs to the
    languages that it is active for (Tang et al. 2024).
    """
    active = active_languages(table, quantile)
    columns = list(zip(*table, strict=True))
    eligible = [n for n, languages in enumerate(active) if languages]
    eligible.sort(key=lambda n: (entropy(columns[n]), -max(columns[n]), n))
    return [{n for n in eligible[:k] if row in active[n]} for row in range(len(table))]


def combinations(sets: Sequence[set[int]]) -> dict[tuple[int, ...], int]:
    """Return how many neurons are in exactly these sets, for every combination that has any."""
    owners = Counter[tuple[int, ...]]()
    for neuron in set().union(*sets):
        owners[tuple(row for row, one in enumerate(sets) if neuron in one)] += 1
    return dict(owners)


def jaccard(first: set[int], second: set[int]) -> float:
    """Return |A ∩ B| / |A ∪ B|; NaN for two empty sets."""
    return _ratio(len(first & second), len(first | second))


def overlap_coefficient(first: set[int], second: set[int]) -> float:
    """Return |A ∩ B| / min(|A|, |B|); NaN where either is empty."""
    return _ratio(len(first & second), min(len(first), len(second)))


def containment(first: set[int], second: set[int]) -> float:
    """Return |A ∩ B| / |A|; NaN where the first is empty."""
    return _ratio(len(first & second), len(first))


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else math.nan
