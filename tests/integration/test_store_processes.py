"""Many writers, killed writers, and a reader meanwhile: nothing is lost, nothing counts twice."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bridgex.corpora import split_parts, split_words
from bridgex.schema import Pair, WordPair
from bridgex.store import Store
from bridgex.testing import synthetic

SCRIPT = Path(__file__).with_name("store_faults.py")
PAIR = Pair("id", "tl")


def run(action: str, store: Path, *numbers: int) -> dict[str, Any]:
    command = [sys.executable, "-W", "error", str(SCRIPT), action, str(store), *map(str, numbers)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    result: dict[str, Any] = json.loads(finished.stdout)
    return result


def undisturbed(path: Path, disturbed: Store, record_count: int) -> Store:
    """Ingest the same text and words into another store, one part after the other."""
    store = Store.create(
        path,
        disturbed.provenance,
        part_bytes=disturbed.part_bytes,
        probe_block=disturbed.probe_block,
    )
    records = [f"rekodi namba {number:06d}" for number in range(record_count)]
    for part in split_parts(records, language="sw", part_bytes=store.part_bytes):
        store.add_statistics(part, synthetic.statistics(part.records))
    words = (WordPair(record, ("x",)) for record in records)
    for word_part in split_words(words, pair=PAIR, block=store.probe_block):
        store.add_probes(word_part, synthetic.probes(word_part, "keep"), "keep")
    return store


def assert_same_bits(path: Path, record_count: int) -> None:
    store = Store.open(path)
    expected = undisturbed(path.with_name("undisturbed"), store, record_count).snapshot()
    found = store.snapshot()
    statistics, whole = found.statistics("sw"), expected.statistics("sw")
    assert statistics.record_count == record_count
    for name, value in vars(whole).items():
        assert np.asarray(getattr(statistics, name)).tobytes() == np.asarray(value).tobytes(), name
    probes, all_probes = found.probes(PAIR), expected.probes(PAIR)
    assert (probes.words, probes.considered) == (all_probes.words, record_count)
    for layer in range(len(probes.layer_sizes)):
        assert probes.layer(layer).tobytes() == all_probes.layer(layer).tobytes()
    assert store.info().languages[0].missing_records == 0


@pytest.mark.parametrize("first", [1, 4])
def test_killed_at_every_step_of_a_commit(tmp_path: Path, first: int) -> None:
    """The steps are those that touch a file: open, mkdir, link, rename, remove, list."""
    result = run("events", tmp_path / "store", first, 6)
    assert result["kills"] >= 10
    assert_same_bits(tmp_path / "store", result["records"])


def test_writers_that_race_create_one_store(tmp_path: Path) -> None:
    assert run("create", tmp_path, 25)["stores"] == 25
    assert list(tmp_path.rglob(".bridgex-*")) == []


def test_killed_at_random_while_the_text_grows(tmp_path: Path) -> None:
    result = run("random", tmp_path / "store", 15, 1)
    assert result["kills"] >= 5
    assert_same_bits(tmp_path / "store", result["records"])


def test_writers_that_race_commit_every_part_once(tmp_path: Path) -> None:
    """Four writers create the store and do the same parts at once, while a reader looks."""
    result = run("race", tmp_path / "store", 4)
    assert sum(result["won"]) == 12 + 6
    assert result["views"] >= 2
    markers = list((tmp_path / "store/commits").rglob("*.json"))
    assert len(markers) == 12 + 6
    # Losers leave nothing behind.
    assert len(list((tmp_path / "store/parts").iterdir())) == len(markers)
    assert_same_bits(tmp_path / "store", result["records"])
