"""Results of the library as answers: long form for programs, tables for people."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from bridgex.analysis.rules import Selection
from bridgex.analysis.selection import ALWAYS_ON
from bridgex.cli.output import Answer, Table
from bridgex.cli.set_views import rule_of, selection_meta, set_notes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridgex.analysis.ranking import Ranking
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


def _measure(spectrum: Spectrum) -> str:
    options = spectrum.options
    parts: list[str] = [options.estimator]
    if options.normalize == "cka":
        parts.append("CKA")
    if options.bandwidth is not None:
        parts.append(f"bandwidth {options.bandwidth}")
    chosen = options.selection
    rule = "" if chosen == Selection() else f"; {rule_of(chosen)}"
    return f"{', '.join(parts)}; bridge set {options.bridge_set}{rule}"


def _spectrum_meta(spectrum: Spectrum) -> dict[str, Any]:
    options = asdict(spectrum.options)
    del options["selection"]
    return {
        "source": spectrum.pair.source,
        "target": spectrum.pair.target,
        "samples": spectrum.sample_count,
        "word_pairs": spectrum.considered,
        "gold": spectrum.gold,
        "selection": selection_meta(spectrum.options.selection, spectrum.sets),
        "options": options,
    }


def _probe_notes(spectrum: Spectrum) -> tuple[str, ...]:
    kept = (
        f"{spectrum.sample_count} probes: those of {spectrum.considered} words that the model "
        "translates right"
        if spectrum.gold == "keep"
        else f"{spectrum.sample_count} probes: all words, translated correctly or not"
    )
    return (kept, *set_notes(spectrum.sets, spectrum.options.selection, advice=False))


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
