"""``bridgex eval``: measure a task zero-shot and through bridges."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bridgex.cli.options import (
    LanguageCodes,
    OutputFile,
    lexicon_option,
    model_options,
    output_options,
    pair_options,
)
from bridgex.cli.output import emit

if TYPE_CHECKING:
    from bridgex.analysis import Ranking
    from bridgex.cli.output import Format
    from bridgex.schema import Pair


@click.group()
def command() -> None:
    """Measure a task zero-shot and through bridges."""


@command.command()
@click.argument("model")
@pair_options
@lexicon_option
@click.option(
    "--strategy",
    "strategies",
    multiple=True,
    help="bridge:LANGUAGE, pivot:LANGUAGE, bridge:all or bridge:auto. Repeatable; zero-shot is "
    "always measured.  [default: bridge:all]",
)
@click.option("--bridges", type=LanguageCodes(), help="What bridge:all stands for.")
@click.option(
    "--store",
    type=click.Path(path_type=Path),
    help="A store whose ranking is checked; its languages are the candidates unless --bridges.",
)
@click.option("--words", type=click.IntRange(min=1), help="Words to ask for.  [default: all]")
@click.option(
    "--identical",
    type=click.Choice(["keep", "drop"]),
    default="keep",
    show_default=True,
    help="Words that are the same in both languages.",
)
@click.option(
    "--scoring",
    type=click.Choice(["quoted", "published"]),
    default="quoted",
    show_default=True,
    help="How an answer is read: the text in quotation marks, or the line.",
)
@click.option(
    "--predictions",
    type=OutputFile(),
    help="Parquet file for every prompt, answer and score.",
)
@model_options
@output_options
def bli(
    model: str,
    source: str,
    target: str,
    lexicons: tuple[Path, ...],
    strategies: tuple[str, ...],
    bridges: tuple[str, ...] | None,
    store: Path | None,
    words: int | None,
    identical: str,
    scoring: str,
    predictions: Path | None,
    model_choices: dict[str, Any],
    format_: Format,
    output: Path | None,
) -> None:
    """Word translation: exact match, greedy."""
    from bridgex.cli.eval_view import evaluation_answer
    from bridgex.cli.inputs import check_pair
    from bridgex.cli.progress import reporter
    from bridgex.evals.agreement import can_compare, compare_with_ranking
    from bridgex.evals.bli import BliTask
    from bridgex.evals.results import write_predictions
    from bridgex.evals.runner import run
    from bridgex.evals.strategies import parse_strategies
    from bridgex.evals.summary import summarise
    from bridgex.lexicon import merge, read_lexicon

    check_pair(source, target, bridges or ())
    lexicon = merge(
        [read_lexicon(path, source, target, identical=identical) for path in lexicons]  # type: ignore[arg-type]  # a choice
    )
    ranking = None if store is None else _ranking(store, lexicon.pair, bridges)
    candidates = bridges or (() if ranking is None else ranking.bridges)
    chosen = parse_strategies(
        strategies or ("bridge:all",),
        lexicon.pair,
        candidates=candidates,
        recommended=None if ranking is None else ranking.best,
    )

    from bridgex.capture import load_model
    from bridgex.engines.generator import ModelGenerator

    listener = reporter()
    loaded = load_model(model, **model_choices, progress=listener)
    results = run(
        BliTask.from_lexicon(lexicon, limit=words),
        chosen,
        ModelGenerator(loaded),
        scoring=scoring,
        reporter=listener,
    )
    if predictions is not None:
        write_predictions(results, predictions)
    agreement = None
    if ranking is not None:
        scores = dict(zip(ranking.bridges, ranking.score.tolist(), strict=True))
        if can_compare(results, scores):
            agreement = compare_with_ranking(results, scores)
        else:
            listener.note("fewer than two ranked bridges were measured: the ranking is not checked")
    emit(evaluation_answer(summarise(results), agreement), format_=format_, output=output)


def _ranking(path: Path, pair: Pair, bridges: tuple[str, ...] | None) -> Ranking:
    from bridgex.analysis import rank_bridges, spectrum
    from bridgex.store import Store

    return rank_bridges(spectrum(Store.open(path).snapshot(), pair, bridges=bridges))
