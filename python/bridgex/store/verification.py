"""Reading all of a store, to find what is not as it was committed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Literal

from bridgex.corpora import CHAIN_START
from bridgex.errors import StoreError
from bridgex.progress import Silent
from bridgex.store.committed import DigestReader
from bridgex.store.contents import Problem, content_problems, file_problems
from bridgex.store.inventory import (
    attempts,
    commit_directories,
    foreign,
    misplaced_directories,
    temporary_files,
)
from bridgex.store.layout import COMMITS, ROOT, compacted_id, part_id
from bridgex.store.local import open_folder
from bridgex.store.markers import Marker, marker_names
from bridgex.store.places import describe, judge
from bridgex.store.root import read_root

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from bridgex.progress import Reporter
    from bridgex.schema import Provenance
    from bridgex.store.folder import Folder

FindingKind = Literal["missing", "damaged", "contradiction", "gap", "uncommitted", "foreign"]

_DAMAGE = {"missing", "damaged", "contradiction"}

_THREADS = 4


@dataclass(frozen=True)
class Finding:
    """Something in a store that is not as it should be, or that a user may want to know.

    Attributes
    ----------
    path
        The file or directory.
    problem
        What is wrong with it.
    kind
        Damage is ``missing``, ``damaged`` or ``contradiction``. Notes are ``gap`` (records that
        no part holds: an ingestion was interrupted), ``uncommitted`` and ``foreign``.
    remedy
        What to do, as an imperative sentence.
    """

    path: str
    problem: str
    kind: FindingKind
    remedy: str


@dataclass(frozen=True)
class Verification:
    """What was read, and what was found.

    Attributes
    ----------
    path
        The store.
    parts, files, bytes
        Committed parts, and the files and bytes that their markers name.
    findings
        Damage: what queries refuse, or would read wrongly.
    notes
        What is no damage: records that are missing, and files that do not count.
    """

    path: str
    parts: int
    files: int
    bytes: int
    findings: tuple[Finding, ...]
    notes: tuple[Finding, ...]


def verify(location: str | os.PathLike[str], *, progress: Reporter | None = None) -> Verification:
    """Read all of a store: every marker, every committed file, every number.

    Parameters
    ----------
    location
        The store.
    progress
        Is told about every part.

    Returns
    -------
    Verification
        Nothing in its ``findings`` says that all is as it was committed.

    Raises
    ------
    NotFoundError
        If there is nothing at the location.
    StoreError
        If there is something else than a store, or a directory cannot be listed.

    Notes
    -----
    Every committed byte is read twice, the second time from the file system's cache if that holds
    the part. Files are read in blocks and one array at a time, so memory does not grow with the
    store but for its markers and the largest compressed array.
    """
    folder = open_folder(location)
    try:
        provenance = read_root(folder).provenance
    except StoreError as error:
        if not folder.folders(COMMITS):
            raise
        return _without_root(folder, error)
    # Listed before the markers are: an attempt that is committed in between is nothing amiss.
    listed = attempts(folder)
    directories, findings = _readable(folder)
    committed: list[Marker] = []
    total = sum(len(marker_names(folder, commits)) for commits in directories)
    with (progress or Silent()).task("verifying", total=total, unit="parts") as task:
        for commits in directories:
            markers, found = _read_markers(folder, commits, provenance)
            findings += [*found, *_place_findings(folder, commits, markers)]
            for found in _part_findings(folder, markers, provenance):
                findings += found
                task.advance(1)
            committed += markers
    uncommitted = set(listed) - {marker.directory for marker in committed}
    findings += _other_findings(folder, directories, uncommitted)
    return Verification(
        path=str(folder),
        parts=len(committed),
        files=sum(len(marker.files) for marker in committed),
        bytes=sum(marker.size for marker in committed),
        findings=tuple(finding for finding in findings if finding.kind in _DAMAGE),
        notes=tuple(finding for finding in findings if finding.kind not in _DAMAGE),
    )


def _without_root(folder: Folder, error: StoreError) -> Verification:
    remedy = f"{error.hint or 'Restore it from a copy.'} Then verify again."
    finding = Finding(folder.display(ROOT), error.message, "damaged", remedy)
    return Verification(str(folder), 0, 0, 0, (finding,), ())


def _readable(folder: Folder) -> tuple[list[str], list[Finding]]:
    """List the directories of markers; those that cannot be listed are findings."""
    readable: list[str] = []
    findings: list[Finding] = []
    for commits in commit_directories(folder):
        try:
            folder.names(commits)
        except StoreError as error:
            findings.append(_unreadable(folder, commits, error))
        else:
            readable.append(commits)
    return readable, findings


def _read_markers(
    folder: Folder, commits: str, provenance: Provenance
) -> tuple[list[Marker], list[Finding]]:
    """Read the markers in a directory; those that cannot be read are findings."""
    markers: list[Marker] = []
    findings: list[Finding] = []
    for name in marker_names(folder, commits) + misplaced_directories(folder, commits):
        path = f"{commits}/{name}"
        try:
            marker = Marker.read(folder, path)
        except StoreError as error:
            if name in folder.names(commits) + folder.folders(commits):  # else it was collected
                findings.append(_unreadable(folder, path, error))
        else:
            markers.append(marker)
            findings += _marker_findings(folder, path, marker, provenance)
    return markers, findings


def _unreadable(folder: Folder, path: str, error: StoreError) -> Finding:
    remedy = error.hint or "Restore it from a copy."
    return Finding(folder.display(path), error.message, "damaged", remedy)


def _marker_findings(
    folder: Folder, path: str, marker: Marker, provenance: Provenance
) -> Iterator[Finding]:
    """Compare what a marker says with where it is, and with its id."""
    for problem in _marker_problems(path, marker, provenance):
        remedy = f"Delete it, then ingest {describe(marker.series)} again."
        yield Finding(folder.display(path), problem, "contradiction", remedy)


def _marker_problems(path: str, marker: Marker, provenance: Provenance) -> Iterator[str]:
    if path != marker.path:
        yield f"it belongs in {marker.commits}"
    if marker.part != _expected_id(marker, provenance):
        yield "its part is of another model than the store, or of other records than it says"
    if (marker.records_before == 0) != (marker.chain_before == CHAIN_START):
        yield f"it has {marker.records_before} records before it, its chain digest says otherwise"


def _expected_id(marker: Marker, provenance: Provenance) -> str:
    chains = (marker.chain_before, marker.chain_after)
    made_of = (provenance.fingerprint, marker.kind, marker.series, chains)
    if marker.members:
        return compacted_id(*made_of, marker.encoding, marker.supersedes)
    return part_id(*made_of)


def _place_findings(folder: Folder, commits: str, markers: list[Marker]) -> Iterator[Finding]:
    """Look for parts that contradict each other, and for records that no part holds."""
    try:
        counting, contradictions = judge(markers, partial(DigestReader(), folder))
    except StoreError:  # of a file that is a finding itself
        return
    for earlier, later in contradictions:
        yield Finding(
            folder.display(later.path),
            f"it contradicts {folder.display(earlier.path)}: both hold some of the same records of "
            f"{describe(later.series)}, or they come from two versions of it",
            "contradiction",
            "Delete the marker that is not wanted, then ingest again.",
        )
    for _, series in groupby(counting, key=lambda marker: marker.series):
        yield from _gaps(folder, commits, list(series))


def _gaps(folder: Folder, commits: str, series: list[Marker]) -> Iterator[Finding]:
    end = 0
    for marker in series:
        if marker.records_before > end:
            yield Finding(
                folder.display(commits),
                f"no part holds records {end + 1} to {marker.records_before} of "
                f"{describe(marker.series)}",
                "gap",
                "Ingest it again: what is there is kept.",
            )
        end = marker.records_end


def _part_findings(
    folder: Folder, markers: list[Marker], provenance: Provenance
) -> Iterator[list[Finding]]:
    """Read the parts, several at a time, and look at the numbers in them one by one."""
    with ThreadPoolExecutor(_THREADS) as pool:
        read = pool.map(partial(_read_part, folder), markers)
        for marker, (problems, unnamed) in zip(markers, read, strict=True):
            found = problems or content_problems(folder, marker, provenance)
            if found and not folder.exists(marker.path):  # it was collected meanwhile
                found = []
            yield [
                *(_damage(folder, marker, problem) for problem in found),
                *(_foreign(folder, path) for path in unnamed),
            ]


def _read_part(folder: Folder, marker: Marker) -> tuple[list[Problem], list[str]]:
    problems = file_problems(folder, marker)
    named = {f"{marker.directory}/{name}" for name in marker.files}
    try:
        there = {entry.path for entry in folder.walk(marker.directory)}
    except StoreError as error:
        return problems or [Problem(marker.directory, error.message)], []
    return problems, sorted(there - named)


def _damage(folder: Folder, marker: Marker, problem: Problem) -> Finding:
    remedy = (
        f"Restore it from a copy; or delete the marker {folder.display(marker.path)} and ingest "
        f"{describe(marker.series)} again: only what is missing is computed."
    )
    kind: FindingKind = "missing" if problem.missing else "damaged"
    return Finding(folder.display(problem.path), problem.what, kind, remedy)


def _foreign(folder: Folder, path: str) -> Finding:
    return Finding(
        folder.display(path), "it is no part of the store", "foreign", "Keep it elsewhere."
    )


def _other_findings(folder: Folder, directories: list[str], uncommitted: set[str]) -> list[Finding]:
    """Note what is in the store's directories and does not count."""
    findings = [_foreign(folder, path) for path in foreign(folder, directories)]
    return findings + [
        Finding(
            folder.display(path),
            "it is being written, or its writer was killed",
            "uncommitted",
            "Remove what is older than a day: bridgex store gc.",
        )
        for path in sorted(uncommitted) + temporary_files(folder, directories)
    ]
