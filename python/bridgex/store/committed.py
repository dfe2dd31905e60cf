"""What is committed, kept up to date while a store is written to."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from bridgex.errors import StoreError
from bridgex.store.arrays import damaged
from bridgex.store.layout import DIGESTS_ARRAY
from bridgex.store.markers import Marker, marker_names
from bridgex.store.parts import checked_array
from bridgex.store.places import covered, effective

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from bridgex.store.candidate import Candidate
    from bridgex.store.folder import Folder
    from bridgex.store.markers import Piece


Part = TypeVar("Part")


@dataclass(frozen=True)
class Coverage:
    """How much of a text or word list a store holds.

    Attributes
    ----------
    parts, missing_parts
        Parts of the text, and those that the store does not hold in full.
    records, missing_records
        Records in all parts, and in the missing ones.
    """

    parts: int
    missing_parts: int
    records: int
    missing_records: int


class DigestReader:
    """Reads record digests of parts; keeps those of the two that were read last.

    Two are compared with each other, and a compacted part holds many of those asked for.
    """

    def __init__(self) -> None:
        self._held: dict[tuple[str, str], NDArray[np.uint64]] = {}

    def __call__(self, folder: Folder, piece: Piece) -> NDArray[np.uint64]:
        """Read the record digests of a part as it was ingested, uint64 (record,).

        Its marker is read again where the list of files was left out, as ``read_place`` does.

        Raises
        ------
        StoreError
            If they are not what was committed.
        """
        holder, member = piece.holder, piece.member
        key = (folder.display(), holder.directory)
        digests = self._held.pop(key, None)
        if digests is None:
            if not holder.files:
                holder = Marker.read(folder, holder.path)
            digests = checked_array(folder, holder, DIGESTS_ARRAY, (holder.records,))
        self._held[key] = digests
        if len(self._held) > 2:  # noqa: PLR2004  # as the class says
            del self._held[next(iter(self._held))]
        start = member.records_before - holder.records_before
        return digests[start : start + member.records]


def check_files(folder: Folder, marker: Marker, name: str = "") -> None:
    """Compare the files of a part with their checksums.

    Parameters
    ----------
    folder
        The store.
    marker
        The part.
    name
        One file or array of it; all by default.

    Raises
    ------
    StoreError
        If a file is missing or not what was committed.
    """
    for file, committed in marker.files.items():
        if name and file != name and not file.startswith(f"{name}/"):
            continue
        path = f"{marker.directory}/{file}"
        try:
            found = folder.measure(path)
        except FileNotFoundError:
            raise damaged(folder.display(path), "the file is missing") from None
        if found != committed:
            raise damaged(folder.display(path), "it is not what was committed")


def read_counting(
    folder: Folder,
    commits: str,
    names: list[str],
    list_names: Callable[[], list[str]],
    known: Mapping[str, Marker] | None = None,
    read: Callable[[Folder, str], Marker] = Marker.read,
) -> tuple[dict[str, Marker], list[Marker]]:
    """Read the markers in a directory, and say which parts count.

    If some were removed in the meantime, as superseded parts are, all are listed anew.

    Parameters
    ----------
    folder, commits
        The store, and the directory.
    names, list_names
        Names of the markers when they were listed, and what lists them anew.
    known
        Markers that were read before, by name.
    read
        Reads a marker, or as much of it as is wanted.

    Returns
    -------
    tuple[dict[str, Marker], list[Marker]]
        All of them by name, and those that count as of ``effective``.

    Raises
    ------
    StoreError
        If a marker is damaged, or parts contradict each other.
    """
    known = known or {}
    while True:
        try:
            new = [f"{commits}/{name}" for name in names if name not in known]
            found = iter(folder.each(partial(read, folder), new))
            markers = {name: known.get(name) or next(found) for name in names}
            return markers, effective(markers.values(), partial(DigestReader(), folder))
        except StoreError:
            if (again := list_names()) == names:
                raise
            names = again


def read_place(folder: Folder, path: str) -> Marker:
    """Read a marker without its list of files, which is most of it. Raises as ``Marker.read``."""
    return replace(Marker.read(folder, path), files={})


class Committed:
    """The parts that count, by series. Every marker is read once: it never changes.

    What is kept of a part takes about 1,300 bytes, whatever it holds: of a large corpus in parts of
    the default size, less than a hundredth.
    """

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._read_digests = partial(DigestReader(), folder)
        self._markers: dict[str, dict[str, Marker]] = {}
        self._series: dict[tuple[str, ...], list[Piece]] = {}

    def refresh(self, commits: str) -> None:
        """Take notice of what was committed in a directory since the last call."""
        known = self._markers.get(commits, {})
        names = marker_names(self._folder, commits)
        if names == list(known):
            return
        self._markers[commits], counting = read_counting(
            self._folder,
            commits,
            names,
            partial(marker_names, self._folder, commits),
            known,
            read_place,
        )
        series: dict[tuple[str, ...], list[Piece]] = defaultdict(list)
        for marker in counting:
            series[marker.series].extend(marker.pieces)
        self._series.update(series)

    def covers(self, candidate: Candidate) -> bool:
        """Say whether all records of a part are stored, as of the last ``refresh``.

        The very same part is noticed even when it was committed later.

        Raises
        ------
        InvalidInputError
            If a record differs from the stored one at its position.
        """
        return self._knows(candidate) or self._folder.exists(candidate.marker_path)

    def _knows(self, candidate: Candidate) -> bool:
        """Say the same of what was there at the last ``refresh``; nothing is asked of the place."""
        name = candidate.marker_path.rpartition("/")[2]
        if name in self._markers.get(candidate.commits, {}):
            return True
        pieces = self._series.get(candidate.span.series, [])
        return covered(candidate.span, pieces, self._read_digests)

    def missing(self, parts: Iterable[tuple[Part, Candidate]]) -> Iterator[Part]:
        """Yield the parts that are not stored. Raises as ``covers``."""
        return (part for part, candidate in self._refreshed(parts) if not self.covers(candidate))

    def coverage(self, parts: Iterable[tuple[Part, Candidate]]) -> Coverage:
        """Count the parts that are stored and those that are not. Raises as ``covers``."""
        parts_seen = missing_parts = records_seen = missing_records = 0
        for _, candidate in self._refreshed(parts):
            records = len(candidate.span.digests)
            parts_seen += 1
            records_seen += records
            if not self._knows(candidate):
                missing_parts += 1
                missing_records += records
        return Coverage(parts_seen, missing_parts, records_seen, missing_records)

    def _refreshed(
        self, parts: Iterable[tuple[Part, Candidate]]
    ) -> Iterator[tuple[Part, Candidate]]:
        """Yield the same, with what is committed beside each noticed once before."""
        refreshed = set()
        for part, candidate in parts:
            if candidate.commits not in refreshed:
                self.refresh(candidate.commits)
                refreshed.add(candidate.commits)
            yield part, candidate
