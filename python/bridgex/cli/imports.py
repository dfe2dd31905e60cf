"""``bridgex store import``: what published scripts saved, into a store."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from bridgex.cli.options import GOLD, LanguageCode, StoreLocation
from bridgex.schema import Pair

if TYPE_CHECKING:
    from bridgex.progress import Reporter
    from bridgex.schema import GoldFilter
    from bridgex.store import Store

_STATISTICS = re.compile(r"activation\.([A-Za-z-]+)\..+")
_PROBES = re.compile(r"activation_value_([A-Za-z-]+)_([A-Za-z-]+)_[^_]+\.pt")


class StatisticsFile(NamedTuple):
    """A language and the file with its statistics."""

    language: str
    path: Path


class ProbesFile(NamedTuple):
    """A pair and the file with its probes."""

    pair: Pair
    path: Path


class StatisticsFileType(click.ParamType[StatisticsFile]):
    """A file, with its language before it unless its name says it."""

    name = "[language=]file"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> StatisticsFile:
        """Return the language code and the path."""
        if isinstance(value, StatisticsFile):
            return value
        language, path = _parts(value)
        named = _STATISTICS.fullmatch(path.name)
        language = language or (named[1] if named else "")
        if not language:
            self.fail(
                f"expected LANGUAGE=FILE, or a file called activation.LANGUAGE.*, got {value!r}",
                param,
                ctx,
            )
        return StatisticsFile(LanguageCode().convert(language, param, ctx), path)


class ProbesFileType(click.ParamType[ProbesFile]):
    """A file, with its pair before it unless its name says it."""

    name = "[source-target=]file"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> ProbesFile:
        """Return the pair and the path."""
        if isinstance(value, ProbesFile):
            return value
        pair, path = _parts(value)
        named = _PROBES.fullmatch(path.name)
        languages = pair.split("-") if pair else list(named.groups()) if named else []
        if len(languages) != 2:  # noqa: PLR2004  source and target
            self.fail(
                "expected SOURCE-TARGET=FILE, or a file called "
                f"activation_value_SOURCE_TARGET_MODEL.pt, got {value!r}",
                param,
                ctx,
            )
        source, target = (LanguageCode().convert(one, param, ctx) for one in languages)
        return ProbesFile(Pair(source, target), path)


def _parts(value: str) -> tuple[str, Path]:
    """Return what is before the equals sign, if there is one, and the path."""
    before, separator, after = value.partition("=")
    return (before, Path(after)) if separator else ("", Path(value))


@click.command("import")
@click.argument("store", type=StoreLocation())
@click.option(
    "--model", required=True, help="Name of the model, which the files do not say. Any text."
)
@click.option(
    "--statistics",
    "statistics_files",
    type=StatisticsFileType(),
    multiple=True,
    help="activation.LANGUAGE.*: tokens at which neurons are on. Repeatable.",
)
@click.option(
    "--probes",
    "probes_file",
    type=ProbesFileType(),
    help="activation_value_SOURCE_TARGET_*.pt: activations on the prompts of a pair.",
)
@click.option(
    "--lexicon",
    type=click.Path(path_type=Path),
    help="The word pair of every sample of --probes, in their order: one on every line.",
)
@click.option(
    "--gold",
    type=click.Choice(GOLD),
    default="keep",
    show_default=True,
    help="keep: the probes are of words that the model translates right, as published.",
)
@click.option(
    "--corpus", default="default", show_default=True, help="Name, for several of a language."
)
def import_(
    store: str,
    model: str,
    statistics_files: tuple[StatisticsFile, ...],
    probes_file: ProbesFile | None,
    lexicon: Path | None,
    gold: GoldFilter,
    corpus: str,
) -> None:
    """Add what the scripts of BridgeX-ICL and of Tang et al. 2024 saved.

    The store is created where there is none. The same file again changes nothing. What the files
    do not hold stays unknown, and a query that needs it says so. Lists of neurons are not imported
    but compared: bridgex query overlap --neuron-list.
    """
    from bridgex.cli.inputs import check_languages_once
    from bridgex.cli.progress import reporter

    if not statistics_files and probes_file is None:
        raise click.UsageError("nothing to import: give --statistics or --probes")
    if (probes_file is None) != (lexicon is None):
        raise click.UsageError("--probes and --lexicon go together")
    check_languages_once([one.language for one in statistics_files])
    listener = reporter()
    for one in statistics_files:
        _add_statistics(store, model, one, corpus, listener)
    if probes_file is not None and lexicon is not None:
        _add_probes(store, model, probes_file, lexicon, gold, listener)


def _add_statistics(
    store: str, model: str, given: StatisticsFile, corpus: str, listener: Reporter
) -> None:
    from bridgex.capture import load_tensors
    from bridgex.errors import InvalidInputError
    from bridgex.exchange import published_statistics

    part, statistics, layer_sizes = published_statistics(
        load_tensors(given.path), path=given.path, language=given.language, corpus=corpus
    )
    opened = _open(store, model, layer_sizes, given.path)
    try:
        added = opened.add_statistics(part, statistics)
    except InvalidInputError as error:
        raise InvalidInputError(
            f"the store has other statistics of {given.language}, corpus {corpus!r}, than "
            f"{given.path} holds",
            hint="Name another corpus of the language: --corpus NAME.",
        ) from error
    unknown = f"; not known: {', '.join(statistics.unknown)}" if statistics.unknown else ""
    listener.note(
        f"{given.language}: {statistics.token_count:,} tokens "
        f"{'added' if added else 'were there'}{unknown}"
    )


def _add_probes(
    store: str,
    model: str,
    given: ProbesFile,
    lexicon: Path,
    gold: GoldFilter,
    listener: Reporter,
) -> None:
    from bridgex.capture import load_tensors
    from bridgex.exchange import probe_tensor, published_probes, read_word_pairs

    tensor = probe_tensor(load_tensors(given.path), given.path)
    words = read_word_pairs(lexicon)
    opened = _open(store, model, (tensor.shape[1],) * tensor.shape[0], given.path)
    parts = published_probes(
        tensor, words, path=given.path, pair=given.pair, block=opened.probe_block
    )
    added = [opened.add_probes(part, block, gold) for part, block in parts]
    listener.note(
        f"{given.pair}: {len(set(words))} probes, {sum(added)} parts added, "
        f"{len(added) - sum(added)} were there"
    )


def _open(store: str, model: str, layer_sizes: tuple[int, ...], path: Path) -> Store:
    """Open or create the store; refuse a file of a model with other layers by its name."""
    from bridgex.errors import ProvenanceError
    from bridgex.exchange import imported_provenance
    from bridgex.store import Store

    try:
        return Store.open_or_create(store, imported_provenance(model, layer_sizes))
    except ProvenanceError as error:
        raise ProvenanceError(f"{path} does not belong here: {error.message}") from error
