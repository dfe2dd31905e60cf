"""``bridgex store export``: files for other programs, and what is there is not lost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import load_file

from bridgex.schema import Pair
from bridgex.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PAIR = ("--source", "id", "--target", "tl")
RULE = ("--top-percent", "20", "--select", "contrast")


def test_every_language_gets_a_table(
    bridgex: Callable[..., Any], store: Path, tmp_path: Path
) -> None:
    done = bridgex("store", "export", "statistics", store, "-o", tmp_path / "new" / "tables")
    assert (done.code, done.out) == (0, "")
    assert "wrote 5 files" in done.err
    read = pl.read_parquet(tmp_path / "new/tables/*.parquet")
    snapshot = Store.open(store).snapshot()
    assert set(read["language"]) == set(snapshot.languages)
    for language in snapshot.languages:
        found = snapshot.statistics(language)
        rows = read.filter(language=language)
        assert rows["positive_count"].to_numpy().tobytes() == found.positive_count.tobytes()
        assert rows["sum"].to_numpy().tobytes() == found.sum.tobytes()


def test_some_languages_get_arrays(
    bridgex: Callable[..., Any], store: Path, tmp_path: Path
) -> None:
    ask = ("store", "export", "statistics", store, "-o", tmp_path, "--format", "safetensors")
    assert bridgex(*ask, "--languages", "id,sw").code == 0
    assert {path.name for path in tmp_path.iterdir()} == {
        "statistics_id.safetensors",
        "statistics_sw.safetensors",
    }
    read = load_file(tmp_path / "statistics_sw.safetensors")
    expected = Store.open(store).snapshot().statistics("sw")
    assert read["maximum"].tobytes() == expected.maximum.tobytes()


def test_sets_and_lists_are_those_of_the_query(
    bridgex: Callable[..., Any], store: Path, tmp_path: Path
) -> None:
    assert bridgex("store", "export", "sets", store, "-o", tmp_path / "s", *RULE).code == 0
    assert bridgex("store", "export", "neurons", store, "-o", tmp_path / "t", *RULE).code == 0
    read = pl.read_parquet(tmp_path / "s")
    about = json.loads(pl.read_parquet_metadata(tmp_path / "s")["bridgex"])
    assert about["selection"]["select"] == "contrast"
    for language in ("id", "sw"):
        ask = ("query", "neurons", store, "--languages", language, *RULE, "--format", "json")
        rows = json.loads(bridgex(*ask).out)["rows"]
        expected = [(row["layer"], row["neuron"]) for row in rows]
        assert read.filter(language=language).select("layer", "neuron").rows() == expected
        text = (tmp_path / f"t/top_neurons_{language}.txt").read_text()
        assert text == "".join(f"({layer}, {neuron})\n" for layer, neuron in expected)
    assert json.loads((tmp_path / "t/about.json").read_text())["selection"] == about["selection"]


def test_a_pair_gets_the_lists_of_the_published_script(
    bridgex: Callable[..., Any], store: Path, tmp_path: Path
) -> None:
    done = bridgex("store", "export", "neurons", store, "-o", tmp_path, *RULE, *PAIR)
    assert done.code == 0, done.err
    lists = {
        path.name.removeprefix("top_neurons_"): set(path.read_text().splitlines())
        for path in tmp_path.glob("*.txt")
    }
    assert lists["id_tl.txt"] == lists["id.txt"] & lists["tl.txt"]
    for bridge in ("en", "es", "sw"):
        rest = lists[f"{bridge}.txt"] - lists["id.txt"] - lists["tl.txt"]
        assert lists[f"{bridge}_specific_bridge_id_tl_k.txt"] == rest
    assert len(lists) == 5 + 1 + 3


def test_a_language_without_neurons_gets_no_list(
    bridgex: Callable[..., Any], store: Path, tmp_path: Path
) -> None:
    nothing = ("--select", "threshold", "--threshold", "1")
    assert bridgex("store", "export", "neurons", store, "-o", tmp_path, *nothing).code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["about.json"]
    assert bridgex("store", "export", "sets", store, "-o", tmp_path / "s", *nothing).code == 0
    assert pl.read_parquet(tmp_path / "s").height == 0


def test_a_spectrum_is_that_of_the_query(
    bridgex: Callable[..., Any], store: Path, tmp_path: Path
) -> None:
    options = (*PAIR, "--top-percent", "20", "--layers", "1-2")
    done = bridgex("store", "export", "spectrum", store, "-o", tmp_path / "s", *options)
    assert done.code == 0, done.err
    rows = pl.read_parquet(tmp_path / "s").rows(named=True)
    ask = ("query", "spectrum", store, *options, "--format", "json")
    asked = json.loads(bridgex(*ask).out)
    for row in asked["rows"]:
        del row["z"], row["p_value"]
    assert rows == asked["rows"]
    about = json.loads(pl.read_parquet_metadata(tmp_path / "s")["bridgex"])
    assert about["options"] == asked["options"]


def test_a_spectrum_without_scores_has_nulls(
    bridgex: Callable[..., Any], store: Path, tmp_path: Path
) -> None:
    nothing = (*PAIR, "--select", "threshold", "--threshold", "1", "--bridge-set", "all")
    done = bridgex("store", "export", "spectrum", store, "-o", tmp_path / "s", *nothing)
    assert done.code == 0, done.err
    read = pl.read_parquet(tmp_path / "s")
    assert read["score"].dtype == pl.Float64
    assert read["score"].null_count() == read.height == 9


def test_probes_are_those_of_the_store(
    bridgex: Callable[..., Any], store: Path, tmp_path: Path
) -> None:
    assert bridgex("store", "export", "probes", store, "-o", tmp_path / "p", *PAIR).code == 0
    read = load_file(tmp_path / "p")
    probes = Store.open(store).snapshot().probes(Pair("id", "tl"))
    for layer in range(3):
        np.testing.assert_array_equal(read[f"layer_{layer}"], probes.layer(layer))


WHOLE = {
    "statistics": (("statistics",), "statistics_sw.parquet"),
    "sets": (("sets",), ""),
    "neurons": (("neurons",), "about.json"),
    "spectrum": (("spectrum", *PAIR), ""),
    "probes": (("probes", *PAIR), ""),
}


@pytest.mark.parametrize("kind", WHOLE)
def test_what_is_there_is_replaced_only_when_asked(
    bridgex: Callable[..., Any], store: Path, tmp_path: Path, kind: str
) -> None:
    (verb, *options), name = WHOLE[kind]
    output = tmp_path / "out"
    there = output / name if name else output
    there.parent.mkdir(exist_ok=True)
    there.write_bytes(b"before")
    ask = ("store", "export", verb, store, "-o", output, *options)
    done = bridgex(*ask)
    assert (done.code, done.out) == (1, "")
    assert str(there) in done.err
    assert "--overwrite" in done.err
    assert there.read_bytes() == b"before"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [there]
    assert bridgex(*ask, "--overwrite").code == 0
    assert there.read_bytes() != b"before"


def test_a_directory_that_cannot_be_made_is_said(
    bridgex: Callable[..., Any], store: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    done = bridgex("store", "export", "statistics", store, "-o", tmp_path / "file" / "tables")
    assert done.code == 1
    assert "cannot make" in done.err


def test_half_a_pair_is_wrong_usage(
    bridgex: Callable[..., Any], store: Path, tmp_path: Path
) -> None:
    done = bridgex("store", "export", "neurons", store, "-o", tmp_path, "--source", "id")
    assert done.code == 2
    assert "--source and --target" in done.err
    same = ("--source", "id", "--target", "id")
    assert bridgex("store", "export", "neurons", store, "-o", tmp_path, *same).code == 2
    assert list(tmp_path.iterdir()) == []
