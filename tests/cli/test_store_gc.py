"""``bridgex store gc``: what it prints, and what it leaves."""

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
def littered(store: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A copy of the store with an attempt that has no marker, and its directory."""
    copy = tmp_path / "copy"
    shutil.copytree(store, copy)
    whole = min((copy / "parts").iterdir())
    attempt = whole.with_suffix(f".{'0' * 16}")
    shutil.copytree(whole, attempt)
    return copy, attempt


def test_what_is_young_is_left(
    bridgex: Callable[..., Outcome], littered: tuple[Path, Path]
) -> None:
    store, attempt = littered
    found = bridgex("store", "gc", store)
    assert found.code == 0
    assert "left: not old enough" in found.out
    assert attempt.exists()


@pytest.mark.parametrize("age", ["0s", "0.0001m"])
def test_what_is_old_is_removed(
    bridgex: Callable[..., Outcome], littered: tuple[Path, Path], age: str
) -> None:
    store, attempt = littered
    arguments = ("store", "gc", store, "--older-than", age, "--format", "json")
    (row,) = json.loads(bridgex(*arguments, "--dry-run").out)["rows"]
    assert (row["path"], row["kind"]) == (str(attempt), "uncommitted")
    assert row["fate"] == "would be removed"
    assert attempt.exists()
    (row,) = json.loads(bridgex(*arguments).out)["rows"]
    assert row["fate"] == "removed"
    assert not attempt.exists()
    assert "all is as it was committed" in bridgex("store", "verify", store).out


def test_nothing_to_do(bridgex: Callable[..., Outcome], store: Path) -> None:
    assert "There is nothing that does not count." in bridgex("store", "gc", store).out


@pytest.mark.parametrize("age", ["1", "-1d", "tomorrow", "1y"])
def test_an_age_that_is_none(bridgex: Callable[..., Outcome], store: Path, age: str) -> None:
    found = bridgex("store", "gc", store, "--older-than", age)
    assert found.code == 2
    assert "for example 90m, 12h or 7d" in found.err
