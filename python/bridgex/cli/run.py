"""``bridgex run``: the whole pipeline on the user's model and files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bridgex.cli.options import (
    LanguageCodes,
    StoreLocation,
    capture_options,
    gold_option,
    lexicon_option,
    neurons_option,
    pair_options,
    probe_dtype_option,
    run_output_options,
    store_options,
    threads_option,
)
from bridgex.cli.spectrum_options import DRAWS, spectrum_options
from bridgex.cli.text_options import text_options

if TYPE_CHECKING:
    from pathlib import Path

    from bridgex.analysis.spectrum_options import SpectrumOptions
    from bridgex.analysis.word_draws import Resampling
    from bridgex.cli.output import Format
    from bridgex.schema import GoldFilter, Neurons, ProbeDtype


@click.command()
@click.argument("model")
@pair_options
@click.option("--bridges", type=LanguageCodes(), required=True, help="Candidates: en,es,fr.")
@text_options
@lexicon_option
@click.option("--store", type=StoreLocation(), required=True, help="Where captures are kept.")
@store_options
@gold_option
@neurons_option
@probe_dtype_option
@click.option("--words", type=click.IntRange(min=1), help="Words to evaluate.  [default: all]")
@spectrum_options(**DRAWS)
@threads_option
@capture_options
@run_output_options
def command(
    model: str,
    source: str,
    target: str,
    bridges: tuple[str, ...],
    texts: tuple[tuple[str, str], ...],
    text_choices: dict[str, Any],
    lexicons: tuple[Path, ...],
    store: str,
    part_sizes: dict[str, int | None],
    gold: GoldFilter,
    neurons: Neurons,
    probe_dtype: ProbeDtype,
    words: int | None,
    options: SpectrumOptions,
    resampling: Resampling,
    threads: int | None,
    model_choices: dict[str, Any],
    format_: Format,
    output: Path | None,
) -> None:
    """Run the whole pipeline: capture, rank the bridges, and measure whether the ranking is right.

    MODEL is a Hub id, a directory or a GGUF file. Repeat a command that was interrupted: what was
    captured is in the store.
    """
    from bridgex.cli.inputs import check_pair, check_text_places, check_texts, open_texts
    from bridgex.cli.progress import reporter
    from bridgex.lexicon import merge, read_lexicon

    check_pair(source, target, bridges)
    check_text_places(texts, lexicons)
    lexicon = merge([read_lexicon(path, source, target) for path in lexicons])

    sources = open_texts(texts, text_choices)

    from bridgex.capture import load_model
    from bridgex.cli.stages import run_and_show
    from bridgex.pipeline import Request
    from bridgex.store import Store

    request = Request(
        lexicon=lexicon,
        bridges=bridges,
        texts=sources,
        gold=gold,
        neurons=neurons,
        probe_dtype=probe_dtype,
        words=words,
        options=options,
        resampling=resampling,
        threads=threads,
    )
    check_texts(sources.values())
    listener = reporter()
    loaded = load_model(model, **model_choices, progress=listener)
    request.check(loaded.provenance)
    opened = Store.open_or_create(store, loaded.provenance, **part_sizes)
    run_and_show(loaded, opened, request, reporter=listener, format_=format_, output=output)
