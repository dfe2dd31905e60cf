"""Running the pipeline for a person or a program: ``bridgex demo`` and ``bridgex run``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bridgex.cli.eval_view import evaluation_answer
from bridgex.cli.output import Answer, Table, emit
from bridgex.cli.ranking_view import ranking_answer
from bridgex.cli.set_views import overlap_answer
from bridgex.cli.views import spectrum_answer, statistics_answer
from bridgex.pipeline import Evaluated, Ranked, SharedNeurons, run

if TYPE_CHECKING:
    from pathlib import Path

    from bridgex.capture import CaptureModel
    from bridgex.cli.output import Format
    from bridgex.pipeline import Request, Stage
    from bridgex.progress import Reporter
    from bridgex.store import Store


def run_and_show(
    model: CaptureModel,
    store: Store,
    request: Request,
    *,
    reporter: Reporter,
    format_: Format,
    output: Path | None,
) -> None:
    """Run the pipeline; show tables stage by stage, or one document at the end."""
    answers: list[Answer] = []
    for stage in run(model, store, request, reporter=reporter):
        found = _answers(stage)
        answers += found
        if format_ == "table" and output is None:
            for answer in found:
                emit(answer, format_="table")
    epilogue = _epilogue(store, request)
    if format_ == "table" and output is None:
        emit(epilogue, format_="table")
    else:
        emit(_joined([*answers, epilogue]), format_=format_, output=output)


def _answers(stage: Stage) -> list[Answer]:
    match stage:
        case SharedNeurons():
            return [overlap_answer(stage.overlap, stage.neurons)]
        case Ranked():
            return [
                spectrum_answer(stage.spectrum),
                ranking_answer(stage.ranking, stage.spectrum, stage.uncertainty),
            ]
        case Evaluated():
            return [evaluation_answer(stage.summary, stage.agreement)]
        case _:
            return [statistics_answer(stage)]


def _epilogue(store: Store, request: Request) -> Answer:
    source, target = request.lexicon.pair
    command = f"bridgex query bridges {store.location} --source {source} --target {target}"
    table = Table("The store", (store.location,), [], notes=(f"ask it more: {command}",))
    return Answer("bridgex.store-path/1", [{"store": store.location}], [table])


def _joined(answers: list[Answer]) -> Answer:
    """Return one answer whose document holds all of them, by the name of their schema."""
    parts: dict[str, Any] = {
        answer.schema.removeprefix("bridgex.").partition("/")[0]: {
            "schema": answer.schema,
            **answer.meta,
            "rows": list(answer.rows),
        }
        for answer in answers
    }
    tables = [table for answer in answers for table in answer.tables]
    return Answer("bridgex.run/1", [], tables, parts)
