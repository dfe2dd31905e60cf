"""``bridgex store export``: what is in a store, for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bridgex.cli.options import (
    GOLD,
    LanguageCode,
    LanguageCodes,
    LayerRange,
    StoreLocation,
    combined,
    pair_options,
)
from bridgex.cli.spectrum_options import selection_options, spectrum_options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bridgex.analysis import LanguageNeurons
    from bridgex.analysis.rules import Selection
    from bridgex.schema import GoldFilter, NeuronStatistics, Pair
    from bridgex.store import Snapshot

F = TypeVar("F", bound="Callable[..., Any]")

STORE = click.argument("store", type=StoreLocation())
LANGUAGES = click.option("--languages", type=LanguageCodes(), help="Only these.  [default: all]")


def _output(help_: str) -> Callable[[F], F]:
    return combined(
        click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help=help_),
        click.option("--overwrite", is_flag=True, help="Replace files that are there."),
    )


@click.group()
def export() -> None:
    """Write statistics, neurons, spectra and probes for other programs.

    Every file is complete or not there. Parquet and safetensors carry, under the metadata key
    bridgex, the model, the fingerprint and the policies of the store.
    """


@export.command()
@STORE
@_output("Directory: a file statistics_LANGUAGE for each.")
@LANGUAGES
@click.option(
    "--format",
    "format_",
    type=click.Choice(["parquet", "safetensors"]),
    default="parquet",
    show_default=True,
    help="Tables, or flat arrays.",
)
def statistics(
    store: str, output: Path, *, overwrite: bool, languages: tuple[str, ...] | None, format_: str
) -> None:
    """Statistics of every neuron: a row for each, or an array for each statistic."""
    from bridgex.exchange import describe, statistics_table, write_statistics_tensors, write_table

    snapshot = _snapshot(store)
    made_by = snapshot.provenance
    files = {
        code: output / f"statistics_{code}.{format_}" for code in languages or snapshot.languages
    }
    _prepare(files.values(), overwrite=overwrite)
    for code, path in files.items():
        found = snapshot.statistics(code)
        if format_ == "safetensors":
            write_statistics_tensors(code, found, path, made_by)
            continue
        about = describe(
            "bridgex.neuron-statistics/1",
            made_by,
            language=code,
            token_count=found.token_count,
            record_count=found.record_count,
        )
        write_table(statistics_table(code, found, made_by), path, about)
    _say(files.values())


@export.command()
@STORE
@_output("Parquet file.")
@LANGUAGES
@selection_options
def sets(
    store: str,
    output: Path,
    *,
    overwrite: bool,
    languages: tuple[str, ...] | None,
    selection: Selection,
) -> None:
    """The neurons of every language: a row for each language and neuron."""
    from bridgex.cli.set_views import selection_meta
    from bridgex.exchange import describe, sets_table, write_table

    _prepare([output], overwrite=overwrite)
    snapshot = _snapshot(store)
    neurons, found = _neurons(snapshot, selection, languages)
    about = describe(
        "bridgex.neuron-sets/1",
        snapshot.provenance,
        selection=selection_meta(selection, neurons.report),
    )
    write_table(sets_table(neurons, found, snapshot.provenance), output, about)
    _say([output])


@export.command("neurons")
@STORE
@_output("Directory: a file top_neurons_LANGUAGE.txt for each.")
@LANGUAGES
@click.option("--source", type=LanguageCode(), help="Of a pair, for its lists.")
@click.option("--target", type=LanguageCode(), help="Of a pair, for its lists.")
@selection_options
def neuron_lists(
    store: str,
    output: Path,
    *,
    overwrite: bool,
    languages: tuple[str, ...] | None,
    source: str | None,
    target: str | None,
    selection: Selection,
) -> None:
    """The neurons of every language as text, as the published scripts read it.

    With a pair also the neurons that its languages share (top_neurons_SOURCE_TARGET.txt), and those
    of every other language without the pair's
    (top_neurons_LANGUAGE_specific_bridge_SOURCE_TARGET_k.txt).

    A list says nothing but its neurons; about.json beside them has the rest. A language without
    neurons gets no list.
    """
    from bridgex.cli.set_views import selection_meta
    from bridgex.exchange import describe, pair_masks, write_neuron_list
    from bridgex.exchange.provenance import METADATA_KEY
    from bridgex.files import write_atomically

    pair = _pair(source, target)
    snapshot = _snapshot(store)
    neurons, _ = _neurons(snapshot, selection, languages)
    masks = {code: neurons.mask(code) for code in neurons.languages}
    if pair is not None:
        masks |= pair_masks(neurons, pair)
    files = {f"top_neurons_{name}.txt": mask for name, mask in masks.items() if mask.any()}
    _prepare((output / name for name in (*files, "about.json")), overwrite=overwrite)
    for name, mask in files.items():
        write_neuron_list(mask, snapshot.provenance.layer_offsets, output / name)
    about = describe(
        "bridgex.neuron-lists/1",
        snapshot.provenance,
        selection=selection_meta(selection, neurons.report),
        files=list(files),
    )
    write_atomically(output / "about.json", f"{about[METADATA_KEY]}\n".encode())
    _say(output / name for name in (*files, "about.json"))


@export.command()
@STORE
@_output("Parquet file.")
@pair_options
@click.option(
    "--bridges", type=LanguageCodes(), help="Candidates.  [default: every other language]"
)
@click.option("--gold", type=click.Choice(GOLD), help="Which probes, where there are both kinds.")
@click.option("--layers", type=LayerRange(), help="For example 6-11.  [default: all]")
@spectrum_options()
def spectrum(
    store: str, output: Path, *, overwrite: bool, source: str, target: str, **choices: Any
) -> None:
    """The spectrum of a pair: a row for each layer and candidate."""
    import polars as pl

    from bridgex.analysis import spectrum as compute
    from bridgex.cli.views import spectrum_answer
    from bridgex.exchange import describe, write_table
    from bridgex.schema import Pair

    _prepare([output], overwrite=overwrite)
    snapshot = _snapshot(store)
    del choices["resampling"]
    answer = spectrum_answer(compute(snapshot, Pair(source, target), **choices))
    frame = pl.DataFrame(answer.rows, infer_schema_length=None)
    frame = frame.with_columns(pl.col("score").fill_nan(None)).drop("z", "p_value")
    write_table(frame, output, describe("bridgex.spectrum/1", snapshot.provenance, **answer.meta))
    _say([output])


@export.command()
@STORE
@_output("safetensors file.")
@pair_options
@click.option("--gold", type=click.Choice(GOLD), help="Which probes, where there are both kinds.")
def probes(
    store: str,
    output: Path,
    *,
    overwrite: bool,
    source: str,
    target: str,
    gold: GoldFilter | None,
) -> None:
    """Probe activations of a pair: a matrix (neuron, sample) for each layer."""
    from bridgex.exchange import write_probes
    from bridgex.schema import Pair

    _prepare([output], overwrite=overwrite)
    snapshot = _snapshot(store)
    write_probes(snapshot.probes(Pair(source, target), gold), output, snapshot.provenance)
    _say([output])


def _pair(source: str | None, target: str | None) -> Pair | None:
    """Return the pair, if one is given; half of one is wrong usage."""
    from bridgex.cli.inputs import check_pair
    from bridgex.schema import Pair

    if source is None and target is None:
        return None
    if source is None or target is None:
        raise click.UsageError("a pair needs --source and --target")
    check_pair(source, target, ())
    return Pair(source, target)


def _snapshot(store: str) -> Snapshot:
    from bridgex.store import Store

    return Store.open(store).snapshot()


def _neurons(
    snapshot: Snapshot, selection: Selection, languages: tuple[str, ...] | None
) -> tuple[LanguageNeurons, dict[str, NeuronStatistics]]:
    """Choose among all languages of the store, and return those that are asked for."""
    from bridgex.analysis.spectrum_inputs import language_neurons

    neurons, found = language_neurons(snapshot, selection)
    return neurons if languages is None else neurons.only(languages), found


def _prepare(paths: Iterable[Path], *, overwrite: bool) -> None:
    """Refuse, before any work, files that are there; make the directories of the others."""
    from bridgex.errors import InvalidInputError

    paths = list(paths)
    there = [str(path) for path in paths if path.exists()]
    if there and not overwrite:
        more = f" and {len(there) - 1} more" if len(there) > 1 else ""
        raise InvalidInputError(
            f"there is a file {there[0]}{more} already",
            hint="Write somewhere else, or replace what is there with --overwrite.",
        )
    for directory in {path.parent for path in paths}:
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidInputError(f"cannot make {directory}: {error.strerror}") from error


def _say(paths: Iterable[Path]) -> None:
    from bridgex.cli.progress import reporter

    paths = list(paths)
    size = sum(path.stat().st_size for path in paths)
    where = paths[0] if len(paths) == 1 else f"{len(paths)} files to {paths[0].parent}"
    reporter().note(f"wrote {where} ({size:,} bytes)")
