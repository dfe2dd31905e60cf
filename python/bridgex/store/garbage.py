"""Removing what does not count: superseded parts, and what killed writers left behind.

A marker is removed, and that is flushed to the disk, before any file that it names. So at every
instant a part is whole or does not exist, and what a killed collection left is an attempt without
a marker, for the next one.
"""

from __future__ import annotations

import math
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Literal, NamedTuple

from bridgex.errors import InvalidInputError, StoreError
from bridgex.progress import Silent
from bridgex.store.committed import DigestReader, check_files
from bridgex.store.inventory import (
    attempts,
    belongs_to_part,
    commit_directories,
    marker_places,
    temporary_files,
)
from bridgex.store.markers import Marker, marker_names
from bridgex.store.places import judge

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bridgex.progress import Reporter
    from bridgex.store.folder import Entry, Folder
    from bridgex.store.store import Store

GarbageKind = Literal["superseded", "uncommitted", "temporary"]

DAY = 86_400.0
"""Seconds for which things are left alone, unless told otherwise: writers and readers may use
them."""


@dataclass(frozen=True)
class Garbage:
    """Something in a store that does not count.

    Attributes
    ----------
    path
        Directory of a part, or a file.
    kind
        ``superseded``: a part whose records another part holds; ``uncommitted``: a part without a
        marker; ``temporary``: a file that would have become a root or a marker.
    bytes
        Size of its files.
    age
        Seconds since it was written last, or since it was superseded.
    """

    path: str
    kind: GarbageKind
    bytes: int
    age: float


@dataclass(frozen=True)
class Collection:
    """What became of the garbage of a store.

    Attributes
    ----------
    path
        The store.
    dry_run
        Whether nothing was removed.
    removed
        What was removed, or would be.
    younger
        What is not old enough.
    needed
        Superseded parts whose successor is damaged.
    """

    path: str
    dry_run: bool
    removed: tuple[Garbage, ...]
    younger: tuple[Garbage, ...]
    needed: tuple[Garbage, ...]


class Superseded(NamedTuple):
    """A committed part that does not count, and the one that holds its records."""

    marker: Marker
    successor: Marker


class Item(NamedTuple):
    """Something that does not count, and which committed part it is, if it is one."""

    path: str
    garbage: Garbage
    superseded: Superseded | None = None


def collect_garbage(
    store: Store,
    *,
    older_than: float = DAY,
    dry_run: bool = False,
    reporter: Reporter | None = None,
) -> Collection:
    """Remove what does not count and is old enough that nobody uses it.

    Writers, readers, compactions and other collections may go on meanwhile, as long as none of
    them holds still for longer than ``older_than``. A superseded part is removed only if every
    file of its successor is as it was committed. Files that are none of the store's are left.

    Parameters
    ----------
    store
        The store.
    older_than
        Seconds since something was written last, or since a part was superseded.
    dry_run
        Whether to say only what would be removed.
    reporter
        Who listens to progress.

    Raises
    ------
    InvalidInputError
        If ``older_than`` is no length of time.
    StoreError
        If something cannot be listed or removed. Give the same command again to go on.
    """
    if not 0 <= older_than < math.inf:
        raise InvalidInputError(f"expected an age in seconds, at least 0, got {older_than}")
    found = find_garbage(store.folder)
    old = [item for item in found if item.garbage.age >= older_than]
    removable, needed = _sorted_out(store.folder, old)
    if not dry_run:
        with (reporter or Silent()).task("removing", total=len(removable), unit="items") as task:
            for _ in _remove(store.folder, removable):
                task.advance(1)
    return Collection(
        path=str(store.folder),
        dry_run=dry_run,
        removed=tuple(item.garbage for item in removable),
        younger=tuple(item.garbage for item in found if item.garbage.age < older_than),
        needed=tuple(item.garbage for item in needed),
    )


def find_garbage(folder: Folder) -> list[Item]:
    """List everything in a store that does not count, whatever its age."""
    now = time.time()
    # Attempts are listed before the markers: one that is committed in between has a marker then.
    listed = attempts(folder)
    superseded: list[Item] = []
    committed: set[str] = set()
    read: set[str] = set()
    directories = commit_directories(folder)
    for commits in directories:
        markers = _read_markers(folder, commits)
        read |= markers.keys()
        committed |= {marker.directory for marker in markers.values()}
        superseded += _superseded(folder, commits, list(markers.values()), now)
    # What a marker names that cannot be read, or is of a kind that a newer bridgex knows.
    unknown = {_part(path) for path in marker_places(folder) if path not in read}
    uncommitted = (
        directory
        for directory in listed
        if directory not in committed and _part(directory) not in unknown
    )
    return [
        *(item for item in superseded if _part(item.path) not in unknown),
        *_with_age(folder, uncommitted, "uncommitted", now),
        *_with_age(folder, temporary_files(folder, directories), "temporary", now),
    ]


def _part(path: str) -> str:
    """Return the part that an attempt or a marker is of."""
    return path.rpartition("/")[2].partition(".")[0]


def _read_markers(folder: Folder, commits: str) -> dict[str, Marker]:
    """Read the markers in a directory that can be read, by their paths."""
    markers = {}
    for name in marker_names(folder, commits):
        path = f"{commits}/{name}"
        with suppress(StoreError):
            markers[path] = Marker.read(folder, path)
    return markers


def _superseded(folder: Folder, commits: str, markers: list[Marker], now: float) -> Iterator[Item]:
    try:
        counting, contradictions = judge(markers, partial(DigestReader(), folder))
    except StoreError:  # what is damaged is for verify to name
        return
    if contradictions:  # a user has to say which of them is right
        return
    written = {entry.path: entry.modified for entry in folder.walk(commits)}
    parts = {marker.part for marker in counting}
    for marker in markers:
        if marker.part in parts:
            continue
        successor = next((one for one in counting if _holds(one, marker)), None)
        if successor and successor.path in written:
            path, age = folder.display(marker.directory), now - written[successor.path]
            garbage = Garbage(path, "superseded", marker.size, age)
            yield Item(marker.directory, garbage, Superseded(marker, successor))


def _holds(successor: Marker, marker: Marker) -> bool:
    return (
        successor.series == marker.series
        and successor.records_before <= marker.records_before
        and marker.records_end <= successor.records_end
    )


def _with_age(
    folder: Folder, paths: Iterable[str], kind: GarbageKind, now: float
) -> Iterator[Item]:
    for path in paths:
        newest = folder.newest(path)
        if newest is None:  # it is a link, or has gone since it was listed
            continue
        files = _files_of(folder, path)
        if files or not any(folder.walk(path)):  # else only files of somebody else are left
            size = sum(entry.size for entry in files)
            yield Item(path, Garbage(folder.display(path), kind, size, now - newest))


def _files_of(folder: Folder, directory: str) -> list[Entry]:
    """List the files that writing a part made, and none that somebody else put there."""
    return [
        entry
        for entry in folder.walk(directory)
        if entry.path == directory or belongs_to_part(entry.path.removeprefix(f"{directory}/"))
    ]


def _sorted_out(folder: Folder, items: list[Item]) -> tuple[list[Item], list[Item]]:
    """Part superseded parts whose successor is damaged from everything else."""
    intact: dict[str, bool] = {}
    removable: list[Item] = []
    needed: list[Item] = []
    for item in items:
        if item.superseded is None:
            removable.append(item)
            continue
        successor = item.superseded.successor
        if successor.part not in intact:
            intact[successor.part] = _is_intact(folder, successor)
        (removable if intact[successor.part] else needed).append(item)
    return removable, needed


def _is_intact(folder: Folder, marker: Marker) -> bool:
    try:
        check_files(folder, marker)
    except StoreError:
        return False
    return True


def _remove(folder: Folder, items: list[Item]) -> Iterator[Item]:
    """Remove things, markers first; yield what was removed."""
    markers = sorted(item.superseded.marker.path for item in items if item.superseded)
    for commits, paths in groupby(markers, key=lambda path: path.rpartition("/")[0]):
        folder.remove(list(paths))
        folder.flush(commits)
    for item in items:
        if item.garbage.kind == "temporary":
            folder.remove([item.path])
        else:
            folder.remove([entry.path for entry in _files_of(folder, item.path)])
            folder.remove_empty(item.path)
        yield item
