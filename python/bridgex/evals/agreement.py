"""Whether a ranking predicted which bridge helps most."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from bridgex.errors import InvalidInputError
from bridgex.evals.statistics import (
    Difference,
    holm,
    kendall_tau,
    mcnemar_p,
    paired_difference,
    spearman_rho,
)
from bridgex.evals.strategies import ZERO_SHOT

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from bridgex.evals.results import Results

_LEAST_CANDIDATES = 2


@dataclass(frozen=True)
class Agreement:
    """A ranking of bridges beside what they were measured to achieve.

    Attributes
    ----------
    candidates
        Bridges that were both scored and measured, best score first.
    scores, accuracies
        Of each candidate, in that order.
    unmeasured
        Bridges with a score that were not evaluated, or without a score that were.
    kendall, spearman
        Tau-b and rho of scores and accuracies; NaN where one of them does not vary.
    recommended
        The candidate with the best score.
    best
        The candidate with the best accuracy; of several, the one with the best score.
    hit
        Whether no candidate has a higher accuracy than the recommended one.
    regret
        Accuracy of ``best`` minus that of ``recommended``. The best is chosen after the fact, so
        its interval is too optimistic; the verdict does not rest on it.
    regret_to_english
        Accuracy through English minus that through ``recommended``; None where English was not
        measured.
    gain
        Accuracy of ``recommended`` minus that of zero-shot.
    reliably_better, reliably_worse
        Candidates that differ from the recommended one: McNemar, Holm over the candidates.
    verdict
        All of this in plain words.
    """

    candidates: tuple[str, ...]
    scores: tuple[float, ...]
    accuracies: tuple[float, ...]
    unmeasured: tuple[str, ...]
    kendall: float
    spearman: float
    recommended: str
    best: str
    hit: bool
    regret: Difference
    regret_to_english: Difference | None
    gain: Difference
    reliably_better: tuple[str, ...]
    reliably_worse: tuple[str, ...]
    verdict: str


def can_compare(results: Results, scores: Mapping[str, float]) -> bool:
    """Return whether at least two bridges were both scored and measured."""
    return len(_both(scores, _measured(results))) >= _LEAST_CANDIDATES


def compare_with_ranking(
    results: Results,
    scores: Mapping[str, float],
    *,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Agreement:
    """Hold a ranking of bridges against the measured accuracies.

    Parameters
    ----------
    results
        Predictions of zero-shot and of at least two bridges or pivots.
    scores
        Bridge score by language code; NaN where a bridge could not be scored.
    confidence, resamples, seed
        As ``paired_difference`` takes them.

    Raises
    ------
    InvalidInputError
        Fewer than two bridges were both scored and measured.
    NotFoundError
        Zero-shot was not run.
    """
    measured = _measured(results)
    candidates = _candidates(scores, measured)
    accuracy = [float(measured[code].mean()) for code in candidates]
    ranked_scores = [scores[code] for code in candidates]
    best = candidates[accuracy.index(max(accuracy))]
    chosen = measured[candidates[0]]
    difference = partial(paired_difference, confidence=confidence, resamples=resamples, seed=seed)
    gain = difference(chosen, results.correct(ZERO_SHOT.name))
    better, worse = _reliable(measured, candidates, 1 - confidence)
    verdict = [_ranking_verdict(candidates, better, worse)]
    verdict.append(_gain_verdict(candidates[0], gain, confidence))
    return Agreement(
        candidates=candidates,
        scores=tuple(ranked_scores),
        accuracies=tuple(accuracy),
        unmeasured=tuple(sorted((scores.keys() | measured.keys()) - set(candidates))),
        kendall=kendall_tau(ranked_scores, accuracy),
        spearman=spearman_rho(ranked_scores, accuracy),
        recommended=candidates[0],
        best=best,
        hit=accuracy[0] == max(accuracy),
        regret=difference(measured[best], chosen),
        regret_to_english=difference(measured["en"], chosen) if "en" in measured else None,
        gain=gain,
        reliably_better=better,
        reliably_worse=worse,
        verdict=" ".join(verdict),
    )


def _candidates(
    scores: Mapping[str, float], measured: Mapping[str, NDArray[np.bool_]]
) -> tuple[str, ...]:
    """Return the bridges that are both scored and measured, best score first."""
    both = _both(scores, measured)
    if len(both) < _LEAST_CANDIDATES:
        raise InvalidInputError(
            f"a ranking is checked on at least 2 bridges that are scored and measured, got "
            f"{len(both)}: scored {_scored(scores)}, measured {sorted(measured)}",
            hint="evaluate more candidates, for example with the strategy bridge:all",
        )
    return tuple(sorted(both, key=lambda code: (-scores[code], code)))


def _both(scores: Mapping[str, float], measured: Mapping[str, NDArray[np.bool_]]) -> set[str]:
    return set(_scored(scores)) & measured.keys()


def _scored(scores: Mapping[str, float]) -> list[str]:
    return sorted(code for code, score in scores.items() if not math.isnan(score))


def _measured(results: Results) -> dict[str, NDArray[np.bool_]]:
    """Return what each language led to, bool (example,); bridges and pivots prompt alike."""
    return {
        name.partition(":")[2]: results.correct(name)
        for name in results.strategies
        if name != ZERO_SHOT.name
    }


def _reliable(
    measured: Mapping[str, NDArray[np.bool_]], candidates: tuple[str, ...], level: float
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the candidates that are reliably better and worse than the first one."""
    chosen, others = measured[candidates[0]], candidates[1:]
    adjusted = holm([mcnemar_p(measured[code], chosen) for code in others])
    differing = [code for code, p in zip(others, adjusted, strict=True) if p < level]
    better = tuple(code for code in differing if measured[code].sum() > chosen.sum())
    return better, tuple(code for code in differing if code not in better)


def _ranking_verdict(
    candidates: tuple[str, ...], better: tuple[str, ...], worse: tuple[str, ...]
) -> str:
    recommended, others = candidates[0], len(candidates) - 1
    if better:
        return (
            f"The ranking did not predict the outcome: {', '.join(better)} did reliably better "
            f"than the recommended {recommended}."
        )
    if worse:
        return (
            f"The outcome is consistent with the ranking: none of the other {others} bridges did "
            f"reliably better than the recommended {recommended}, and {', '.join(worse)} did "
            f"reliably worse."
        )
    return (
        f"These examples cannot tell whether the ranking is right: there is no reliable "
        f"difference between the recommended {recommended} and the other {others} bridges."
    )


def _gain_verdict(recommended: str, gain: Difference, confidence: float) -> str:
    interval = f"{100 * confidence:g} % interval {100 * gain.low:+.1f} to {100 * gain.high:+.1f}"
    change = f"{100 * gain.value:+.1f} points, {interval}"
    if not gain.reliable:
        return f"No reliable difference to zero-shot through {recommended} ({change})."
    word = "better" if gain.value > 0 else "worse"
    return f"Prompting through {recommended} is {word} than zero-shot ({change})."
