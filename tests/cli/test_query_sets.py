"""Which neurons enter a query, by each rule, and what languages share."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from bridgex.analysis import LanguageNeurons, Selection, select_neurons
from bridgex.store import Store
from bridgex.testing import reference_sets as plain

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PAIR = ("--source", "id", "--target", "tl")
QUERIES = {
    "overlap": ("overlap",),
    "combinations": ("combinations",),
    "neurons": ("neurons", "--languages", "en,es,id,sw,tl", "--any"),
    "spectrum": ("spectrum", *PAIR, "--layers", "1"),
    "bridges": ("bridges", *PAIR, "--layers", "1"),
}
RULES = {
    "probability": Selection(top_percent=20),
    "contrast": Selection("contrast", scope="model", top_percent=20),
    "lape": Selection("lape", top_percent=20, quantile=0.7),
    "threshold": Selection("threshold", threshold=0.6),
    "random": Selection("random", top_percent=20, seed=3),
}
OPTIONS = {
    "probability": ("--top-percent", "20"),
    "contrast": ("--select", "contrast", "--scope", "model", "--top-percent", "20"),
    "lape": ("--select", "lape", "--top-percent", "20", "--quantile", "0.7"),
    "threshold": ("--select", "threshold", "--threshold", "0.6"),
    "random": ("--select", "random", "--top-percent", "20", "--seed", "3"),
}


def chosen(store: Path, rule: Selection) -> LanguageNeurons:
    snapshot = Store.open(store).snapshot()
    statistics = {code: snapshot.statistics(code) for code in snapshot.languages}
    return select_neurons(statistics, snapshot.provenance.layer_offsets, rule)


def sets_of(neurons: LanguageNeurons) -> dict[str, set[int]]:
    return {code: set(np.flatnonzero(neurons.mask(code)).tolist()) for code in neurons.languages}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("query", QUERIES)
def test_every_query_says_by_which_rule_and_how_saturated(
    bridgex: Callable[..., Any], store: Path, query: str, rule: str
) -> None:
    ask = ("query", *QUERIES[query], store, *OPTIONS[rule])
    done = bridgex(*ask, "--format", "json")
    assert done.code == 0, done.err
    said = json.loads(done.out)["selection"]
    expected = RULES[rule]
    fields = ("select", "scope", "top_percent", "ties", "quantile", "threshold", "seed")
    assert {name: said[name] for name in fields} == {
        name: getattr(expected, name) for name in fields
    }
    sets = sets_of(chosen(store, expected))
    assert said["sizes"] == {code: len(one) for code, one in sets.items()}
    assert set(said["saturation"]) == set(sets)
    assert "on for nearly every token of every language" in bridgex(*ask).out


@pytest.mark.parametrize("query", QUERIES)
def test_sets_without_a_neuron_are_said_and_crash_nothing(
    bridgex: Callable[..., Any], store: Path, query: str
) -> None:
    # All neurons of the synthetic store are on for fewer tokens than this.
    ask = ("query", *QUERIES[query], store, "--select", "threshold", "--threshold", "1")
    done = bridgex(*ask, "--format", "json")
    assert done.code == 0, done.err
    answer = json.loads(done.out)
    assert set(answer["selection"]["sizes"].values()) == {0}
    assert set(answer["selection"]["saturation"].values()) == {None}
    if "spectrum" in query or "bridges" in query:
        assert {row["score"] for row in answer["rows"]} == {None}
        assert {row["not_estimable"] for row in answer["rows"]} == {
            "the pair shares fewer than 5 neurons"
        }
    table = bridgex(*ask)
    assert "no neuron at all: " in table.out
    assert "nearly every token" not in table.out


@pytest.mark.parametrize("query", ["combinations", "neurons"])
def test_an_answer_without_rows_still_names_its_columns(
    bridgex: Callable[..., Any], store: Path, tmp_path: Path, query: str
) -> None:
    ask = ("query", *QUERIES[query], store, "--format")
    nothing = ("--select", "threshold", "--threshold", "1")
    header = bridgex(*ask, "csv").out.splitlines()[0]
    assert bridgex(*ask, "csv", *nothing).out == f"{header}\n"
    file = tmp_path / "nothing.parquet"
    assert bridgex(*ask, "parquet", *nothing, "--output", file).code == 0
    assert pl.read_parquet(file).columns == header.split(",")


MEASURES: dict[str, Callable[[set[int], set[int]], float]] = {
    "counts": lambda a, b: len(a & b),
    "jaccard": plain.jaccard,
    "coefficient": plain.overlap_coefficient,
    "containment": plain.containment,
}


@pytest.mark.parametrize("measure", MEASURES)
def test_the_table_shows_the_measure_asked_for(
    bridgex: Callable[..., Any], store: Path, measure: str
) -> None:
    ask = ("query", "overlap", store, *OPTIONS["threshold"], "--languages", "id,tl")
    table = bridgex(*ask, "--measure", measure)
    sets = sets_of(chosen(store, RULES["threshold"]))
    value = MEASURES[measure](sets["id"], sets["tl"])
    _, line = [row.split() for row in table.out.splitlines() if row.split()[:1] == ["id"]]
    assert line[2] == (f"{value:,}" if measure == "counts" else f"{value:.4f}")


def test_the_long_form_holds_every_measure(bridgex: Callable[..., Any], store: Path) -> None:
    done = bridgex("query", "overlap", store, *OPTIONS["threshold"], "--format", "json")
    sets = sets_of(chosen(store, RULES["threshold"]))
    rows = [row for row in json.loads(done.out)["rows"] if row["layer"] is None]
    assert len(rows) == 15
    for row in rows:
        a, b = sets[row["first"]], sets[row["second"]]
        assert row["shared"] == len(a & b)
        assert row["jaccard"] == plain.jaccard(a, b)
        assert row["overlap_coefficient"] == plain.overlap_coefficient(a, b)
        assert row["containment_of_first"] == plain.containment(a, b)
        assert row["containment_of_second"] == plain.containment(b, a)


def test_some_layers_are_the_sum_of_theirs(bridgex: Callable[..., Any], store: Path) -> None:
    ask = ("query", "overlap", store, "--top-percent", "20", "--format", "json")
    every = {
        (row["layer"], row["first"], row["second"]): row["shared"] for row in rows(bridgex(*ask))
    }
    some = rows(bridgex(*ask, "--layers", "1-2"))
    assert {row["layer"] for row in some} == {None, 1, 2}
    for row in some:
        key = (row["first"], row["second"])
        if row["layer"] is None:
            assert row["shared"] == every[1, *key] + every[2, *key]
        else:
            assert row["shared"] == every[row["layer"], *key]


def rows(done: Any) -> list[dict[str, Any]]:
    assert done.code == 0, done.err
    found: list[dict[str, Any]] = json.loads(done.out)["rows"]
    return found


def test_combinations_count_every_neuron_once(bridgex: Callable[..., Any], store: Path) -> None:
    ask = ("query", "combinations", store, "--top-percent", "20", "--languages", "id,tl,en")
    found = rows(bridgex(*ask, "--format", "json"))
    sets = sets_of(chosen(store, RULES["probability"]))
    codes = ("id", "tl", "en")
    expected = plain.combinations([sets[code] for code in codes])
    assert {row["languages"]: row["neurons"] for row in found} == {
        ",".join(codes[i] for i in members): count for members, count in expected.items()
    }
    assert [row["neurons"] for row in found] == sorted(expected.values(), reverse=True)
    table = bridgex(*ask, "--limit", "2")
    assert f"{len(found) - 2} more" in table.out
    assert table.out.count(" id,") <= 2


def test_neurons_of_some_languages_without_others(bridgex: Callable[..., Any], store: Path) -> None:
    neurons = chosen(store, RULES["probability"])
    sets, offsets = sets_of(neurons), neurons.layer_offsets
    ask = ("query", "neurons", store, "--top-percent", "20", "--languages", "id,tl")
    for extra, expected in (
        ((), sets["id"] & sets["tl"]),
        (("--any",), sets["id"] | sets["tl"]),
        (("--without", "en,es"), (sets["id"] & sets["tl"]) - sets["en"] - sets["es"]),
        (("--any", "--without", "sw"), (sets["id"] | sets["tl"]) - sets["sw"]),
        (("--layers", "1"), {n for n in sets["id"] & sets["tl"] if 700 <= n < 1300}),
    ):
        found = rows(bridgex(*ask, *extra, "--format", "json"))
        assert {int(offsets[row["layer"]]) + row["neuron"] for row in found} == expected
    title = bridgex(*ask, "--any", "--without", "sw").out
    assert "Neurons of id or tl without sw by layer" in title


def test_a_preset_gives_way_to_what_is_given(bridgex: Callable[..., Any], store: Path) -> None:
    ask = ("query", "bridges", store, *PAIR, "--preset", "paper", "--format", "json")
    answer = json.loads(bridgex(*ask, "--estimator", "linear", *OPTIONS["threshold"]).out)
    assert (answer["selection"]["scope"], answer["selection"]["ties"]) == (None, None)
    assert (answer["options"]["bandwidth"], answer["options"]["tolerance"]) == (None, None)
    assert answer["options"]["bridge_set"] == "specific"


def test_the_contrast_set_can_have_a_size_of_its_own(
    bridgex: Callable[..., Any], store: Path
) -> None:
    ask = ("query", "spectrum", store, *PAIR, "--layers", "1", "--format", "json")
    for options, size in (
        ((*OPTIONS["probability"],), 120),
        ((*OPTIONS["threshold"],), 6),
        ((*OPTIONS["probability"], "--bridge-percent", "5"), 30),
    ):
        assert {row["bridge_neurons"] for row in rows(bridgex(*ask, *options))} == {size}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("overlap", "--threshold", "0.5"), 2, "threshold is no option of the selection"),
        (("overlap", "--select", "threshold"), 2, "needs one"),
        (("overlap", "--select", "threshold", "--threshold", "0"), 2, "0<x<=1"),
        (("overlap", *OPTIONS["threshold"], "--top-percent", "2"), 2, "top percent is no option"),
        (("overlap", *OPTIONS["threshold"], "--scope", "model"), 2, "scope is no option"),
        (("overlap", "--seed", "1"), 2, "seed is no option of the selection 'probability'"),
        (("overlap", "--select", "random", "--seed", "-1"), 2, "x>=0"),
        (("overlap", "--select", "contrast", "--quantile", "0.9"), 2, "quantile is no option"),
        (("overlap", "--select", "lape", "--quantile", "1"), 2, "0<x<1"),
        (("overlap", "--select", "best"), 2, "'best' is not one of"),
        (("overlap", "--measure", "cosine"), 2, "'cosine' is not one of"),
        (("overlap", "--layers", "1-7"), 1, "layers 0 to 2, and 3 was asked for"),
        (("combinations", "--layers", "7"), 1, "layers 0 to 2, and 7 was asked for"),
        (("combinations", "--languages", "fr"), 1, "'fr'; there are en, es, id, sw, tl"),
        (("combinations", "--limit", "-1"), 2, "x>=0"),
        (("neurons", "--languages", "id", "--without", "fr"), 1, "'fr'; there are"),
        (("neurons", "--languages", "id,tl", "--without", "id"), 1, "'id' is among the languages"),
        (("neurons", "--languages", "id", "--without", "qq"), 2, "no language has the code"),
        (
            ("spectrum", *PAIR, "--estimator", "linear", "--bandwidth", "layer"),
            2,
            "bandwidth is no",
        ),
        (("spectrum", *PAIR, "--estimator", "linear", "--tolerance", "1"), 2, "tolerance is no"),
        (("bridges", *PAIR, "--bridge-set", "all", "--bridge-percent", "1"), 2, "percent is no"),
        (("bridges", *PAIR, "--bridge-percent", "100"), 2, "0<x<100"),
        (("bridges", *PAIR, "--bridge-percent", "0.01"), 1, "is no neuron"),
    ],
)
def test_bad_input_gets_one_clear_message(
    bridgex: Callable[..., Any], store: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    done = bridgex("query", arguments[0], store, *arguments[1:])
    assert done.code == code
    assert message in done.err
    assert done.out == ""
    assert "Traceback" not in done.err
