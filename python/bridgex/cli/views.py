"""Results of the library as answers: long form for programs, tables for people."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from bridgex.analysis.evidence import probability
from bridgex.analysis.rules import Selection
from bridgex.analysis.selection import ALWAYS_ON
from bridgex.analysis.verdicts import CANNOT_BE_PERMUTED
from bridgex.cli.output import NOT_ESTIMABLE, Answer, Table
from bridgex.cli.set_views import rule_of, selection_meta, set_notes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridgex.analysis.inference import PermutationTest
    from bridgex.analysis.spectra import Spectrum
    from bridgex.analysis.uncertainties import Uncertainty
    from bridgex.schema import NeuronStatistics


def statistics_answer(statistics: Mapping[str, NeuronStatistics]) -> Answer:
    """Tokens, and how often neurons are on, by language."""
    rows: list[dict[str, Any]] = []
    for language, one in statistics.items():
        rows.append(
            {
                "language": language,
                "tokens": one.token_count,
                "records": one.record_count,
                "mean_activation_probability": _mean_probability(one),
                "never_on": int((one.positive_count == 0).sum()),
                "always_on": int((probability(one) >= ALWAYS_ON).sum()),
            }
        )
    table = Table(
        title="Statistics by language",
        columns=("language", "tokens", "records", "mean probability", "never on", "always on"),
        rows=[list(row.values()) for row in rows],
        notes=(f"always on: at {ALWAYS_ON:.0%} of the tokens or more",),
    )
    return Answer("bridgex.statistics/1", rows, [table])


def _mean_probability(statistics: NeuronStatistics) -> float:
    """Return the mean over the neurons that saw a token."""
    known = statistics.seen > 0
    return float(statistics.activation_probability[known].mean()) if known.any() else math.nan


def spectrum_answer(spectrum: Spectrum, trust: Uncertainty | None = None) -> Answer:
    """Scores by layer and candidate, with their place among those of permuted words."""
    test = None if trust is None else trust.test
    lacking = trust is not None and trust.resampling.permutations and test is None
    rows = [
        {
            "layer": layer,
            "bridge": bridge,
            "score": float(spectrum.score[i, j]),
            "z": None if test is None else float(test.layer_z[i, j]),
            "p_value": None if test is None else float(test.layer_p[i, j]),
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
        title=f"Spectrum {spectrum.pair} ({measure(spectrum)})",
        columns=("layer", *spectrum.bridges, "pair neurons"),
        rows=[
            (str(layer), *map(float, spectrum.score[i]), int(spectrum.pair_counts[i]))
            for i, layer in enumerate(spectrum.layers)
        ],
        notes=(
            *((CANNOT_BE_PERMUTED,) if lacking else ()),
            *probe_notes(spectrum),
            *missing_notes(spectrum, spectrum.layers),
        ),
    )
    tables = [table] if test is None else [table, _z_table(spectrum, test)]
    return Answer("bridgex.spectrum/1", rows, tables, spectrum_meta(spectrum))


def _z_table(spectrum: Spectrum, test: PermutationTest) -> Table:
    return Table(
        title="Distance from the scores of permuted words, in their standard deviations (z)",
        columns=("layer", *spectrum.bridges),
        rows=[
            (str(layer), *(f"{z:.1f}" if math.isfinite(z) else NOT_ESTIMABLE for z in values))
            for layer, values in zip(spectrum.layers, test.layer_z.tolist(), strict=True)
        ],
    )


def measure(spectrum: Spectrum) -> str:
    """Say in a few words how dependence is measured, and between which neurons."""
    options = spectrum.options
    parts: list[str] = [options.estimator]
    if options.normalize == "cka":
        parts.append("CKA")
    if options.bandwidth is not None:
        parts.append(f"bandwidth {options.bandwidth}")
    chosen = options.selection
    rule = "" if chosen == Selection() else f"; {rule_of(chosen)}"
    return f"{', '.join(parts)}; bridge set {options.bridge_set}{rule}"


def spectrum_meta(spectrum: Spectrum) -> dict[str, Any]:
    """Return what a spectrum was computed from."""
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


def probe_notes(spectrum: Spectrum) -> tuple[str, ...]:
    """Say which probes there are, and how much the sets can say."""
    kept = (
        f"{spectrum.sample_count} probes: those of {spectrum.considered} words that the model "
        "translates right"
        if spectrum.gold == "keep"
        else f"{spectrum.sample_count} probes: all words, translated correctly or not"
    )
    return (kept, *set_notes(spectrum.sets, spectrum.options.selection, advice=False))


def missing_notes(spectrum: Spectrum, layers: Sequence[int]) -> tuple[str, ...]:
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


def _some(items: list[str], shown: int = 6) -> str:
    return ", ".join(items[:shown]) + (", ..." if len(items) > shown else "")
