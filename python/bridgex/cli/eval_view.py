"""Evaluations as answers."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from bridgex.cli.output import NOT_ESTIMABLE, Answer, Table

if TYPE_CHECKING:
    from bridgex.evals.agreement import Agreement
    from bridgex.evals.statistics import Difference
    from bridgex.evals.summary import StrategySummary, Summary


def evaluation_answer(summary: Summary, agreement: Agreement | None = None) -> Answer:
    """Accuracy of every strategy, and whether a ranking predicted it."""
    rows = [_row(one) for one in summary.rows]
    table = Table(
        title=f"Word translation {summary.pair}: {summary.examples} words, greedy",
        columns=(
            "strategy",
            "correct",
            "accuracy",
            "to zero-shot",
            f"{summary.confidence:.0%} interval",
            "p (McNemar, Holm)",
        ),
        rows=[_cells(one) for one in summary.rows],
        notes=_identical_note(summary),
    )
    meta: dict[str, Any] = {
        "task": summary.task,
        "source": summary.pair.source,
        "target": summary.pair.target,
        "generator": summary.generator,
        "scoring": summary.scoring,
        "examples": summary.examples,
        "identical": summary.identical,
        "confidence": summary.confidence,
        "agreement": None if agreement is None else asdict(agreement),
    }
    tables = [table] if agreement is None else [table, _verdict(agreement)]
    return Answer("bridgex.evaluation/1", rows, tables, meta)


def _row(one: StrategySummary) -> dict[str, Any]:
    difference = one.difference
    return {
        "strategy": one.strategy,
        "correct": one.correct,
        "accuracy": one.accuracy,
        "difference": None if difference is None else difference.value,
        "difference_low": None if difference is None else difference.low,
        "difference_high": None if difference is None else difference.high,
        "p_value": one.p_value,
        "p_holm": one.p_holm,
    }


def _cells(one: StrategySummary) -> tuple[str | int | float, ...]:
    if one.difference is None or one.p_holm is None:
        unmeasured = (NOT_ESTIMABLE,) * 3
        return one.strategy, one.correct, f"{one.accuracy:.1%}", *unmeasured
    return (
        one.strategy,
        one.correct,
        f"{one.accuracy:.1%}",
        f"{100 * one.difference.value:+.1f}",
        _interval(one.difference),
        _p_value(one.p_holm),
    )


def _p_value(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"  # noqa: PLR2004 - three digits are shown


def _interval(difference: Difference) -> str:
    return f"{100 * difference.low:+.1f} to {100 * difference.high:+.1f}"


def _identical_note(summary: Summary) -> tuple[str, ...]:
    if not summary.identical:
        return ()
    return (f"{summary.identical} words are the same in both languages: copying solves them",)


def _verdict(agreement: Agreement) -> Table:
    rows = [
        ("recommended by the ranking", agreement.recommended),
        ("best measured", agreement.best),
        ("Kendall's tau of score and accuracy", _correlation(agreement.kendall)),
        ("Spearman's rho of score and accuracy", _correlation(agreement.spearman)),
        ("regret to the best", _points(agreement.regret)),
    ]
    if agreement.regret_to_english is not None:
        rows.append(("regret to English", _points(agreement.regret_to_english)))
    return Table(
        title="Did the ranking predict it?",
        columns=("", ""),
        rows=rows,
        notes=tuple(f"{sentence}." for sentence in agreement.verdict.rstrip(".").split(". ")),
    )


def _correlation(value: float) -> str:
    return NOT_ESTIMABLE if value != value else f"{value:+.2f}"  # noqa: PLR0124 - not a number


def _points(difference: Difference) -> str:
    return f"{100 * difference.value:+.1f} points ({_interval(difference)})"
