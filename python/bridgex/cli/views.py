"""Results of the library as answers: long form for programs, tables for people."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from bridgex.analysis.overlaps import jaccard
from bridgex.analysis.selection import ALWAYS_ON, layer_slice
from bridgex.cli.output import Answer, Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from bridgex.analysis.overlaps import Overlap
    from bridgex.analysis.ranking import Ranking
    from bridgex.analysis.selection import LanguageNeurons
    from bridgex.analysis.spectra import Spectrum
    from bridgex.schema import NeuronStatistics


def statistics_answer(statistics: Mapping[str, NeuronStatistics]) -> Answer:
    """Tokens, and how often neurons are on, by language."""
    rows: list[dict[str, Any]] = []
    for language, one in statistics.items():
        probability = one.activation_probability
        rows.append(
            {
                "language": language,
                "tokens": one.token_count,
                "records": one.record_count,
                "mean_activation_probability": float(probability.mean()),
                "never_on": int((one.positive_count == 0).sum()),
                "always_on": int((probability >= ALWAYS_ON).sum()),
            }
        )
    table = Table(
        title="Statistics by language",
        columns=("language", "tokens", "records", "mean probability", "never on", "always on"),
        rows=[list(row.values()) for row in rows],
        notes=(f"always on: at {ALWAYS_ON:.0%} of the tokens or more",),
    )
    return Answer("bridgex.statistics/1", rows, [table])


def overlap_answer(overlap: Overlap, neurons: LanguageNeurons) -> Answer:
    """Shared neurons of every two languages, of the model (layer null) and of every layer."""
    languages = overlap.languages
    tables: dict[int | None, NDArray[np.int64]] = {None: overlap.counts}
    tables |= dict(enumerate(overlap.layer_counts))
    rows = [
        {
            "layer": layer,
            "first": first,
            "second": second,
            "shared": int(counts[i, j]),
            "jaccard": float(jaccard(counts)[i, j]),
        }
        for layer, counts in tables.items()
        for i, first in enumerate(languages)
        for j, second in enumerate(languages)
        if i <= j
    ]
    table = Table(
        title=f"Shared neurons ({_rule(neurons)})",
        columns=("", *languages),
        rows=[(code, *overlap.counts[i].tolist()) for i, code in enumerate(languages)],
        notes=_saturation_notes(neurons),
    )
    return Answer("bridgex.overlap/1", rows, [table], {"selection": _selection(neurons)})


def neurons_answer(
    neurons: LanguageNeurons,
    languages: tuple[str, ...],
    statistics: Mapping[str, NeuronStatistics],
    limit: int,
) -> Answer:
    """The neurons that all of some languages share."""
    mask = np.all([neurons.mask(code) for code in languages], axis=0)
    flat = np.flatnonzero(mask)
    layers = np.searchsorted(neurons.layer_offsets, flat, side="right") - 1
    probability = {code: statistics[code].activation_probability for code in languages}
    mean = {code: statistics[code].mean for code in languages}
    rows = [
        {
            "layer": int(layer),
            "neuron": int(index - neurons.layer_offsets[layer]),
            **{f"probability_{code}": float(probability[code][index]) for code in languages},
            **{f"mean_{code}": float(mean[code][index]) for code in languages},
        }
        for index, layer in zip(flat, layers, strict=True)
    ]
    notes = list(_saturation_notes(neurons))
    if len(rows) > limit:
        notes.insert(0, f"{len(rows) - limit:,} more: --limit, or --format json for all")
    sizes = [
        int(mask[layer_slice(neurons.layer_offsets, layer)].sum())
        for layer in range(neurons.layer_offsets.size - 1)
    ]
    tables = [
        Table(
            title=f"Neurons of {', '.join(languages)} by layer ({_rule(neurons)})",
            columns=("layer", "neurons"),
            rows=[(str(layer), size) for layer, size in enumerate(sizes)],
        ),
        Table(
            title="Neurons",
            columns=("layer", "neuron", *(f"p({code})" for code in languages)),
            rows=[
                (str(row["layer"]), row["neuron"], *(row[f"probability_{c}"] for c in languages))
                for row in rows[:limit]
            ],
            notes=notes,
        ),
    ]
    meta = {"languages": list(languages), "selection": _selection(neurons), "by_layer": sizes}
    return Answer("bridgex.neurons/1", rows, tables, meta)


def spectrum_answer(spectrum: Spectrum) -> Answer:
    """Scores by layer and candidate."""
    rows = [
        {
            "layer": layer,
            "bridge": bridge,
            "score": float(spectrum.score[i, j]),
            "not_estimable": spectrum.reason[i][j] or None,
            "pair_neurons": int(spectrum.pair_counts[i]),
            "bridge_neurons": int(spectrum.bridge_counts[i, j]),
            "shared_neurons": int(spectrum.shared_counts[i, j]),
            "error_bound": float(spectrum.error_bound[i]),
        }
        for i, layer in enumerate(spectrum.layers)
        for j, bridge in enumerate(spectrum.bridges)
    ]
    table = Table(
        title=f"Spectrum {spectrum.pair} ({_measure(spectrum)})",
        columns=("layer", *spectrum.bridges, "pair neurons"),
        rows=[
            (str(layer), *map(float, spectrum.score[i]), int(spectrum.pair_counts[i]))
            for i, layer in enumerate(spectrum.layers)
        ],
        notes=(*_probe_notes(spectrum), *_missing_notes(spectrum, spectrum.layers)),
    )
    return Answer("bridgex.spectrum/1", rows, [table], _spectrum_meta(spectrum))


def ranking_answer(ranking: Ranking, spectrum: Spectrum) -> Answer:
    """Candidates, best first."""
    rows: list[dict[str, Any]] = [
        {
            "rank": number + 1 if np.isfinite(ranking.score[number]) else None,
            "bridge": bridge,
            "score": float(ranking.score[number]),
            "estimable_layers": int(ranking.estimable_layers[number]),
            "not_estimable": _reasons(spectrum, bridge, ranking.layers),
            "error_bound": _largest_bound(spectrum, ranking.layers),
        }
        for number, bridge in enumerate(ranking.bridges)
    ]
    layers = f"layers {ranking.layers[0]} to {ranking.layers[-1]}"
    table = Table(
        title=f"Bridges for {ranking.pair}: mean score over {layers} ({_measure(spectrum)})",
        columns=("bridge", "score", "estimable layers"),
        rows=[(row["bridge"], row["score"], row["estimable_layers"]) for row in rows],
        notes=(*_probe_notes(spectrum), *_missing_notes(spectrum, ranking.layers)),
    )
    meta = {**_spectrum_meta(spectrum), "layers": list(ranking.layers), "best": ranking.best}
    return Answer("bridgex.bridges/1", rows, [table], meta)


def _rule(neurons: LanguageNeurons) -> str:
    where = "every layer" if neurons.scope == "layer" else "the model"
    return f"top {neurons.top_percent:g} % of {where} by {neurons.select}"


def _selection(neurons: LanguageNeurons) -> dict[str, Any]:
    return {
        "select": neurons.select,
        "scope": neurons.scope,
        "top_percent": neurons.top_percent,
        "ties": neurons.ties,
        "saturation": dict(zip(neurons.languages, neurons.saturation.tolist(), strict=True)),
        "uninformative": neurons.uninformative,
    }


def _saturation_notes(neurons: LanguageNeurons) -> tuple[str, ...]:
    share = float(np.median(neurons.saturation))
    note = f"{share:.0%} of a set is on for nearly every token of every language"
    if not neurons.uninformative:
        return (note,)
    return (f"{note}: these overlaps say little about the languages (try --select contrast)",)


def _measure(spectrum: Spectrum) -> str:
    options = spectrum.options
    parts: list[str] = [options.estimator]
    if options.normalize == "cka":
        parts.append("CKA")
    if options.estimator != "linear":
        parts.append(f"bandwidth {options.bandwidth}")
    return f"{', '.join(parts)}; bridge set {options.bridge_set}"


def _spectrum_meta(spectrum: Spectrum) -> dict[str, Any]:
    return {
        "source": spectrum.pair.source,
        "target": spectrum.pair.target,
        "samples": spectrum.sample_count,
        "word_pairs": spectrum.considered,
        "gold": spectrum.gold,
        "saturation": spectrum.saturation,
        "uninformative": spectrum.uninformative,
        "options": asdict(spectrum.options),
    }


def _probe_notes(spectrum: Spectrum) -> tuple[str, ...]:
    kept = (
        f"{spectrum.sample_count} probes: those of {spectrum.considered} words that the model "
        "translates right"
        if spectrum.gold == "keep"
        else f"{spectrum.sample_count} probes: all words, translated correctly or not"
    )
    if spectrum.options.select == "probability" and spectrum.uninformative:
        share = f"{spectrum.saturation:.0%} of a language's set"
        return (kept, f"{share} is on for nearly every token of every language")
    return (kept,)


def _missing_notes(spectrum: Spectrum, layers: Sequence[int]) -> tuple[str, ...]:
    """Say which cells are not estimable, and why, a line for each reason."""
    cells: dict[str, list[str]] = {}
    for i, layer in enumerate(spectrum.layers):
        for j, bridge in enumerate(spectrum.bridges):
            if layer in layers and spectrum.reason[i][j]:
                cells.setdefault(spectrum.reason[i][j], []).append(f"{bridge} {layer}")
    total = len(layers) * len(spectrum.bridges)
    return tuple(
        f"not estimable, {reason}: {_some(where)} ({len(where)} of {total} cells)"
        for reason, where in cells.items()
    )


def _reasons(spectrum: Spectrum, bridge: str, layers: Sequence[int]) -> str | None:
    """Return why layers of a candidate are not estimable, each reason once."""
    column = spectrum.bridges.index(bridge)
    reasons = [
        spectrum.reason[row][column]
        for row, layer in enumerate(spectrum.layers)
        if layer in layers and spectrum.reason[row][column]
    ]
    return "; ".join(dict.fromkeys(reasons)) or None


def _largest_bound(spectrum: Spectrum, layers: Sequence[int]) -> float:
    rows = [spectrum.layers.index(layer) for layer in layers]
    return float(spectrum.error_bound[rows].max())


def _some(items: list[str], shown: int = 6) -> str:
    return ", ".join(items[:shown]) + (", ..." if len(items) > shown else "")
