"""Accuracies of the strategies, and how far each is from zero-shot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridgex.evals.statistics import Difference, holm, mcnemar_p, paired_difference
from bridgex.evals.strategies import ZERO_SHOT

if TYPE_CHECKING:
    from bridgex.evals.results import Results
    from bridgex.schema import Pair


@dataclass(frozen=True)
class StrategySummary:
    """One strategy against zero-shot on the same examples.

    Attributes
    ----------
    strategy
        Its name.
    correct
        Number of examples it got right.
    accuracy
        Their share.
    difference
        Accuracy minus that of zero-shot, with its interval; None for zero-shot.
    p_value, p_holm
        Exact McNemar p-value against zero-shot, and adjusted for the number of strategies that
        are compared with it; None for zero-shot.
    """

    strategy: str
    correct: int
    accuracy: float
    difference: Difference | None
    p_value: float | None
    p_holm: float | None


@dataclass(frozen=True)
class Summary:
    """The strategies of one evaluation, in the order in which they ran.

    Attributes
    ----------
    task, generator, scoring, pair
        As in the results.
    examples
        Number of examples.
    identical
        How many of them copying the input solves.
    confidence
        Confidence of the intervals.
    rows
        One strategy each.
    """

    task: str
    pair: Pair
    generator: str
    scoring: str
    examples: int
    identical: int
    confidence: float
    rows: tuple[StrategySummary, ...]


def summarise(
    results: Results, *, confidence: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> Summary:
    """Compare every strategy with zero-shot.

    Parameters
    ----------
    results
        Predictions; those of zero-shot must be among them. To leave out the examples that
        copying solves, pass ``results.without_identical()``.
    confidence, resamples, seed
        As ``paired_difference`` takes them.

    Raises
    ------
    NotFoundError
        Zero-shot was not run, or no example is left.
    """
    baseline = results.correct(ZERO_SHOT.name)
    others = [name for name in results.strategies if name != ZERO_SHOT.name]
    p_values = [mcnemar_p(results.correct(name), baseline) for name in others]
    compared = dict(zip(others, zip(p_values, holm(p_values), strict=True), strict=True))

    def row(name: str) -> StrategySummary:
        correct = results.correct(name)
        right, accuracy = int(correct.sum()), float(correct.mean())
        if name == ZERO_SHOT.name:
            return StrategySummary(name, right, accuracy, None, None, None)
        difference = paired_difference(
            correct, baseline, confidence=confidence, resamples=resamples, seed=seed
        )
        return StrategySummary(name, right, accuracy, difference, *compared[name])

    identical = sum(
        found.identical for found in results.predictions if found.strategy == ZERO_SHOT.name
    )
    return Summary(
        task=results.task,
        pair=results.pair,
        generator=results.generator,
        scoring=results.scoring,
        examples=baseline.size,
        identical=identical,
        confidence=confidence,
        rows=tuple(row(name) for name in results.strategies),
    )
