"""``bridgex store verify``: what it prints, and its exit code."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Outcome


@pytest.fixture
def damaged(store: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A copy of the store with a flipped bit, and the file that has it."""
    copy = tmp_path / "copy"
    shutil.copytree(store, copy)
    path = min(copy.glob("parts/*/layer_1/c/0/0"))
    content = bytearray(path.read_bytes())
    content[1000] ^= 16
    path.write_bytes(content)
    return copy, path


def test_a_store_without_damage(bridgex: Callable[..., Outcome], store: Path) -> None:
    found = bridgex("store", "verify", store)
    assert found.code == 0
    assert "all is as it was committed" in found.out
    assert "verifying: done" in found.err


def test_a_flipped_bit(bridgex: Callable[..., Outcome], damaged: tuple[Path, Path]) -> None:
    store, path = damaged
    found = bridgex("store", "verify", store)
    assert found.code == 3
    assert "1 finding" in found.out
    assert str(path) in found.out
    assert "ingest the word list of id-tl (gold filter off) again" in found.out


def test_findings_for_programs(bridgex: Callable[..., Outcome], damaged: tuple[Path, Path]) -> None:
    store, path = damaged
    (store / "notes.txt").write_text("mine")
    found = bridgex("store", "verify", store, "--format", "json")
    assert found.code == 3
    answer = json.loads(found.out)
    (row,) = answer["rows"]
    assert row.keys() == {"path", "problem", "kind", "remedy"}
    assert (row["path"], row["kind"]) == (str(path), "damaged")
    assert [note["path"] for note in answer["notes"]] == [str(store / "notes.txt")]


def test_no_findings_for_programs(bridgex: Callable[..., Outcome], store: Path) -> None:
    found = bridgex("store", "verify", store, "--format", "csv")
    assert (found.code, found.out) == (0, "path,problem,kind,remedy\n")


def test_no_store(bridgex: Callable[..., Outcome], tmp_path: Path) -> None:
    found = bridgex("store", "verify", tmp_path / "absent")
    assert (found.code, found.out) == (1, "")
    assert "no store at" in found.err
