"""What is in the directories of a store: markers, attempts, what is being written, and the rest."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, get_args

from bridgex.store.layout import COMMITS, MARKER_SUFFIX, PARTS, ROOT, TEMPORARY_PREFIX, Kind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from bridgex.store.folder import Folder

_ATTEMPT = re.compile(r"[0-9a-f]{32}\.[0-9a-f]{16}")
_FILE_OF_PART = re.compile(r"(\w+/)?zarr\.json(\.\w+)*|\w+/c(/\d+)+(\.\w+)*")
"""A Zarr metadata file or chunk, or what zarr writes before it renames it to one."""


def commit_directories(folder: Folder) -> list[str]:
    """List the directories that hold markers."""
    return [
        f"{COMMITS}/{kind}/{series}"
        for kind in get_args(Kind)
        for series in folder.folders(f"{COMMITS}/{kind}")
    ]


def misplaced_directories(folder: Folder, commits: str) -> list[str]:
    """List the directories that stand where a marker belongs."""
    return [name for name in folder.folders(commits) if name.endswith(MARKER_SUFFIX)]


def marker_places(folder: Folder) -> list[str]:
    """List what is called as a marker is: files and directories, of any kind of part."""
    found: list[str] = []
    directories = [COMMITS]
    for _ in range(3):  # the kinds, the series of each, their markers
        within = [(directory, folder.folders(directory)) for directory in directories]
        found += [f"{top}/{name}" for top in directories for name in folder.names(top)]
        directories = [f"{top}/{name}" for top, names in within for name in names]
        found += directories
    return [path for path in found if path.endswith(MARKER_SUFFIX)]


def attempts(folder: Folder) -> list[str]:
    """List the directories of all attempts at parts, committed or not."""
    return [f"{PARTS}/{name}" for name in folder.folders(PARTS) if _ATTEMPT.fullmatch(name)]


def temporary_files(folder: Folder, commits: Sequence[str]) -> list[str]:
    """List the roots and markers that are being written, or were when their writer was killed.

    Looks into the store itself and some directories of markers.
    """
    return [
        _join(directory, name)
        for directory in ("", *commits)
        for name in folder.names(directory)
        if name.startswith(TEMPORARY_PREFIX)
    ]


def belongs_to_part(name: str) -> bool:
    """Say whether a file, named relative to an attempt, is one that writing a part makes."""
    return _FILE_OF_PART.fullmatch(name) is not None


def foreign(folder: Folder, commits: Sequence[str]) -> Iterator[str]:
    """Yield what is no part of a store, of its directories down to those of some markers."""
    kinds = get_args(Kind)
    yield from _others(folder, "", {ROOT}, {PARTS, COMMITS})
    yield from _others(folder, COMMITS, (), kinds)
    for kind in kinds:
        yield from _others(folder, f"{COMMITS}/{kind}", (), folder.folders(f"{COMMITS}/{kind}"))
    for directory in commits:
        markers = _markers(folder.names(directory))
        yield from _others(folder, directory, markers, misplaced_directories(folder, directory))
    committed = [directory.removeprefix(f"{PARTS}/") for directory in attempts(folder)]
    yield from _others(folder, PARTS, (), committed)


def _others(
    folder: Folder, directory: str, files: Collection[str], folders: Collection[str]
) -> Iterator[str]:
    for name in folder.names(directory):
        if name not in files and not name.startswith(TEMPORARY_PREFIX):
            yield _join(directory, name)
    known = set(folders)
    for name in folder.folders(directory):
        if name not in known:
            yield _join(directory, name)


def _markers(names: list[str]) -> set[str]:
    return {name for name in names if name.endswith(MARKER_SUFFIX)}


def _join(directory: str, name: str) -> str:
    return f"{directory}/{name}" if directory else name
