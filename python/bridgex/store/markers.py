"""Markers: the small files that make a part exist."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from bridgex.errors import StoreError
from bridgex.store.checked import with_checksum, without_checksum
from bridgex.store.encoding import PLAIN, Encoding
from bridgex.store.files import StoredFile
from bridgex.store.layout import (
    CODE,
    COMMITS,
    FORMAT_VERSION,
    MARKER_SUFFIX,
    TEMPORARY_PREFIX,
    part_directory,
)

if TYPE_CHECKING:
    from bridgex.store.folder import Folder
    from bridgex.store.layout import Kind

_SERIES = {
    "statistics": ("language", "corpus"),
    "neurons": ("source", "target", "gold"),
    "probes": ("source", "target", "gold"),
}
_PART = re.compile(r"[0-9a-f]{32}")
_ATTEMPT = re.compile(r"[0-9a-f]{16}")
_FILE = re.compile(r"[^/\\\0]+(/[^/\\\0]+)*")
_COUNTED = {"statistics": "tokens", "neurons": "neurons", "probes": "samples"}


class Member(NamedTuple):
    """A part as it was ingested, and its place.

    Attributes
    ----------
    part
        Its id.
    records_before, records, chain_before, chain_after, counted
        As those of a marker.
    """

    part: str
    records_before: int
    records: int
    chain_before: str
    chain_after: str
    counted: int

    @property
    def records_end(self) -> int:
        """Number of records of the series up to the end of the part."""
        return self.records_before + self.records


class Piece(NamedTuple):
    """A part as it was ingested, and the committed part that holds it now."""

    member: Member
    holder: Marker


@dataclass(frozen=True)
class Marker:
    """What a committed part holds, and where.

    Attributes
    ----------
    kind
        ``statistics``, ``probes``, or ``neurons``: what probes keep.
    series
        The growing list that the part is a piece of: (language, corpus), or (source, target,
        gold policy).
    records_before, records
        Number of records (or word pairs) of the series before the part, and in it.
    chain_before, chain_after
        Chain digests at both ends.
    counted
        Tokens of a statistics part, samples of a probes part; the neurons that probes keep.
    part, attempt, writer
        The part's id, the attempt that won, and who wrote it.
    files
        Every file of the attempt, by its path relative to the attempt's directory.
    members
        Of a compacted part: the parts that became one, in the order of their places.
    supersedes
        Of a compacted part: ids of all parts that do not count beside it, sorted.
    encoding
        How its arrays are stored.
    """

    kind: Kind
    series: tuple[str, ...]
    records_before: int
    records: int
    chain_before: str
    chain_after: str
    counted: int
    part: str
    attempt: str
    writer: str
    files: dict[str, StoredFile]
    members: tuple[Member, ...] = ()
    supersedes: tuple[str, ...] = ()
    encoding: Encoding = PLAIN

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """The parts as they were ingested that this one holds, in the order of their places."""
        return tuple(Piece(member, self) for member in self.members or (self._alone,))

    @property
    def _alone(self) -> Member:
        return Member(
            self.part,
            self.records_before,
            self.records,
            self.chain_before,
            self.chain_after,
            self.counted,
        )

    @property
    def records_end(self) -> int:
        """Number of records of the series up to the end of the part."""
        return self.records_before + self.records

    @property
    def commits(self) -> str:
        """Path of the directory of the marker, relative to the store."""
        return f"{COMMITS}/{self.kind}/{'-'.join(self.series[:-1])}"

    @property
    def path(self) -> str:
        """Path of the marker, relative to the store."""
        return f"{self.commits}/{self.part}{MARKER_SUFFIX}"

    @property
    def directory(self) -> str:
        """Path of the attempt's directory, relative to the store."""
        return part_directory(self.part, self.attempt)

    @cached_property
    def arrays(self) -> dict[str, dict[str, StoredFile]]:
        """The files of every array, by its name and by their paths relative to it."""
        found: dict[str, dict[str, StoredFile]] = {}
        for path, file in self.files.items():
            name, _, rest = path.partition("/")
            if rest:
                found.setdefault(name, {})[rest] = file
        return found

    @property
    def size(self) -> int:
        """Bytes in the files of the part."""
        return sum(file.size for file in self.files.values())

    def to_bytes(self) -> bytes:
        """Return the marker as it is stored: JSON with its own checksum."""
        value: dict[str, Any] = {
            "format": FORMAT_VERSION,
            "kind": self.kind,
            "place": {
                **dict(zip(_SERIES[self.kind], self.series, strict=True)),
                "records_before": self.records_before,
                "chain_before": self.chain_before,
            },
            "records": self.records,
            "chain_after": self.chain_after,
            _COUNTED[self.kind]: self.counted,
            "part": self.part,
            "attempt": self.attempt,
            "writer": self.writer,
            "files": {
                name: {"size": file.size, "crc32c": f"{file.crc32c:08x}"}
                for name, file in self.files.items()
            },
        }
        if self.members:
            value |= {
                "supersedes": list(self.supersedes),
                "members": [member._asdict() for member in self.members],
                "encoding": self.encoding.to_json(),
            }
        return (json.dumps(with_checksum(value), ensure_ascii=False, indent=1) + "\n").encode()

    @classmethod
    def read(cls, folder: Folder, path: str) -> Marker:
        """Read a marker.

        Raises
        ------
        StoreError
            If it is not what ``to_bytes`` wrote, or of a newer format.
        """
        try:
            return cls._from_json(json.loads(folder.read(path)), folder.display(path))
        except FileNotFoundError:
            raise StoreError(
                f"the marker {folder.display(path)} has gone since it was listed",
                hint="Give the same command again: somebody cleaned up in the meantime.",
            ) from None
        except json.JSONDecodeError as error:
            raise StoreError(
                f"the marker {folder.display(path)} is damaged: it is cut off, or not JSON",
                hint="Delete it when nothing writes to the store, and ingest the same text again: "
                "where there are no hard links, a writer that was killed leaves a marker like it.",
            ) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StoreError(
                f"the marker {folder.display(path)} is damaged: {error!r}",
                hint="Delete it and ingest the same text again: the part is then made anew.",
            ) from error

    @classmethod
    def _from_json(cls, value: dict[str, Any], shown: str) -> Marker:
        if value["format"] > FORMAT_VERSION:
            raise StoreError(
                f"{shown} has format version {value['format']}; this bridgex reads versions up to "
                f"{FORMAT_VERSION}",
                hint="Install a newer bridgex.",
            )
        value = without_checksum(value)
        if value["part"] != PurePosixPath(shown).stem:
            raise ValueError(f"it is the marker of part {value['part']}")
        kind, place = value["kind"], value["place"]
        marker = cls(
            kind=kind,
            series=tuple(place[name] for name in _SERIES[kind]),
            records_before=place["records_before"],
            records=value["records"],
            chain_before=place["chain_before"],
            chain_after=value["chain_after"],
            counted=value[_COUNTED[kind]],
            part=value["part"],
            attempt=value["attempt"],
            writer=value["writer"],
            files={
                name: StoredFile(file["size"], int(file["crc32c"], 16))
                for name, file in value["files"].items()
            },
            members=tuple(Member(**member) for member in value.get("members", [])),
            supersedes=tuple(value.get("supersedes", [])),
            encoding=Encoding(**value.get("encoding", {})),
        )
        marker._check_names()
        marker._check_members()
        return marker

    def _check_names(self) -> None:
        """Refuse names that could lead out of the part, or out of the store."""
        held = [member.part for member in self.members]
        for part in (self.part, *held, *self.supersedes):
            if not _PART.fullmatch(part):
                raise ValueError(f"{part!r} is no id of a part")
        if not _ATTEMPT.fullmatch(self.attempt):
            raise ValueError(f"{self.attempt!r} is no attempt")
        for code in self.series[:-1]:
            if not CODE.fullmatch(code):
                raise ValueError(f"{code!r} is no language code")
        for name in self.files:
            if not _FILE.fullmatch(name) or {".", ".."} & set(name.split("/")):
                raise ValueError(f"{name!r} is no file of a part")

    def _check_members(self) -> None:
        """Refuse members that are not the whole part, one after the other."""
        if not self.members:
            return
        ends = [(self.records_before, self.chain_before)]
        ends += [(member.records_end, member.chain_after) for member in self.members]
        starts = [(member.records_before, member.chain_before) for member in self.members]
        starts += [(self.records_end, self.chain_after)]
        if starts != ends or sum(member.counted for member in self.members) != self.counted:
            raise ValueError("its members are not the part")


def marker_names(folder: Folder, commits: str) -> list[str]:
    """List the markers in a directory, sorted; none if there is no such directory."""
    return [
        name
        for name in folder.names(commits)
        if name.endswith(MARKER_SUFFIX) and not name.startswith(TEMPORARY_PREFIX)
    ]
