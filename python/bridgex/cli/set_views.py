"""The neurons of languages as answers: long form for programs, tables for people."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bridgex.analysis.overlaps import containment, jaccard, overlap_coefficient
from bridgex.analysis.rules import layer_slice
from bridgex.cli.output import Answer, Table

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from bridgex.analysis.overlaps import Combination, Overlap
    from bridgex.analysis.rules import Selection
    from bridgex.analysis.selection import LanguageNeurons, SetReport
    from bridgex.schema import NeuronStatistics, Provenance

Measure = Literal["counts", "jaccard", "coefficient", "containment"]

TITLES: Mapping[Measure, str] = {
    "counts": "Shared neurons",
    "jaccard": "Jaccard index: shared neurons over those of either",
    "coefficient": "Overlap coefficient: shared neurons over those of the smaller set",
    "containment": "Containment: share of the row's neurons that are the column's too",
}


def overlap_answer(
    overlap: Overlap,
    neurons: LanguageNeurons,
    *,
    layers: Sequence[int] | None = None,
    measure: Measure = "counts",
) -> Answer:
    """Shared neurons of every two languages, over the layers (layer null) and in each."""
    chosen = range(len(overlap.layer_counts)) if layers is None else layers
    tables: dict[int | None, NDArray[np.int64]] = {None: overlap.counts}
    tables |= {layer: overlap.layer_counts[layer] for layer in chosen}
    rows = [row for layer, counts in tables.items() for row in _pairs(overlap, layer, counts)]
    shown = {
        "counts": overlap.counts,
        "jaccard": overlap.jaccard,
        "coefficient": overlap.overlap_coefficient,
        "containment": overlap.containment,
    }[measure].tolist()
    table = Table(
        title=f"{TITLES[measure]} ({rule_of(neurons.selection)})",
        columns=("", *overlap.languages),
        rows=[(code, *row) for code, row in zip(overlap.languages, shown, strict=True)],
        notes=set_notes(neurons.report, neurons.selection, advice=True),
    )
    meta = {
        "selection": selection_meta(neurons.selection, neurons.report),
        "layers": list(chosen),
    }
    return Answer("bridgex.overlap/1", rows, [table], meta)


def _pairs(overlap: Overlap, layer: int | None, counts: NDArray[np.int64]) -> list[dict[str, Any]]:
    languages = overlap.languages
    similar, smaller, inside = jaccard(counts), overlap_coefficient(counts), containment(counts)
    return [
        {
            "layer": layer,
            "first": first,
            "second": second,
            "shared": int(counts[i, j]),
            "jaccard": float(similar[i, j]),
            "overlap_coefficient": float(smaller[i, j]),
            "containment_of_first": float(inside[i, j]),
            "containment_of_second": float(inside[j, i]),
        }
        for i, first in enumerate(languages)
        for j, second in enumerate(languages)
        if i <= j
    ]


def combinations_answer(
    combinations: Sequence[Combination],
    neurons: LanguageNeurons,
    *,
    layers: Sequence[int] | None,
    limit: int,
) -> Answer:
    """Neurons of every combination of languages and no other, the most first."""
    rows: list[dict[str, Any]] = [
        {
            "languages": ",".join(one.languages),
            "language_count": len(one.languages),
            "neurons": one.count,
        }
        for one in combinations
    ]
    table = Table(
        title=f"Neurons of these languages and no other ({rule_of(neurons.selection)})",
        columns=("languages", "neurons"),
        rows=[(row["languages"], row["neurons"]) for row in rows[:limit]],
        notes=(
            *_more(len(rows), limit),
            *set_notes(neurons.report, neurons.selection, advice=True),
        ),
    )
    meta = {
        "languages": list(neurons.languages),
        "selection": selection_meta(neurons.selection, neurons.report),
        "layers": _layers(neurons, layers),
    }
    columns = ("languages", "language_count", "neurons")
    return Answer("bridgex.combinations/1", rows, [table], meta, columns)


def neurons_answer(
    neurons: LanguageNeurons,
    languages: tuple[str, ...],
    statistics: Mapping[str, NeuronStatistics],
    provenance: Provenance,
    *,
    without: tuple[str, ...] = (),
    any_of: bool = False,
    layers: Sequence[int] | None = None,
    limit: int,
) -> Answer:
    """The neurons that all of some languages share, or any has, and none of others."""
    mask = neurons.combined(languages, without=without, any_of=any_of)
    involved = tuple(dict.fromkeys((*languages, *without)))
    shown = {code: statistics[code] for code in involved}
    columns = _neuron_columns(np.flatnonzero(mask), provenance, shown)
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    report = neurons.only(involved).report
    chosen = _layers(neurons, layers)
    sizes = [int(mask[layer_slice(neurons.layer_offsets, layer)].sum()) for layer in chosen]
    spoken = (" or " if any_of else ", ").join(languages)
    if without:
        spoken += f" without {', '.join(without)}"
    by_layer = Table(
        title=f"Neurons of {spoken} by layer ({rule_of(neurons.selection)})",
        columns=("layer", "neurons"),
        rows=[(str(layer), size) for layer, size in zip(chosen, sizes, strict=True)],
    )
    notes = (*_more(len(rows), limit), *set_notes(report, neurons.selection, advice=True))
    tables = [by_layer, _first_neurons(rows[:limit], columns, languages, notes)]
    meta = {
        "languages": list(languages),
        "any": any_of,
        "without": list(without),
        "selection": selection_meta(neurons.selection, report),
        "layers": chosen,
        "by_layer": sizes,
    }
    return Answer("bridgex.neurons/1", rows, tables, meta, tuple(columns))


def _first_neurons(
    rows: Sequence[dict[str, Any]],
    columns: Collection[str],
    languages: Sequence[str],
    notes: Sequence[str],
) -> Table:
    experts = {"expert": "expert", "expert_neuron": "of expert"} if "expert" in columns else {}
    shown = {"neuron": "neuron", **experts, **{f"probability_{c}": f"p({c})" for c in languages}}
    return Table(
        title="Neurons",
        columns=("layer", *shown.values()),
        rows=[
            (str(row["layer"]), *("" if row[name] is None else row[name] for name in shown))
            for row in rows
        ],
        notes=notes,
    )


def _neuron_columns(
    flat: NDArray[np.int64], provenance: Provenance, statistics: Mapping[str, NeuronStatistics]
) -> dict[str, list[Any]]:
    """Return what is said of some neurons on the flat axis, by the name of the column."""
    offsets = provenance.layer_offsets
    layers = np.searchsorted(offsets, flat, side="right") - 1
    columns: dict[str, NDArray[Any]] = {"layer": layers, "neuron": flat - offsets[layers]}
    if provenance.experts:
        experts = provenance.expert_neurons(layers, columns["neuron"])
        for name, values in zip(("expert", "expert_neuron"), experts, strict=True):
            columns[name] = np.where(values < 0, None, values)  # type: ignore[call-overload]  # of objects
    for code, one in statistics.items():
        columns[f"probability_{code}"] = one.activation_probability[flat]
    for code, one in statistics.items():
        columns[f"mean_{code}"] = one.per_token(one.sum)[flat]
    if provenance.experts:
        for code, one in statistics.items():
            columns[f"tokens_{code}"] = one.seen[flat]
    return {name: values.tolist() for name, values in columns.items()}


def _layers(neurons: LanguageNeurons, layers: Sequence[int] | None) -> list[int]:
    return list(range(neurons.layer_offsets.size - 1) if layers is None else layers)


def _more(count: int, limit: int) -> tuple[str, ...]:
    if count <= limit:
        return ()
    return (f"{count - limit:,} more: --limit, or --format json for all",)


def rule_of(selection: Selection) -> str:
    """Say in a few words how neurons are chosen."""
    if selection.select == "threshold":
        return f"activation probability {selection.threshold:g} or more"
    where = "every layer" if selection.scope == "layer" else "the model"
    share = f"{selection.top_percent:g} % of {where}"
    match selection.select:
        case "lape":
            return f"lowest {share} by lape, above the {selection.quantile:g} quantile"
        case "random":
            return f"random, as many as the top {share} by probability, seed {selection.seed}"
        case _:
            return f"top {share} by {selection.select}"


def selection_meta(selection: Selection, report: SetReport) -> dict[str, Any]:
    """Return the whole rule, and what sets it makes."""
    return {
        **asdict(selection),
        "sizes": dict(zip(report.languages, report.sizes.tolist(), strict=True)),
        "saturation": dict(zip(report.languages, report.saturation.tolist(), strict=True)),
        "typical_saturation": report.typical_saturation,
        "uninformative": report.uninformative,
    }


def set_notes(report: SetReport, selection: Selection, *, advice: bool) -> tuple[str, ...]:
    """Say how much the sets can say about their languages, and how large they are if that varies.

    ``advice`` is for answers that are about the sets themselves.
    """
    notes = []
    share = report.typical_saturation
    if not math.isnan(share):
        note = f"{share:.0%} of a language's set is on for nearly every token of every language"
        if report.uninformative and advice:
            note += ": these sets say little about the languages (try --select contrast)"
        notes.append(note)
    if selection.select in ("lape", "threshold") or np.ptp(report.sizes):
        notes.append(f"{report.sizes.min():,} to {report.sizes.max():,} neurons in a set")
    if report.empty:
        notes.append(f"no neuron at all: {', '.join(report.empty)}")
    return tuple(notes)
