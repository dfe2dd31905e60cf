"""``bridgex query``: ask a store. Needs neither torch nor the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bridgex.cli.options import (
    GOLD,
    LanguageCodes,
    LayerRange,
    NamedFile,
    StoreLocation,
    combined,
    output_options,
    pair_options,
    threads_option,
)
from bridgex.cli.output import emit
from bridgex.cli.spectrum_options import DRAWS, selection_options, spectrum_options

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bridgex.analysis import Resampling, Spectrum, Uncertainty
    from bridgex.analysis.rules import Selection
    from bridgex.analysis.selection import LanguageNeurons
    from bridgex.cli.output import Format
    from bridgex.cli.set_views import Measure
    from bridgex.schema import NeuronStatistics

STORE = click.argument("store", type=StoreLocation())
LANGUAGES = click.option("--languages", type=LanguageCodes(), help="Only these.  [default: all]")
LAYERS = click.option("--layers", type=LayerRange(), help="For example 6-11.  [default: all]")
LIMIT = click.option(
    "--limit", type=click.IntRange(min=0), default=20, show_default=True, help="Rows of the table."
)


@click.group()
def command() -> None:
    """Ask a store for overlaps, neurons, spectra and bridges."""


@command.command()
@STORE
@LANGUAGES
@LAYERS
@click.option(
    "--measure",
    type=click.Choice(["counts", "jaccard", "coefficient", "containment"]),
    default="counts",
    show_default=True,
    help="What the table shows; the other formats hold all of them.",
)
@click.option(
    "--neuron-list",
    "lists",
    type=NamedFile(),
    multiple=True,
    help="A set from elsewhere: a file with (layer, neuron) on every line, such as "
    "top_neurons_LANGUAGE.txt. Without a name it goes by the file's. Repeatable.",
)
@selection_options
@threads_option
@output_options
def overlap(
    *,
    measure: Measure,
    lists: tuple[tuple[str, Path], ...],
    threads: int | None,
    format_: Format,
    output: Path | None,
    **question: Any,
) -> None:
    """How many neurons every two languages share.

    counts: those in both sets. jaccard: over those in either. coefficient: over the smaller set.
    containment: over the row's set, so that the table is not symmetric.
    """
    from bridgex.analysis.overlaps import overlap as count
    from bridgex.cli.set_views import overlap_answer

    neurons, _ = _language_neurons(**question)
    neurons = _beside(neurons, lists, question["layers"])
    found = count(neurons, threads=threads)
    answer = overlap_answer(found, neurons, layers=question["layers"], measure=measure)
    emit(answer, format_=format_, output=output)


@command.command()
@STORE
@LANGUAGES
@LAYERS
@LIMIT
@selection_options
@output_options
def combinations(*, limit: int, format_: Format, output: Path | None, **question: Any) -> None:
    """How many neurons every combination of languages has, and no other language.

    Every neuron counts once: these are the bars of an UpSet plot.
    """
    from bridgex.analysis.overlaps import language_combinations
    from bridgex.cli.set_views import combinations_answer

    neurons, _ = _language_neurons(**question)
    found = language_combinations(neurons)
    answer = combinations_answer(found, neurons, layers=question["layers"], limit=limit)
    emit(answer, format_=format_, output=output)


@command.command()
@STORE
@click.option(
    "--languages",
    type=LanguageCodes(),
    required=True,
    help="One language, or several for the neurons that they share.",
)
@click.option("--any", "any_of", is_flag=True, help="Those that any of the languages has.")
@click.option("--without", type=LanguageCodes(), default=(), help="Not those of any of these.")
@LAYERS
@LIMIT
@selection_options
@output_options
def neurons(
    *,
    store: str,
    languages: tuple[str, ...],
    layers: tuple[int, ...] | None,
    selection: Selection,
    format_: Format,
    output: Path | None,
    **choices: Any,
) -> None:
    """The neurons of a language, or those that several share."""
    from bridgex.cli.set_views import neurons_answer
    from bridgex.store import Store

    provenance = Store.open(store).provenance
    chosen, statistics = _language_neurons(store, selection, layers)
    answer = neurons_answer(chosen, languages, statistics, provenance, layers=layers, **choices)
    emit(answer, format_=format_, output=output)


def _pair_query(**drawn: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add the options of a query about a pair, and of so many draws beside its scores."""
    return combined(
        STORE,
        pair_options,
        click.option(
            "--bridges",
            type=LanguageCodes(),
            help="Candidates.  [default: every other language of the store]",
        ),
        click.option(
            "--gold", type=click.Choice(GOLD), help="Which probes, where the store has both kinds."
        ),
        spectrum_options(**drawn),
        threads_option,
        output_options,
    )


@command.command()
@_pair_query(permutations=0)
@LAYERS
def spectrum(format_: Format, output: Path | None, **question: Any) -> None:
    """How strongly each layer's overlap neurons depend on each candidate's."""
    from bridgex.cli.views import spectrum_answer

    found, trust = _scored(**question)
    emit(spectrum_answer(found, trust), format_=format_, output=output)


@command.command()
@_pair_query(**DRAWS)
@click.option("--layers", type=LayerRange(), help="For example 6-11.  [default: middle third]")
def bridges(
    format_: Format, output: Path | None, layers: tuple[int, ...] | None, **question: Any
) -> None:
    """Rank the candidates by their mean score over the middle layers, and say how reliably."""
    from bridgex.analysis import middle_layers, rank_bridges
    from bridgex.cli.ranking_view import ranking_answer
    from bridgex.store import Store

    sizes = Store.open(question["store"]).provenance.layer_sizes
    found, trust = _scored(layers=layers or tuple(middle_layers(len(sizes))), **question)
    ranking = rank_bridges(found, layers=found.layers)
    emit(ranking_answer(ranking, found, trust), format_=format_, output=output)


def _scored(
    *,
    store: str,
    source: str,
    target: str,
    resampling: Resampling,
    threads: int | None,
    **choices: Any,
) -> tuple[Spectrum, Uncertainty]:
    """Return the spectrum of a pair, and how far its means over all layers can be trusted."""
    from bridgex.analysis import spectrum_inputs, spectrum_of, spectrum_uncertainty
    from bridgex.cli.progress import reporter
    from bridgex.schema import Pair
    from bridgex.store import Store

    inputs = spectrum_inputs(Store.open(store).snapshot(), Pair(source, target), **choices)
    found = spectrum_of(inputs, threads=threads)
    trust = spectrum_uncertainty(
        inputs, found, resampling=resampling, threads=threads, reporter=reporter(passing=True)
    )
    return found, trust


def _beside(
    neurons: LanguageNeurons,
    lists: tuple[tuple[str, Path], ...],
    layers: tuple[int, ...] | None,
) -> LanguageNeurons:
    """Put sets that are read from files beside those of the languages."""
    from bridgex.exchange import read_neuron_list

    for name, path in lists:
        neurons = neurons.beside(name, read_neuron_list(path, neurons.layer_offsets))
    return neurons if layers is None else neurons.within(layers)


def _language_neurons(
    store: str,
    selection: Selection,
    layers: tuple[int, ...] | None = None,
    languages: tuple[str, ...] | None = None,
) -> tuple[LanguageNeurons, dict[str, NeuronStatistics]]:
    """Choose among all languages and layers of a store, and show those that are asked for."""
    from bridgex.analysis.spectrum_inputs import language_neurons
    from bridgex.store import Store

    neurons, statistics = language_neurons(Store.open(store).snapshot(), selection)
    if languages is not None:
        neurons = neurons.only(languages)
    return neurons if layers is None else neurons.within(layers), statistics
