"""What a collection removes from a store, what it leaves, and why."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bridgex.corpora import split_parts, split_words
from bridgex.errors import InvalidInputError, StoreError
from bridgex.schema import Pair, WordPair
from bridgex.store import Store, collect_garbage, compact, verify
from bridgex.store.garbage import DAY
from bridgex.testing import synthetic

if TYPE_CHECKING:
    from bridgex.store import Collection

PAIR = Pair("id", "tl")
TEXT = [f"rekodi ya {number}" for number in range(7)]
ATTEMPT = "0123456789abcdef"


def ingest(store: Store, text: list[str]) -> None:
    for part in store.missing_parts(split_parts(text, language="sw", part_bytes=25)):
        store.add_statistics(part, synthetic.statistics(part.records))
    words = split_words((WordPair(record, ("x",)) for record in text), pair=PAIR, block=3)
    for block in store.missing_probes(words, "off"):
        store.add_probes(block, synthetic.probes(block, "off"), "off")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store.create(tmp_path / "store", synthetic.provenance(), part_bytes=25, probe_block=3)
    ingest(store, TEXT)
    return store


def answers(store: Store) -> list[bytes]:
    snapshot = store.snapshot()
    statistics, probes = snapshot.statistics("sw"), snapshot.probes(PAIR)
    layers = [probes.layer(layer).tobytes() for layer in range(len(probes.layer_sizes))]
    return [statistics.sum.tobytes(), statistics.positive_count.tobytes(), *layers]


def place(store: Store) -> Path:
    return Path(store.path)


def parts(store: Store) -> list[Path]:
    return sorted((place(store) / "parts").iterdir())


def abandon(store: Store) -> Path:
    """Leave an attempt as a killed writer does; return its directory."""
    whole = parts(store)[0]
    directory = whole.with_name(f"{whole.name.partition('.')[0]}.{ATTEMPT}")
    shutil.copytree(whole, directory)
    shutil.rmtree(directory / "record_digests")
    return directory


def grow_old(path: Path, seconds: float) -> None:
    written = time.time() - seconds
    for one in [path, *path.rglob("*")]:
        os.utime(one, (written, written))


def kinds(found: Collection) -> tuple[list[str], list[str], list[str]]:
    return (
        [one.kind for one in found.removed],
        [one.kind for one in found.younger],
        [one.kind for one in found.needed],
    )


def test_a_store_without_garbage_stays_as_it_is(store: Store) -> None:
    before = sorted(place(store).rglob("*"))
    assert kinds(collect_garbage(store, older_than=0)) == ([], [], [])
    assert sorted(place(store).rglob("*")) == before


def test_an_attempt_that_was_given_up_is_removed_when_it_is_old(store: Store) -> None:
    directory, before = abandon(store), answers(store)
    assert kinds(collect_garbage(store)) == ([], ["uncommitted"], [])
    grow_old(directory, DAY + 60)
    (directory / "zarr.json").write_text("still being written")
    assert kinds(collect_garbage(store)) == ([], ["uncommitted"], [])
    grow_old(directory, DAY + 60)
    size = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
    (removed,) = collect_garbage(store).removed
    assert (removed.path, removed.bytes) == (str(directory), size)
    assert DAY < removed.age < DAY + 600
    assert not directory.exists()
    assert answers(store) == before
    assert (verify(store.path).findings, verify(store.path).notes) == ((), ())


def test_an_empty_attempt_is_removed_when_it_is_old(store: Store) -> None:
    directory = place(store) / f"parts/{'0' * 32}.{ATTEMPT}"
    directory.mkdir()
    assert kinds(collect_garbage(store)) == ([], ["uncommitted"], [])
    grow_old(directory, DAY + 60)
    assert kinds(collect_garbage(store)) == (["uncommitted"], [], [])
    assert not directory.exists()


@pytest.mark.parametrize("directory", ["", "commits/statistics/sw", "commits/probes/id-tl"])
def test_temporary_files_are_removed_when_they_are_old(store: Store, directory: str) -> None:
    path = place(store) / directory / ".bridgex-0123.tmp"
    path.write_text("half")
    assert kinds(collect_garbage(store)) == ([], ["temporary"], [])
    grow_old(path, DAY + 60)
    assert kinds(collect_garbage(store)) == (["temporary"], [], [])
    assert not path.exists()


def test_a_dry_run_removes_nothing(store: Store) -> None:
    abandon(store)
    before = sorted(place(store).rglob("*"))
    assert kinds(collect_garbage(store, older_than=0, dry_run=True)) == (["uncommitted"], [], [])
    assert sorted(place(store).rglob("*")) == before


def test_a_short_part_that_a_longer_one_replaced_is_removed(store: Store) -> None:
    before = len(parts(store))
    ingest(store, [*TEXT, "rekodi ya 7"])
    assert len(parts(store)) == before + 2
    whole = answers(store)
    assert kinds(collect_garbage(store)) == ([], ["superseded"] * 2, [])
    grow_old(place(store) / "commits", DAY + 60)
    assert kinds(collect_garbage(store)) == (["superseded"] * 2, [], [])
    assert len(parts(store)) == before
    assert answers(store) == whole
    assert verify(store.path).findings == ()
    ingest(store, TEXT)
    assert len(parts(store)) == before


def test_what_was_compacted_is_removed(store: Store) -> None:
    before = answers(store)
    compact(store)
    compact(store, codec="zstd")
    many = len(parts(store))
    removed = collect_garbage(store, older_than=0).removed
    assert {one.kind for one in removed} == {"superseded"}
    assert len(parts(store)) == many - len(removed) == 5
    assert answers(store) == before
    assert (verify(store.path).findings, verify(store.path).notes) == ((), ())
    ingest(store, TEXT)
    assert len(parts(store)) == 5


def test_a_view_taken_before_a_collection_answers_after_it(store: Store) -> None:
    ingest(store, [*TEXT, "rekodi ya 7"])
    compact(store)
    view, before = store.snapshot(), answers(store)
    assert collect_garbage(store, older_than=0).removed
    assert view.statistics("sw").sum.tobytes() == before[0]
    assert view.probes(PAIR).layer(0).tobytes() == before[2]


def test_a_marker_that_is_a_link_to_nowhere_is_named(store: Store) -> None:
    path = place(store) / f"commits/statistics/sw/{'0' * 32}.json"
    path.symlink_to("nowhere")
    with pytest.raises(StoreError, match=r"marker .*0000\.json has gone"):
        store.snapshot().statistics("sw")
    assert [finding.path for finding in verify(store.path).findings] == [str(path)]
    assert kinds(collect_garbage(store, older_than=0)) == ([], [], [])


def test_nothing_is_removed_whose_successor_is_damaged(store: Store) -> None:
    compact(store, codec="zstd", languages=["sw"], pairs=[])
    counting = store.snapshot().markers("commits/statistics/sw")
    compacted = next(marker for marker in counting if len(marker.members) > 1)
    path = place(store) / compacted.directory / "sum/c/0"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    removed, _, needed = kinds(collect_garbage(store, older_than=0))
    assert (len(removed), len(needed)) == (1, 3)  # the last part has a successor of its own
    (place(store) / compacted.path).unlink()
    ingest(store, TEXT)
    assert verify(store.path).findings == ()


def test_what_an_unreadable_marker_may_name_is_left(store: Store) -> None:
    marker = min(place(store).glob("commits/statistics/sw/*.json"))
    marker.write_text("")
    before = parts(store)
    assert kinds(collect_garbage(store, older_than=0)) == ([], [], [])
    assert parts(store) == before


def test_foreign_files_are_left(store: Store) -> None:
    directory = abandon(store)
    mine = [
        place(store) / "notes.txt",
        place(store) / "parts/notes.txt",
        place(store) / "parts/mine/zarr.json",
        place(store) / "commits/statistics/sw/notes.txt",
        directory / "notes.txt",
        directory / "sum/notes.txt",
    ]
    for path in mine:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    assert kinds(collect_garbage(store, older_than=0)) == (["uncommitted"], [], [])
    assert all(path.read_text() == "mine" for path in mine)
    assert not (directory / "zarr.json").exists()
    assert kinds(collect_garbage(store, older_than=0)) == ([], [], [])


def test_foreign_things_everywhere_change_nothing(store: Store) -> None:
    before = answers(store)
    for directory in [place(store), *(one for one in place(store).rglob("*") if one.is_dir())]:
        (directory / "mine").mkdir()
        (directory / "mine/notes.txt").write_text("mine")
        (directory / "notes.txt").write_text("mine")
        (directory / "loop").symlink_to("loop")
        (directory / "dangling").symlink_to("nowhere")
        (directory / "linked").symlink_to(directory)
    there = sorted(place(store).rglob("*"))
    assert answers(store) == before
    found = verify(store.path)
    assert found.findings == ()
    assert {note.kind for note in found.notes} == {"foreign"}
    ingest(Store.open(store.path), TEXT)
    assert kinds(collect_garbage(store, older_than=0)) == ([], [], [])
    assert sorted(place(store).rglob("*")) == there
    compact(store)
    collect_garbage(store, older_than=0)
    assert answers(store) == before


def test_a_link_is_never_followed(store: Store, tmp_path: Path) -> None:
    elsewhere = shutil.move(abandon(store), tmp_path / "elsewhere")
    link = place(store) / f"parts/{'0' * 32}.{ATTEMPT}"
    link.symlink_to(elsewhere)
    before = sorted(Path(elsewhere).rglob("*"))
    assert kinds(collect_garbage(store, older_than=0)) == ([], [], [])
    assert link.is_symlink()
    assert sorted(Path(elsewhere).rglob("*")) == before


@pytest.mark.parametrize("age", [-1, float("nan"), float("inf")])
def test_an_age_that_is_none(store: Store, age: float) -> None:
    with pytest.raises(InvalidInputError, match="expected an age in seconds"):
        collect_garbage(store, older_than=age)


def test_what_an_unknown_kind_of_marker_names_is_kept(store: Store) -> None:
    before = parts(store)
    marker = store.snapshot().markers("commits/statistics/sw")[0]
    newer = place(store) / "commits/spectra/sw"
    newer.mkdir(parents=True)
    (place(store) / marker.path).rename(newer / f"{marker.part}.json")
    assert collect_garbage(store, older_than=0).removed == ()
    assert parts(store) == before


def test_what_a_directory_in_place_of_a_marker_names_is_kept(store: Store) -> None:
    before = parts(store)
    marker = store.snapshot().markers("commits/statistics/sw")[0]
    (place(store) / marker.path).unlink()
    (place(store) / marker.path).mkdir()
    assert collect_garbage(store, older_than=0).removed == ()
    assert parts(store) == before
