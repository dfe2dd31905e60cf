"""``bridgex demo``: the whole pipeline on bundled words and a small real model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bridgex.cli.options import (
    LanguageCode,
    LanguageCodes,
    StoreLocation,
    neurons_option,
    probe_dtype_option,
    run_output_options,
)

if TYPE_CHECKING:
    from pathlib import Path

    from bridgex.cli.output import Format
    from bridgex.schema import Neurons, ProbeDtype

DEFAULT_SOURCE = "id"
DEFAULT_TARGET = "en"
DEFAULT_BRIDGES = ("es", "fr", "de", "tl")

TEXT_SIZE = 10_000
"""Characters of text a language: several thousand tokens."""


@click.command()
@click.option(
    "--source",
    type=LanguageCode(),
    default=DEFAULT_SOURCE,
    show_default=True,
    help="Source language.",
)
@click.option(
    "--target",
    type=LanguageCode(),
    default=DEFAULT_TARGET,
    show_default=True,
    help="Target language.",
)
@click.option(
    "--bridges",
    type=LanguageCodes(),
    default=",".join(DEFAULT_BRIDGES),
    show_default=True,
    help="Candidates; languages of the bundled lexicon.",
)
@click.option(
    "--store",
    type=StoreLocation(),
    default="bridgex-demo",
    show_default=True,
    help="Where captures are kept.",
)
@neurons_option
@probe_dtype_option
@click.option("--words", type=click.IntRange(min=1), help="Words to evaluate.  [default: all]")
@run_output_options
def command(
    source: str,
    target: str,
    bridges: tuple[str, ...],
    store: str,
    neurons: Neurons,
    probe_dtype: ProbeDtype,
    words: int | None,
    format_: Format,
    output: Path | None,
) -> None:
    """Run the whole pipeline on the bundled lexicon and Gemma 3 270M, in a few minutes.

    The texts are made from CLDR at run time. Nothing is downloaded: the model comes with the demo
    extra and is converted once.
    """
    from bridgex.cli.inputs import check_pair
    from bridgex.cli.progress import reporter
    from bridgex.data.cldr import cldr_sentences
    from bridgex.lexicon import bundled_lexicon, read_lexicon

    check_pair(source, target, bridges)
    lexicon = read_lexicon(bundled_lexicon("strict"), source, target, identical="drop")
    texts = {
        code: tuple(cldr_sentences(code, size=TEXT_SIZE)) for code in (source, target, *bridges)
    }

    from bridgex.capture import demo_model_path, load_model
    from bridgex.cli.stages import run_and_show
    from bridgex.pipeline import Request
    from bridgex.store import Store

    request = Request(
        lexicon=lexicon,
        bridges=bridges,
        texts=texts,
        neurons=neurons,
        probe_dtype=probe_dtype,
        all_words_if_few=True,
        words=words,
    )
    listener = reporter()
    loaded = load_model(demo_model_path(progress=listener), progress=listener)
    request.check(loaded.provenance)
    opened = Store.open_or_create(store, loaded.provenance)
    run_and_show(loaded, opened, request, reporter=listener, format_=format_, output=output)
