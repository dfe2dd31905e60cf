"""Killed writers, many writers, and readers meanwhile: nothing is lost, nothing counts twice.

After every kill the store is read and has to add up; then the work is done again, and every bit
has to be as if nobody had ever been killed. The long versions print what they did.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.faults.store_work import WORKS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Run = Callable[..., dict[str, Any]]

ROOT = Path(__file__).parents[2]
EACH = pytest.mark.parametrize("work", WORKS)


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory in memory where there is one: SIGKILL leaves what was not flushed as well."""
    memory = Path("/dev/shm")  # noqa: S108  # the name of a file system, not of a file
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        yield Path(name)


@pytest.fixture
def run(place: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(action: str, *arguments: object, path: Path = place) -> dict[str, Any]:
        command = [sys.executable, "-W", "error", "-m", "tests.faults.killing", action, str(path)]
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
        finished = subprocess.run(
            [*command, *map(str, arguments)],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert finished.returncode == 0, finished.stderr
        found: dict[str, Any] = json.loads(finished.stdout)
        if request.node.get_closest_marker("long"):
            with capsys.disabled():
                sys.stdout.write(f"\n{request.node.name}: {found}\n")
        return found

    return call


@EACH
def test_killed_before_steps(run: Run, work: str) -> None:
    """A step is what touches a file: open, mkdir, link, rename, remove, rmdir, list."""
    found = run("steps", work, 3, 97)
    assert found["kills"] >= 2


@pytest.mark.long
@EACH
def test_killed_before_every_step(run: Run, work: str) -> None:
    found = run("steps", work, 1, 1)
    assert found["kills"] == found["steps"] - 1 >= 100


def test_killed_at_random(run: Run) -> None:
    assert run("random", "grow", 3, 1)["kills"] >= 3


@pytest.mark.long
@EACH
def test_killed_at_random_many_times(run: Run, work: str) -> None:
    assert run("random", work, 40, 2)["kills"] >= 40


def test_killed_while_a_text_grows(run: Run, place: Path) -> None:
    assert run("storm", 5, 2, 1, path=place / "store")["kills"] == 5


@pytest.mark.long
def test_killed_many_times_while_a_text_grows(run: Run, place: Path) -> None:
    assert run("storm", 200, 4, 2, path=place / "store")["kills"] == 200


def test_writers_that_race_create_one_store(run: Run, place: Path) -> None:
    assert run("create", 10)["stores"] == 10
    assert list(place.rglob(".bridgex-*")) == []


@pytest.mark.parametrize("parts", [12, pytest.param(100, marks=pytest.mark.long)])
def test_writers_that_race_commit_every_part_once(run: Run, place: Path, parts: int) -> None:
    """Four writers create the store and do the same parts at once, while a reader looks."""
    found = run("race", 4, parts, path=place / "store")
    assert sum(found["won"]) == parts + parts // 2
    assert found["views"] >= 2
    markers = list((place / "store/commits").rglob("*.json"))
    # One more says what the probes keep.
    assert len(markers) == parts + parts // 2 + 1
    # Losers leave nothing behind.
    assert len(list((place / "store/parts").iterdir())) == len(markers)


@pytest.mark.parametrize("rounds", [4, pytest.param(100, marks=pytest.mark.long)])
def test_writers_that_race_keep_the_neurons_of_one(run: Run, rounds: int) -> None:
    """Two would keep some neurons, and two others; whoever decides, all keep the same."""
    found = run("choices", 4, rounds)
    assert found["rounds"] == rounds
    assert found["won"]


def test_killed_between_the_choice_of_neurons_and_the_first_probes(run: Run, place: Path) -> None:
    """Another writer, which would have chosen others, completes what the first one chose."""
    found = run("chosen", path=place / "store")
    assert found == {"committed": ["neurons"], "kept": True}


@pytest.mark.parametrize("rounds", [1, pytest.param(20, marks=pytest.mark.long)])
def test_compactions_that_race_and_a_reader_meanwhile(run: Run, rounds: int) -> None:
    assert run("compactions", 4, rounds)["views"] >= rounds


@pytest.mark.parametrize("rounds", [1, pytest.param(20, marks=pytest.mark.long)])
def test_collections_that_race_while_others_write(run: Run, rounds: int) -> None:
    """Three of them, a writer and a compaction at once, with a reader."""
    assert run("collections", 3, rounds)["views"] >= rounds
