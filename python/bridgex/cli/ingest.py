"""``bridgex ingest``: capture a model's activations into a store, part by part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bridgex.cli.options import (
    StoreLocation,
    capture_options,
    gold_option,
    lexicon_option,
    neurons_option,
    pair_options,
    probe_dtype_option,
    store_options,
)
from bridgex.cli.spectrum_options import PERCENT
from bridgex.cli.text_options import text_options

if TYPE_CHECKING:
    from pathlib import Path

    from bridgex.capture import CaptureModel
    from bridgex.progress import Reporter
    from bridgex.schema import GoldFilter, Neurons, ProbeDtype
    from bridgex.store import Store

MODEL = click.argument("model")
STORE = click.argument("store", type=StoreLocation())


@click.group()
def command() -> None:
    """Capture a model's activations into a store. Repeat a command to go on with it."""


@command.command()
@MODEL
@STORE
@text_options
@click.option(
    "--corpus", default="default", show_default=True, help="Name, for several of a language."
)
@store_options
@capture_options
def corpus(
    model: str,
    store: str,
    texts: tuple[tuple[str, str], ...],
    text_choices: dict[str, Any],
    corpus: str,
    part_sizes: dict[str, int | None],
    model_choices: dict[str, Any],
) -> None:
    """Statistics of the neurons over monolingual text."""
    from bridgex.cli.inputs import check_text_places, check_texts, open_texts
    from bridgex.cli.progress import reporter
    from bridgex.corpora import check_corpus_name
    from bridgex.engines.local import ingest_corpora

    check_corpus_name(corpus)
    check_text_places(texts)
    sources = open_texts(texts, text_choices)
    check_texts(sources.values())
    listener = reporter()
    loaded, opened = _open(model, store, model_choices, part_sizes, listener)
    found = ingest_corpora(loaded, opened, sources, corpus=corpus, reporter=listener)
    for language, done in found.items():
        listener.note(
            f"{language}: {done.added} parts added with {done.tokens:,} tokens, "
            f"{done.present} were there"
        )


@command.command()
@MODEL
@STORE
@pair_options
@lexicon_option
@gold_option
@neurons_option
@click.option(
    "--top-percent",
    type=PERCENT,
    help="top: size of a language's set, in percent of a layer.  [default: 1]",
)
@probe_dtype_option
@store_options
@capture_options
def probes(
    model: str,
    store: str,
    source: str,
    target: str,
    lexicons: tuple[Path, ...],
    gold: GoldFilter,
    neurons: Neurons,
    top_percent: float | None,
    probe_dtype: ProbeDtype,
    part_sizes: dict[str, int | None],
    model_choices: dict[str, Any],
) -> None:
    """Activations on word-translation prompts of a pair."""
    if top_percent is not None and neurons == "all":
        raise click.UsageError("--top-percent is of --neurons top, and all neurons were asked for")

    from bridgex.analysis.probe_neurons import probe_form
    from bridgex.cli.progress import reporter
    from bridgex.engines.local import ingest_probes
    from bridgex.lexicon import merge, read_lexicon

    words = merge([read_lexicon(path, source, target) for path in lexicons])
    listener = reporter()
    loaded, opened = _open(model, store, model_choices, part_sizes, listener)
    form = probe_form(
        opened, words.pair, gold, neurons=neurons, percent=top_percent, dtype=probe_dtype
    )
    done = ingest_probes(loaded, opened, words, gold=gold, form=form, reporter=listener)
    listener.note(
        f"{words.pair}: {done.samples} probes of {done.considered} words; "
        f"{done.added} parts added, {done.present} were there; {done.neurons:,} of "
        f"{loaded.provenance.neuron_count:,} neurons stored as {form.dtype}"
    )
    done.require_enough()


def _open(
    model: str,
    path: str,
    choices: dict[str, Any],
    sizes: dict[str, int | None],
    listener: Reporter,
) -> tuple[CaptureModel, Store]:
    from bridgex.capture import load_model
    from bridgex.store import Store

    loaded = load_model(model, **choices, progress=listener)
    return loaded, Store.open_or_create(path, loaded.provenance, **sizes)
