"""Disks that are full, read-only or somebody else's: an error with its path, and nothing lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.faults.places import open_place, read_only, small_disk, unprivileged
from tests.faults.store_work import bits, ingest, open_store, text

from bridgex.corpora import split_parts
from bridgex.errors import BridgexError, StoreError
from bridgex.schema import Pair
from bridgex.store import Store, collect_garbage, verify
from bridgex.testing import synthetic

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PAGE = 4096


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that nothing went wrong with."""
    path = tmp_path_factory.mktemp("whole") / "store"
    ingest(path, text(2))
    return path


@pytest.fixture
def place() -> Iterator[Path]:
    with open_place() as directory:
        yield directory


def refusal(path: Path, records: list[str]) -> StoreError | None:
    """Ingest; return the error if that fails."""
    try:
        ingest(path, records)
    except StoreError as error:
        return error
    return None


def check_whole(path: Path, left: set[str]) -> None:
    """Check that a store has no damage, and nothing else in it than some kinds of notes."""
    found = verify(path)
    assert found.findings == ()
    assert {note.kind for note in found.notes} <= left


@pytest.mark.parametrize("option", ["size", "nr_inodes"])
def test_a_disk_that_is_full(place: Path, whole: Path, option: str) -> None:
    """Room for one page or file more each time: the writer fails at every one of its steps."""
    refused = 0
    for room in range(2, 400, 3):
        with small_disk(place, f"{option}={room * PAGE if option == 'size' else room}"):
            error = refusal(place / "store", text(2))
            if error is None:
                break
            refused += 1
            assert "No space left on device" in error.message
            assert str(place) in error.message
            assert error.hint is not None
            if (place / "store/zarr.json").exists():
                check_whole(place / "store", {"gap"})
            subprocess.run(["mount", "-o", f"remount,{option}=0", str(place)], check=True)
            ingest(place / "store", text(2))
            assert bits(place / "store") == bits(whole)
            check_whole(place / "store", set())
    assert refused > 10


LIMITED = """
import resource, signal, sys
from pathlib import Path
from tests.faults.store_work import ingest, text
from bridgex.errors import StoreError

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    ingest(Path(sys.argv[1]), text(2))
except StoreError as error:
    sys.stdout.write(error.message)
"""


@pytest.mark.parametrize("limit", [0, 100, 1000])
def test_files_that_may_not_grow(tmp_path: Path, whole: Path, limit: int) -> None:
    """The portable way to a write that fails half-way."""
    path = tmp_path / "store"
    if limit:
        ingest(path, text(1))
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path), str(limit)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "File too large" in done.stdout
    assert str(path) in done.stdout
    if limit:
        check_whole(path, {"gap"})
    ingest(path, text(2))
    assert bits(path) == bits(whole)


def test_a_read_only_store_answers_and_refuses_to_grow(place: Path, whole: Path) -> None:
    path = place / "store"
    ingest(path, text(2))
    abandoned = path / f"parts/{'0' * 32}.{'0' * 16}"
    (abandoned / "sum").mkdir(parents=True)
    (abandoned / "sum/zarr.json").write_text("half")
    with read_only(place):
        assert bits(path) == bits(whole)
        check_whole(path, {"uncommitted"})
        error = refusal(path, text(3))
        assert error is not None
        assert "Read-only file system" in error.message
        assert str(path) in error.message
        with pytest.raises(StoreError, match=r"cannot remove .*Read-only") as removal:
            collect_garbage(Store.open(path), older_than=0)
        assert str(abandoned) in removal.value.message
        with pytest.raises(StoreError, match=r"cannot create a store at .*Read-only"):
            open_store(place / "another")
    ingest(path, text(3))
    collect_garbage(Store.open(path), older_than=0)
    check_whole(path, set())


def test_somebody_elses_store_answers_and_refuses_to_grow(place: Path, whole: Path) -> None:
    path, expected = place / "store", bits(whole)
    ingest(path, text(2))
    for directory in (place, *(one for one in place.rglob("*") if one.is_dir())):
        directory.chmod(0o555)
    try:
        with unprivileged():
            assert bits(path) == expected
            check_whole(path, set())
            error = refusal(path, text(3))
            assert error is not None
            assert "Permission denied" in error.message
            assert str(path) in error.message
            with pytest.raises(StoreError, match=r"cannot create a store at .*Permission denied"):
                open_store(place / "another")
    finally:
        for directory in (place, *(one for one in place.rglob("*") if one.is_dir())):
            directory.chmod(0o755)
    assert bits(path) == expected


FORBIDDEN = [
    "zarr.json",
    "parts/*/sum/c/0",
    "parts/*/sum",
    "commits/statistics/sw/*.json",
    "commits/statistics/sw",
]


@pytest.mark.parametrize("pattern", FORBIDDEN)
def test_what_may_not_be_read_is_named(place: Path, pattern: str) -> None:
    path = place / "store"
    ingest(path, text(2))
    (part,) = split_parts(["moja"], language="en")
    open_store(path).add_statistics(part, synthetic.statistics(part.records))
    english = Store.open(path).snapshot().markers("commits/statistics/en")[0]
    verify(path)
    forbidden = min(one for one in path.glob(pattern) if english.part not in str(one))
    mode = forbidden.stat().st_mode
    forbidden.chmod(0)
    try:
        with unprivileged():
            with pytest.raises(StoreError, match="Permission denied") as error:
                Store.open(path).snapshot().statistics("sw")
            assert str(forbidden) in error.value.message
            assert error.value.hint is not None
            assert "Permit" in error.value.hint
            findings = verify(path).findings
            assert findings
            assert all(str(forbidden) in finding.path for finding in findings)
            if pattern != "zarr.json":
                snapshot = Store.open(path).snapshot()
                assert snapshot.statistics("en").record_count == 1
                assert snapshot.probes(Pair("id", "tl")).considered == 4
    finally:
        forbidden.chmod(mode)
    assert verify(path).findings == ()


def test_nothing_is_collected_where_markers_may_not_be_read(place: Path) -> None:
    path = place / "store"
    ingest(path, text(2))
    before = sorted(path.rglob("*"))
    commits = path / "commits/statistics/sw"
    commits.chmod(0)
    try:
        with unprivileged(), pytest.raises(StoreError, match=r"cannot read .*statistics/sw"):
            collect_garbage(Store.open(path), older_than=0)
    finally:
        commits.chmod(0o755)
    assert sorted(path.rglob("*")) == before


def test_a_store_in_a_directory_that_may_not_be_entered(place: Path) -> None:
    ingest(place / "store", text(1))
    place.chmod(0)
    try:
        for use in (Store.open, verify, open_store):
            with unprivileged(), pytest.raises(BridgexError, match="Permission denied") as error:
                use(place / "store")
            assert str(place) in error.value.message
    finally:
        place.chmod(0o755)


def test_a_name_that_no_file_system_has(tmp_path: Path) -> None:
    store = open_store(tmp_path / "store")
    (part,) = split_parts(["moja"], language="x" * 300)
    with pytest.raises(StoreError, match=r"cannot write to .*xxx.*: File name too long"):
        store.add_statistics(part, synthetic.statistics(part.records))
    check_whole(tmp_path / "store", set())
