"""Queries on a store, as a user gives them."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from tests.plain_spectrum import plain_spectrum

from bridgex.analysis import overlap, select_neurons
from bridgex.analysis.rules import layer_slice
from bridgex.errors import InvalidInputError
from bridgex.schema import Pair
from bridgex.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridgex.testing import reference

PAIR = ("--source", "id", "--target", "tl")


def test_overlap_counts_every_pair_of_languages(bridgex: Callable[..., Any], store: Path) -> None:
    done = bridgex("query", "overlap", store, "--format", "json")
    assert done.code == 0
    answer = json.loads(done.out)
    assert answer["schema"] == "bridgex.overlap/1"
    assert len(answer["rows"]) == 15 * 4
    snapshot = Store.open(store).snapshot()
    statistics = {code: snapshot.statistics(code) for code in snapshot.languages}
    neurons = select_neurons(statistics, snapshot.provenance.layer_offsets)
    offsets = snapshot.provenance.layer_offsets
    for row in answer["rows"]:
        both = neurons.mask(row["first"]) & neurons.mask(row["second"])
        span = slice(None) if row["layer"] is None else layer_slice(offsets, row["layer"])
        assert row["shared"] == both[span].sum()


def test_threads_are_those_of_the_count(bridgex: Callable[..., Any], store: Path) -> None:
    every, one = (bridgex("query", "overlap", store, *more) for more in ((), ("--threads", "1")))
    assert one.code == 0
    assert one.out == every.out
    snapshot = Store.open(store).snapshot()
    statistics = {code: snapshot.statistics(code) for code in snapshot.languages}
    neurons = select_neurons(statistics, snapshot.provenance.layer_offsets)
    with pytest.raises(InvalidInputError, match="threads must be a whole number from 1 to 1024"):
        overlap(neurons, threads=0)


def test_overlap_as_a_table_goes_to_stdout_alone(bridgex: Callable[..., Any], store: Path) -> None:
    done = bridgex("query", "overlap", store, "--languages", "id,Tagalog")
    assert done.code == 0
    assert done.err == ""
    assert "top 1 % of every layer by probability" in done.out
    assert done.out.count("21") >= 2  # 7 + 6 + 8 neurons on the diagonal


def test_neurons_that_two_languages_share(bridgex: Callable[..., Any], store: Path) -> None:
    options = ("--languages", "id,tl", "--top-percent", "20")
    done = bridgex("query", "neurons", store, *options, "--format", "json")
    answer = json.loads(done.out)
    assert sum(answer["by_layer"]) == len(answer["rows"]) > 0
    assert {"layer", "neuron", "probability_id", "mean_tl"} <= set(answer["rows"][0])
    table = bridgex("query", "neurons", store, *options, "--limit", "3")
    assert f"{len(answer['rows']) - 3} more" in table.out


BANDWIDTHS = ("neuron", "layer", "reference", "1.5")


@pytest.mark.parametrize(
    ("estimator", "bandwidth"),
    [
        *((name, width) for name in ("unbiased", "biased", "reference") for width in BANDWIDTHS),
        ("linear", None),
    ],
)
def test_spectrum_is_what_the_definition_says(
    bridgex: Callable[..., Any], store: Path, estimator: reference.Estimator, bandwidth: str | None
) -> None:
    width = () if bandwidth is None else ("--bandwidth", bandwidth)
    options = ("--top-percent", "20", "--estimator", estimator, *width)
    done = bridgex("query", "spectrum", store, *PAIR, *options, "--format", "json", "--layers", 1)
    assert done.code == 0, done.err
    rows = {row["bridge"]: row for row in json.loads(done.out)["rows"]}
    assert set(rows) == {"en", "es", "sw"}
    expected = plain_spectrum(
        store,
        Pair("id", "tl"),
        layer=1,
        top_percent=20,
        estimator=estimator,
        bandwidth=bandwidth or "neuron",
    )
    for bridge, score in expected.items():
        found = rows[bridge]
        # Low-rank features stay within their own bound; single precision adds some 1e-6.
        assert found["score"] == pytest.approx(score, abs=found["error_bound"] + 1e-5)


def test_bridges_are_ranked_by_their_mean_over_the_middle(
    bridgex: Callable[..., Any], store: Path
) -> None:
    options = (*PAIR, "--top-percent", "20", "--format", "json")
    ranked = json.loads(bridgex("query", "bridges", store, *options).out)
    spectrum = json.loads(bridgex("query", "spectrum", store, *options, "--layers", "1").out)
    assert ranked["layers"] == [1]
    assert ranked["samples"] == 40
    scores = {row["bridge"]: row["score"] for row in spectrum["rows"]}
    expected = sorted(scores, key=lambda code: -scores[code])
    assert [row["bridge"] for row in ranked["rows"]] == expected
    assert ranked["best"] == expected[0]
    for row in ranked["rows"]:
        assert row["score"] == pytest.approx(scores[row["bridge"]], abs=1e-12)


def test_cells_that_cannot_be_estimated_are_said_and_not_scored(
    bridgex: Callable[..., Any], store: Path
) -> None:
    done = bridgex("query", "spectrum", store, *PAIR, "--top-percent", "1")
    assert done.code == 0
    assert "not estimable, the pair shares fewer than 5 neurons" in done.out
    answer = json.loads(
        bridgex("query", "spectrum", store, *PAIR, "--top-percent", "1", "--format", "json").out
    )
    assert {row["score"] for row in answer["rows"]} == {None}


def test_preset_paper_follows_the_published_scripts(
    bridgex: Callable[..., Any], store: Path
) -> None:
    options = ("--preset", "paper", "--top-percent", "20", "--format", "json")
    answer = json.loads(bridgex("query", "spectrum", store, *PAIR, *options).out)
    rule = {name: answer["selection"][name] for name in ("select", "scope", "top_percent", "ties")}
    assert rule == {
        "select": "probability",
        "scope": "model",
        "top_percent": 20.0,
        "ties": "include",
    }
    assert answer["options"] == {
        "bridge_set": "specific",
        "bridge_percent": None,
        "estimator": "reference",
        "normalize": "none",
        "bandwidth": "reference",
        "tolerance": 0.001,
    }


QUERIES = {
    "overlap": ("query", "overlap"),
    "combinations": ("query", "combinations"),
    "neurons": ("query", "neurons", "--languages", "id,tl"),
    "spectrum": ("query", "spectrum", *PAIR),
    "bridges": ("query", "bridges", *PAIR),
}


def _as(value: object, text: str) -> object:
    """Return what a text means, as a value of the same type as another."""
    return text == "true" if isinstance(value, bool) else type(value)(text)  # type: ignore[call-arg]  # of str, int, float


@pytest.mark.parametrize("query", QUERIES)
def test_every_format_holds_the_same_rows(
    bridgex: Callable[..., Any], store: Path, tmp_path: Path, query: str
) -> None:
    ask = (*QUERIES[query], store, "--top-percent", "20", "--format")
    rows = json.loads(bridgex(*ask, "json").out)["rows"]
    assert rows
    lines = [json.loads(line) for line in bridgex(*ask, "ndjson").out.splitlines()]
    assert lines == rows
    table = list(csv.DictReader(io.StringIO(bridgex(*ask, "csv").out)))
    assert [list(row) for row in table] == [list(row) for row in rows]
    written = [["" if value is None else value for value in row.values()] for row in rows]
    for found, expected in zip(table, written, strict=True):
        assert [_as(y, x) for x, y in zip(found.values(), expected, strict=True)] == expected
    file = tmp_path / "answer.parquet"
    assert bridgex(*ask, "parquet", "--output", file).code == 0
    assert pl.read_parquet(file).to_dicts() == rows
    assert [path.name for path in tmp_path.iterdir()] == ["answer.parquet"]


def test_a_choice_of_languages_does_not_change_their_neurons(
    bridgex: Callable[..., Any], store: Path
) -> None:
    ask = ("query", "overlap", store, "--select", "contrast", "--format", "json")
    everything = json.loads(bridgex(*ask).out)["rows"]
    some = json.loads(bridgex(*ask, "--languages", "id,tl").out)["rows"]
    chosen = [row for row in everything if {row["first"], row["second"]} <= {"id", "tl"}]
    assert [row["shared"] for row in some] == [row["shared"] for row in chosen]


def test_a_full_disk_behind_stdout_is_said(store: Path) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [sys.executable, "-m", "bridgex", "query", "overlap", store],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_closed_stdout_is_said(store: Path) -> None:
    command = [sys.executable, "-m", "bridgex", "store", "info", str(store)]
    done = subprocess.run(
        ["sh", "-c", '"$@" >&-', "sh", *command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "nowhere to write the answer to" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reader_that_has_gone_needs_no_words(store: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "bridgex", "store", "info", store],
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


def test_store_info_says_what_is_there(bridgex: Callable[..., Any], store: Path) -> None:
    answer = json.loads(bridgex("store", "info", store, "--format", "json").out)
    assert [row["of"] for row in answer["rows"]] == ["en", "es", "id", "sw", "tl", "id-tl"]
    assert answer["provenance"]["layer_sizes"] == [700, 600, 800]
    table = bridgex("store", "info", store)
    assert table.code == 0
    assert "synthetic" in table.out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("overlap", "STORE", "--languages", "qq"), 2, "no language has the code or name 'qq'"),
        (("overlap", "STORE", "--languages", "id,fr"), 1, "'fr'; there are en, es, id, sw, tl"),
        (("overlap", "STORE", "--top-percent", "0.01"), 1, "is no neuron"),
        (("overlap", "nowhere"), 1, "nowhere"),
        (("overlap", "STORE", "--format", "parquet"), 2, "--output FILE"),
        (("overlap", "STORE", "--output", "missing/x.csv"), 2, "no directory missing"),
        (("overlap", "STORE", "--output", "/"), 2, "is a directory"),
        (("neurons", "STORE", "--languages", "id", "--limit", "-1"), 2, "x>=0"),
        (("spectrum", "STORE", *PAIR, "--layers", "0-9999999999"), 2, "no model has a layer"),
        (("neurons", "STORE", "--languages", "fr"), 1, "'fr'; there are en, es, id, sw, tl"),
        (("spectrum", "STORE", *PAIR, "--layers", "2-9"), 1, "layers 0 to 2"),
        (("spectrum", "STORE", *PAIR, "--layers", "9-2"), 2, "comes before the first"),
        (("spectrum", "STORE", *PAIR, "--layers", "x"), 2, "expected layers such as 6-11"),
        (("spectrum", "STORE", *PAIR, "--bridges", "fr"), 1, "no statistics of fr"),
        (("spectrum", "STORE", *PAIR, "--bridges", "id"), 1, "is of the pair"),
        (("spectrum", "STORE", *PAIR, "--bridges", ","), 2, "expected languages"),
        (("spectrum", "STORE", *PAIR, "--bandwidth", "wide"), 2, "expected neuron, layer"),
        (("spectrum", "STORE", *PAIR, "--bandwidth", "-1"), 2, "positive"),
        (("spectrum", "STORE", *PAIR, "--gold", "keep"), 1, "gold filter keep"),
        (("spectrum", "STORE", *PAIR, "--threads", "0"), 2, "1<=x<=1024"),
        (("bridges", "STORE", *PAIR, "--threads", "1025"), 2, "1<=x<=1024"),
        (("overlap", "STORE", "--threads", "0"), 2, "1<=x<=1024"),
        (("bridges", "STORE", "--source", "en", "--target", "es"), 1, "probes of en-es"),
    ],
)
def test_bad_input_gets_one_clear_message(
    bridgex: Callable[..., Any], store: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    done = bridgex("query", *(store if word == "STORE" else word for word in arguments))
    assert done.code == code
    assert message in done.err
    assert done.out == ""
    assert "Traceback" not in done.err


def test_a_directory_that_is_no_store_is_refused_and_left_alone(
    bridgex: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    done = bridgex("store", "info", tmp_path)
    assert done.code == 1
    assert "not a bridgex store" in done.err or "no store" in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
