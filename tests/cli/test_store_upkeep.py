"""``bridgex store compact`` and ``bridgex store merge`` as a user meets them."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from bridgex.corpora import split_parts
from bridgex.store import Store
from bridgex.testing import synthetic

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Outcome

    Run = Callable[..., Outcome]

TEXT = [f"rekodi ya {number}" for number in range(11)]


@pytest.fixture
def mine(store: Path, tmp_path: Path) -> Path:
    """A store of one's own, with a language of several parts."""
    path = tmp_path / "mine"
    shutil.copytree(store, path)
    opened = Store.open(path)
    full = opened.part_bytes
    for part in split_parts(["x" * full, "y" * full, *TEXT], language="ms"):
        opened.add_statistics(part, synthetic.statistics(part.records, layer_sizes=(700, 600, 800)))
    return path


def test_compact_says_what_it_did_and_then_that_there_is_nothing_to_do(
    bridgex: Run, mine: Path
) -> None:
    before = bridgex("query", "overlap", mine, "--format", "json").out
    done = bridgex("store", "compact", mine, "--codec", "zstd", "--format", "json")
    assert done.code == 0
    answer = json.loads(done.out)
    assert answer["schema"] == "bridgex.store-compact/1"
    rows = {(row["kind"], row["of"]): row for row in answer["rows"]}
    assert rows.keys() >= {("statistics", "ms"), ("probes", "id-tl")}
    assert answer["total"]["bytes_after"] == sum(row["bytes_after"] for row in rows.values())
    assert answer["total"]["ratio"] > 1
    assert answer["total"]["largest_relative_error"] == 0
    assert f"bridgex store gc {mine}" in done.err
    assert bridgex("query", "overlap", mine, "--format", "json").out == before
    again = bridgex("store", "compact", mine, "--codec", "zstd")
    assert "Everything was compact already: nothing was written." in again.out
    assert "gc" not in again.err


def test_compact_says_where_records_are_missing(bridgex: Run, mine: Path) -> None:
    opened = Store.open(mine)
    text = [letter * opened.part_bytes for letter in "abc"]
    for part in list(split_parts(text, language="jv"))[1:]:
        opened.add_statistics(part, synthetic.statistics(part.records, layer_sizes=(700, 600, 800)))
    assert "Records are missing" not in bridgex("store", "compact", mine, "--languages", "ms").out
    text += ["d"]
    *_, last = split_parts(text, language="jv")
    opened.add_statistics(last, synthetic.statistics(last.records, layer_sizes=(700, 600, 800)))
    done = bridgex("store", "compact", mine, "--languages", "jv")
    assert "not joined: statistics jv (default)." in done.out


def test_compact_of_some(bridgex: Run, mine: Path) -> None:
    done = bridgex("store", "compact", mine, "--codec", "zstd", "--pair", "id,tl", "--keep-bits", 9)
    assert "probes id-tl (gold off)" in done.out
    assert "statistics" not in done.out
    error = done.out.split()[-1]  # of the total
    assert 0 < float(error) <= 2**-10
    done = bridgex("store", "compact", mine, "--languages", "ms,en")
    assert "statistics ms (default)" in done.out
    assert "Compact already: statistics en (default)." in done.out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--keep-bits", "8"], 2, "need a --codec"),
        (["--level", "3"], 2, "need a --codec"),
        (["--codec", "zstd", "--keep-bits", "24"], 2, "is not in the range 1<=x<=23"),
        (["--codec", "gzip"], 2, "'gzip' is not one of"),
        (["--pair", "id"], 2, "expected SOURCE,TARGET"),
        (["--languages", "yo"], 1, "the store has nothing of yo to compact"),
    ],
)
def test_compact_refuses(
    bridgex: Run, store: Path, arguments: list[str], code: int, message: str
) -> None:
    done = bridgex("store", "compact", store, *arguments)
    assert (done.code, done.out) == (code, "")
    assert message in done.err


def test_merge_and_merge_again(bridgex: Run, mine: Path, store: Path, tmp_path: Path) -> None:
    merged = tmp_path / "merged"
    answer = json.loads(
        bridgex("store", "merge", store, mine, "-o", merged, "--format", "json").out
    )
    assert answer["schema"] == "bridgex.store-merge/1"
    rows = {(row["source"], row["of"]): row for row in answer["rows"]}
    assert rows[str(store), "sw"]["copied_parts"] == 1
    assert rows[str(mine), "sw"]["copied_parts"] == 0
    assert rows[str(mine), "ms"]["copied_parts"] == rows[str(mine), "ms"]["parts"] == 3
    assert answer["copied_bytes"] == sum(row["copied_bytes"] for row in answer["rows"])
    asked = [bridgex("query", "overlap", path, "--format", "csv") for path in (mine, merged)]
    assert asked[0].out == asked[1].out
    again = bridgex("store", "merge", store, mine, "-o", merged)
    assert "Everything was there already: nothing was written." in again.out
    assert again.code == 0


def test_merge_shows_what_differs(bridgex: Run, store: Path, tmp_path: Path) -> None:
    Store.create(tmp_path / "other", synthetic.provenance(layer_sizes=(1,)))
    done = bridgex("store", "merge", store, tmp_path / "other", "-o", tmp_path / "merged")
    assert (done.code, done.out) == (1, "")
    assert "layer sizes: the store has [700, 600, 800], yours is [1]" in done.err
    assert not (tmp_path / "merged").exists()
    assert bridgex("store", "merge", store).code == 2
    assert bridgex("store", "merge", "-o", tmp_path / "merged").code == 2
