"""The ranking, and how far it can be trusted, as a user asks for it."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest

from bridgex.analysis import Resampling

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Bridgex = Callable[..., Any]

ASK = ("query", "bridges", "--source", "id", "--target", "tl", "--top-percent", "20")
FEW = ("--permutations", "40", "--resamples", "50", "--random-sets", "30")


def answer(bridgex: Bridgex, store: Path, *options: str) -> dict[str, Any]:
    done = bridgex(*ASK, store, "--format", "json", *options)
    assert done.code == 0, done.err
    document: dict[str, Any] = json.loads(done.out)
    return document


def test_every_candidate_comes_with_its_uncertainty(bridgex: Bridgex, store: Path) -> None:
    found = answer(bridgex, store, *FEW, "--seed", "4")
    assert found["schema"] == "bridgex.bridges/1"
    assert found["words"] == 40
    assert found["resampling"] == {
        "permutations": 40,
        "resamples": 50,
        "random_sets": 30,
        "seed": 4,
        "tol": 0.1,
    }
    assert found["resamples_used"] == 50
    assert found["confidence"] == 0.95
    assert len(found["verdict"]) == 3
    rows = found["rows"]
    assert sum(row["probability_of_best"] for row in rows) == pytest.approx(1)
    assert rows[0]["may_be_best"] is True
    for row in rows:
        assert row["score_low"] < row["score"] < row["score_high"]
        assert 1 / 41 <= row["p_value"] <= row["p_family_wise"] + 3 / 41 <= 1 + 3 / 41
        assert 0 <= row["random_sets_share"] <= 1
        assert row["random_sets_sd"] > 0
        assert row["random_sets_scored"] == 30
        assert row["neurons"] == 120  # 20 % of the 600 of the middle layer
        assert row["shared_neurons"] == 0


def test_the_defaults_are_those_of_the_library(bridgex: Bridgex, store: Path) -> None:
    assert answer(bridgex, store)["resampling"] == asdict(Resampling())


def test_layer_scores_are_tested_on_request(bridgex: Bridgex, store: Path) -> None:
    ask = ("query", "spectrum", *ASK[2:], store)
    plain = json.loads(bridgex(*ask, "--format", "json").out)["rows"]
    assert {(row["z"], row["p_value"]) for row in plain} == {(None, None)}
    options = ("--permutations", "40", "--seed", "4")
    tested = json.loads(bridgex(*ask, *options, "--format", "json").out)["rows"]
    [middle] = [row for row in tested if (row["layer"], row["bridge"]) == (1, "en")]
    [ranked] = [
        row for row in answer(bridgex, store, *FEW, "--seed", "4")["rows"] if row["bridge"] == "en"
    ]
    assert (middle["z"], middle["p_value"]) == (ranked["z"], ranked["p_value"])
    table = bridgex(*ask, *options).out
    assert f"{middle['z']:.1f}" in table[table.index("permuted words") :]


def test_the_table_is_for_a_terminal_of_100_columns(bridgex: Bridgex, store: Path) -> None:
    done = bridgex(*ASK, store, *FEW)
    assert done.code == 0, done.err
    assert done.err == ""
    lines = done.out.splitlines()
    head = next(line for line in lines if "95% interval" in line)
    assert max(len(line) for line in lines[1:6]) <= 100
    columns = ("bridge", "score", "best in", "family-wise p", "neurons", "random as high")
    assert all(column in head for column in columns)
    assert "with these 40 words" in done.out
    assert "of 30 random sets of active neurons" in done.out


def test_numbers_are_a_function_of_the_seed(bridgex: Bridgex, store: Path) -> None:
    first, again, other = (answer(bridgex, store, *FEW, "--seed", seed) for seed in ("0", "0", "1"))
    assert first == again
    assert first["resampling"]["seed"] == 0
    for key in ("z", "score_low", "random_sets_mean"):
        assert first["rows"][0][key] != other["rows"][0][key]
    assert first["rows"][0]["score"] == other["rows"][0]["score"]
    assert first["selection"]["seed"] is None


def test_a_random_selection_has_the_same_seed(bridgex: Bridgex, store: Path) -> None:
    found = answer(bridgex, store, *FEW, "--select", "random", "--seed", "9")
    assert found["selection"]["seed"] == found["resampling"]["seed"] == 9


def test_what_is_turned_off_is_null_and_not_in_the_table(bridgex: Bridgex, store: Path) -> None:
    off = ("--permutations", "0", "--resamples", "0", "--random-sets", "0")
    found = answer(bridgex, store, *off)
    assert found["verdict"] == []
    assert found["resamples_used"] is None
    for row in found["rows"]:
        drawn = [key for key in row if key.startswith(("random", "p_", "score_", "may", "prob"))]
        assert len(drawn) == 11
        assert {row[key] for key in (*drawn, "z")} == {None}
    table = bridgex(*ASK, store, *off).out
    assert "interval" not in table
    assert "family-wise" not in table
    assert "random" not in table


def test_sets_that_differ_or_share_neurons_are_said(bridgex: Bridgex, store: Path) -> None:
    sets = bridgex(*ASK, store, *FEW, "--bridge-set", "specific", "--top-percent", "40")
    assert "sets differ in size, and a mean of best matches grows with it" in sets.out
    layers = bridgex(*ASK, store, *FEW, "--top-percent", "9", "--layers", "0-2")
    assert "a mean over fewer than the 3 layers: " in layers.out
    shared = bridgex(*ASK, store, *FEW, "--bridge-set", "all")
    assert "neurons that the pair has too, each its own best match: " in shared.out
    usual = bridgex(*ASK, store, *FEW)
    assert "differ in size" not in usual.out
    assert "fewer than" not in usual.out
    assert "pair has too" not in usual.out


def test_nothing_to_score_is_said(bridgex: Bridgex, store: Path) -> None:
    done = bridgex(*ASK, store, *FEW, "--top-percent", "1")
    assert done.code == 0, done.err
    assert "no candidate can be scored" in done.out
    found = answer(bridgex, store, *FEW, "--top-percent", "1")
    assert {row["p_value"] for row in found["rows"]} == {None}
    assert {row["random_sets_mean"] for row in found["rows"]} == {None}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--permutations", "5"), "permutations must be 0 for none, or 20 or more; got 5"),
        (("--resamples", "-1"), "x>=0"),
        (("--random-sets", "1"), "random sets must be 0 for none"),
        (("--seed", "-1"), "seed"),
        (("--permutations", "many"), "many"),
    ],
)
def test_draws_that_make_no_sense_are_wrong_usage(
    bridgex: Bridgex, store: Path, options: tuple[str, ...], message: str
) -> None:
    done = bridgex(*ASK, store, *options)
    assert done.code == 2
    assert message in done.err
    assert done.out == ""
