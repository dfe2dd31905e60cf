"""A ranking of bridges as an answer: scores, and how far they can be trusted."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from bridgex.analysis.inference import CONFIDENCE
from bridgex.analysis.verdicts import verdict
from bridgex.cli.output import NOT_ESTIMABLE, Answer, Cell, Table
from bridgex.cli.views import measure, missing_notes, probe_notes, spectrum_meta

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridgex.analysis.ranking import Ranking
    from bridgex.analysis.spectra import Spectrum
    from bridgex.analysis.uncertainties import Uncertainty

DRAWN: Mapping[str, tuple[str, str]] = {
    "score_low": ("stability", "low"),
    "score_high": ("stability", "high"),
    "probability_of_best": ("stability", "probability_of_best"),
    "may_be_best": ("stability", "may_be_best"),
    "z": ("test", "z"),
    "p_value": ("test", "p"),
    "p_family_wise": ("test", "family_p"),
    "random_sets_mean": ("random_sets", "mean"),
    "random_sets_sd": ("random_sets", "sd"),
    "random_sets_z": ("random_sets", "z"),
    "random_sets_share": ("random_sets", "share"),
    "random_sets_scored": ("random_sets", "scored"),
}
"""Keys of a row, and where their values are."""


def ranking_answer(ranking: Ranking, spectrum: Spectrum, found: Uncertainty) -> Answer:
    """Candidates, best first, with what resampling says about their scores."""
    rows = [_row(ranking, spectrum, found, number) for number in range(len(ranking.bridges))]
    layers = f"layers {ranking.layers[0]} to {ranking.layers[-1]}"
    sentences = verdict(found, spectrum.bridges)
    cells = [_cells(row, found) for row in rows]
    table = Table(
        title=f"Bridges for {ranking.pair}: mean score over {layers} ({measure(spectrum)})",
        columns=list(cells[0]),
        rows=[list(row.values()) for row in cells],
        notes=(
            *sentences,
            *_legend(rows, found),
            *probe_notes(spectrum),
            *_set_notes(rows, len(ranking.layers)),
            *missing_notes(spectrum, ranking.layers),
        ),
    )
    meta = {
        **spectrum_meta(spectrum),
        "layers": list(ranking.layers),
        "pair_neurons": int(spectrum.pair_counts[_places(ranking, spectrum)].sum()),
        "best": ranking.best,
        "words": found.words,
        "resampling": asdict(found.resampling),
        "resamples_used": None if found.stability is None else found.stability.resamples,
        "confidence": CONFIDENCE,
        "verdict": list(sentences),
    }
    return Answer("bridgex.bridges/1", rows, [table], meta)


def _row(ranking: Ranking, spectrum: Spectrum, found: Uncertainty, number: int) -> dict[str, Any]:
    bridge, score = ranking.bridges[number], float(ranking.score[number])
    column = spectrum.bridges.index(bridge)
    places = _places(ranking, spectrum)
    reasons = [spectrum.reason[place][column] for place in places]
    used = [place for place, reason in zip(places, reasons, strict=True) if not reason]
    return {
        "rank": number + 1 if np.isfinite(score) else None,
        "bridge": bridge,
        "score": score,
        **_resampled(found, column),
        "neurons": int(spectrum.bridge_counts[used, column].sum()),
        "shared_neurons": int(spectrum.shared_counts[used, column].sum()),
        "estimable_layers": int(ranking.estimable_layers[number]),
        "not_estimable": "; ".join(dict.fromkeys(filter(None, reasons))) or None,
        "error_bound": float(spectrum.error_bound[places].max()),
    }


def _resampled(found: Uncertainty, column: int) -> dict[str, Any]:
    """Return what is known about a candidate's score; None for what was not drawn."""
    result: dict[str, Any] = {}
    for key, (part, name) in DRAWN.items():
        drawn = getattr(found, part)
        result[key] = None if drawn is None else getattr(drawn, name)[column].item()
    return result


def _places(ranking: Ranking, spectrum: Spectrum) -> list[int]:
    return [spectrum.layers.index(layer) for layer in ranking.layers]


def _legend(rows: Sequence[dict[str, Any]], found: Uncertainty) -> tuple[str, ...]:
    """Say what the candidates are beside."""
    if found.random_sets is None:
        return ()
    means = [one for row in rows if math.isfinite(one := row["random_sets_mean"])]
    if not means:
        return ()
    ends = " to ".join(dict.fromkeys(f"{end:.3f}" for end in (min(means), max(means))))
    drawn = found.resampling.random_sets
    least = min(row["random_sets_scored"] for row in rows if math.isfinite(row["random_sets_mean"]))
    number = f"{drawn}" if least == drawn else f"the {least} or more that can be scored of {drawn}"
    sets = f"{number} random sets of active neurons"
    return (f"random as high: of {sets}, as many in every layer, whose mean is {ends}",)


def _set_notes(rows: Sequence[dict[str, Any]], layers: int) -> tuple[str, ...]:
    """Say where the sets make scores hard to compare."""
    scored = [row for row in rows if row["estimable_layers"]]
    notes = []
    fewer = [row for row in scored if row["estimable_layers"] < layers]
    if fewer:
        counts = ", ".join(f"{row['bridge']} {row['estimable_layers']}" for row in fewer)
        notes.append(f"a mean over fewer than the {layers} layers: {counts}")
    if len({(row["neurons"], row["estimable_layers"]) for row in scored}) > 1:
        notes.append(
            "the candidates' sets differ in size, and a mean of best matches grows with it: "
            "compare with random sets"
        )
    shared = [
        f"{row['bridge']} {row['shared_neurons']:,}" for row in scored if row["shared_neurons"]
    ]
    if shared:
        notes.append(f"neurons that the pair has too, each its own best match: {', '.join(shared)}")
    return tuple(notes)


def _cells(row: dict[str, Any], found: Uncertainty) -> dict[str, Cell]:
    """Return what the table shows of a candidate, by the name of the column."""
    cells: dict[str, Cell] = {"bridge": row["bridge"], "score": row["score"]}
    if found.stability is not None:
        ends = f"{row['score_low']:.3f} to {row['score_high']:.3f}"
        cells[f"{CONFIDENCE:.0%} interval"] = _known(row["score_low"], ends)
        cells["best in"] = _share(row["probability_of_best"])
    if found.test is not None:
        cells["z"] = _known(row["z"], f"{row['z']:.1f}")
        cells["family-wise p"] = _known(row["p_family_wise"], f"{row['p_family_wise']:.3f}")
    cells["neurons"] = row["neurons"]
    if found.random_sets is not None:
        cells["random as high"] = _share(row["random_sets_share"])
    return cells


def _share(value: float) -> str:
    return _known(value, f"{value:.0%}")


def _known(value: float, text: str) -> str:
    return text if math.isfinite(value) else NOT_ESTIMABLE
