"""``bridgex plan``: what a capture will need, before any parameter is read."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from bridgex.cli.options import LanguageCode, capture_options, gold_option, run_output_options
from bridgex.cli.output import Answer, Table, emit
from bridgex.cli.text_options import text_options

if TYPE_CHECKING:
    from pathlib import Path

    from bridgex.cli.output import Format
    from bridgex.engines.planning import Plan
    from bridgex.schema import GoldFilter

EXIT_REFUSED = 3

_MEMORY = {
    "base": "libraries and the tokenizer, as held now",
    "weights": "all parameters, and what reading them takes besides",
    "surroundings": "embeddings and what else is outside the layers",
    "layer": "parameters of the largest layer",
    "reading": "what reading a layer takes besides, in another precision",
    "pieces": "what is there together of a layer that is read in pieces",
    "piece_reading": "what reading a piece takes besides",
    "head": "the head, at 128 positions",
    "block": "one batch within a layer",
    "token": "a token that waits: hidden state and arguments",
    "part": "sums of a part of text",
}


_LAYERS = {
    "ahead": "2 layer + reading + block",
    "whole": "layer + max(reading, block)",
    "pieces": "pieces + piece_reading + block",
}

_FITS = {
    "ahead": "one layer at a time and the next one fit",
    "whole": "one layer at a time fits",
    "pieces": "one layer at a time does not fit, in pieces it does",
}


@click.command()
@click.argument("model")
@partial(text_options, required=False)
@click.option("--source", type=LanguageCode(), help="Source language of the word lists.")
@click.option("--target", type=LanguageCode(), help="Target language of the word lists.")
@click.option(
    "--lexicon",
    "lexicons",
    type=click.Path(),
    multiple=True,
    help="Word pairs that are to become probes; with --source and --target. Repeatable.",
)
@gold_option
@capture_options
@run_output_options
def command(
    model: str,
    texts: tuple[tuple[str, str], ...],
    text_choices: dict[str, Any],
    source: str | None,
    target: str | None,
    lexicons: tuple[str, ...],
    gold: GoldFilter,
    model_choices: dict[str, Any],
    format_: Format,
    output: Path | None,
) -> int:
    """Say what a capture will need of memory, disk and reading, and which mode it takes.

    No parameter is read. Exits with 3 if not even pieces of a layer fit beside a
    part of text.
    """
    if lexicons and (source is None or target is None):
        raise click.UsageError("--lexicon needs --source and --target")

    from bridgex.capture import load_model
    from bridgex.cli.inputs import check_text_places, open_texts
    from bridgex.cli.progress import reporter
    from bridgex.engines.planning import plan
    from bridgex.lexicon import merge, read_lexicon

    check_text_places(texts)
    sources = open_texts(texts, text_choices)
    words = (
        merge([read_lexicon(path, source, target) for path in lexicons])
        if source and target and lexicons
        else None
    )
    choices = model_choices | {"mode": "sweep", "weights": False}
    opened = load_model(model, **choices, progress=reporter())
    found = plan(opened, sources, words, gold=gold)
    emit(_answer(model, found), format_=format_, output=output)
    return EXIT_REFUSED if found.mode == "none" else 0


def _answer(model: str, found: Plan) -> Answer:
    costs = asdict(found.costs)
    memory = [{"part": name, "bytes": costs[name]} for name in _MEMORY]
    meta = {
        "model": model,
        "mode": found.mode,
        "memory_limit": found.limit,
        "smallest_limit": found.smallest_limit,
        "resident_peak": found.resident_peak,
        "sweep_peak": found.sweep_peak,
        "loading": found.loading,
        "group_bytes": found.group,
        "tokens": found.tokens,
        "words": found.words,
        "parts": found.parts,
        "sweeps": found.sweeps,
        "bytes_per_sweep": found.costs.read,
        "bytes_read": found.bytes_read,
        "store_bytes": found.store,
    }
    return Answer("bridgex.plan/1", memory, _tables(model, found, costs), meta)


def _tables(model: str, found: Plan, costs: dict[str, int]) -> list[Table]:
    layers = _LAYERS[found.loading]
    limit = human(found.limit)
    verdict = {
        "resident": f"resident: the whole model fits into {limit}",
        "sweep": f"sweep: {_FITS[found.loading]} into {limit}",
        "none": f"a layer and a part of text do not fit into {limit}, but into "
        f"{human(found.smallest_limit)}",
    }[found.mode]
    peaks = Table(
        "Peaks",
        ("", "memory", ""),
        [
            ("resident", human(found.resident_peak), "base + weights + block + part"),
            (
                "sweep",
                human(found.sweep_peak),
                f"base + max(surroundings, {layers}, head) + waiting",
            ),
            ("waiting", human(found.group), "tokens of a group * token + its parts * part"),
        ],
    )
    work = Table(
        "Work",
        ("", "", ""),
        [
            ("tokens", f"{found.tokens:,}", f"of texts and prompts, in {found.parts:,} parts"),
            ("sweeps", f"{found.sweeps:,}", f"{human(found.bytes_read)} are read{_again(found)}"),
            ("store", human(found.store), "of arrays, before compression"),
        ],
    )
    parts = [(name, human(costs[name]), text) for name, text in _MEMORY.items()]
    return [Table(f"{model}: {verdict}", ("", "memory", ""), parts), peaks, work]


def _again(found: Plan) -> str:
    return ", the layers once for every batch" if found.loading == "pieces" else " in all"


def human(count: int) -> str:
    """Return a number of bytes as people write it."""
    power = min(max(count.bit_length() - 1, 0) // 10, 3)
    return f"{count / 1024**power:.4g} {('B', 'KiB', 'MiB', 'GiB')[power]}"
