"""Compaction: many parts become one, and readers never notice.

Of each series the parts from its start that can no longer be replaced become one part: those that
another part follows without a gap. The last one, which a longer one may still replace, stays a
part of its own, and so does what lies behind a gap. Nothing is removed: what was superseded stays
for readers that use it, until ``gc``.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from bridgex.errors import InvalidInputError, NotFoundError
from bridgex.progress import Silent
from bridgex.schema import FULL_PROBES, Pair
from bridgex.store.encoding import Codec, Encoding, chosen_encoding
from bridgex.store.forms import form_of, pair_of
from bridgex.store.joined import Joined
from bridgex.store.layout import MARKER_SUFFIX, compacted_id, language_commits, pair_commits
from bridgex.store.markers import Marker
from bridgex.store.parts import part_attributes
from bridgex.store.writer import commit, new_attempt

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bridgex.progress import Progress, Reporter
    from bridgex.schema import ProbeForm
    from bridgex.store.layout import Kind
    from bridgex.store.snapshot import Snapshot
    from bridgex.store.store import Store


@dataclass(frozen=True)
class Compaction:
    """What became of a series.

    Attributes
    ----------
    kind, series
        ``statistics`` of a language and corpus, or ``probes`` of a source, a target and a gold
        filter.
    parts_before, parts_after
        Parts that count.
    bytes_before, bytes_after
        Size of their files.
    written_parts
        Parts that were written; none if the series was compact already.
    largest_relative_error
        Of all activations that were rounded, largest difference to the value before, relative to
        it; 0 where nothing was lost.
    """

    kind: Kind
    series: tuple[str, ...]
    parts_before: int
    parts_after: int
    bytes_before: int
    bytes_after: int
    written_parts: int
    largest_relative_error: float


def compact(
    store: Store,
    *,
    codec: Codec = "none",
    level: int | None = None,
    keep_bits: int | None = None,
    languages: Iterable[str] | None = None,
    pairs: Iterable[Pair] | None = None,
    reporter: Reporter | None = None,
) -> tuple[Compaction, ...]:
    """Make few large parts of many small ones, compressed on request.

    Statistics keep every bit, and so do activations unless they are rounded. Every file that is
    read is compared with its checksum, and what was written is read back before it counts. Several
    processes may compact, write and read at once; a compaction that is killed leaves each series
    as it was or compacted.

    Parameters
    ----------
    store
        The store.
    codec
        ``none`` keeps arrays as raw files, which can be memory-mapped; ``zstd``, ``blosc`` and
        ``pcodec`` compress them.
    level
        Effort of the codec: 1 to 22 for zstd (3 by default), 1 to 9 for blosc (5), 1 to 12 for
        pcodec (8).
    keep_bits
        Mantissa bits to round activations to, 1 to 23, before they are compressed; by default
        nothing is rounded. Statistics are never rounded.
    languages, pairs
        Whose statistics and whose probes; with neither, all.
    reporter
        Who listens to progress.

    Returns
    -------
    tuple[Compaction, ...]
        One for each series.

    Raises
    ------
    InvalidInputError
        If the codec, its level or the number of bits make no sense.
    MissingDependencyError
        If the codec's package is not installed.
    NotFoundError
        If there is nothing of a language or pair.
    StoreError
        If a part is damaged or cannot be written. What was compacted before stays so.

    Notes
    -----
    Memory: one array at a time, however many parts there are. That is four times the larger of one
    layer's activations with all samples of a pair and one statistic of all neurons; on object
    storage, where files are still on their way while the next are made, eight times.
    """
    wanted = chosen_encoding(codec, level, keep_bits)
    snapshot = store.snapshot()
    chosen = _chosen(snapshot, languages, pairs)
    if keep_bits is not None and all(series[0].kind == "statistics" for series, _ in chosen):
        raise InvalidInputError(
            f"nothing can be rounded to {keep_bits} bits: there are no probes in what was chosen",
            hint="Statistics are never rounded: leave keep_bits out.",
        )
    job = _Job(store, wanted, any_level=level is None)
    arrays = sum(job.array_count(group) for series, _ in chosen for group in job.todo(series))
    with (reporter or Silent()).task("compacting", total=arrays, unit="arrays") as progress:
        return tuple(job.compact(series, committed, progress) for series, committed in chosen)


def _chosen(
    snapshot: Snapshot, languages: Iterable[str] | None, pairs: Iterable[Pair] | None
) -> list[tuple[list[Marker], list[Marker]]]:
    """Return the parts that count and those that are committed, of every series chosen."""
    if languages is None and pairs is None:
        languages, pairs = snapshot.languages, snapshot.pairs
    named = [
        (language, snapshot.markers(language_commits(language)), language_commits(language))
        for language in languages or ()
    ]
    named += [(str(pair), snapshot.pair_markers(pair), pair_commits(pair)) for pair in pairs or ()]
    found = []
    for name, counting, commits in named:
        committed = snapshot.committed(commits)
        if not counting:
            raise NotFoundError(
                f"the store has nothing of {name} to compact",
                hint="bridgex store info lists what it has.",
            )
        found += [
            (_of(series, counting), _of(series, committed))
            for series in sorted({marker.series for marker in counting})
        ]
    return found


def _of(series: tuple[str, ...], markers: list[Marker]) -> list[Marker]:
    return [marker for marker in markers if marker.series == series]


def _groups(markers: Sequence[Marker]) -> list[Sequence[Marker]]:
    """Split a series into the parts that become one, and those that stay alone."""
    closed = 0
    expected = 0
    for marker, following in pairwise(markers):
        if marker.records_before != expected or following.records_before != marker.records_end:
            break
        closed += 1
        expected = marker.records_end
    alone: list[Sequence[Marker]] = [[marker] for marker in markers[closed:]]
    return [markers[:closed], *alone] if closed else alone


class _Job:
    """One compaction of one store."""

    def __init__(self, store: Store, wanted: Encoding, *, any_level: bool) -> None:
        self._store = store
        self._wanted = wanted
        self._any_level = any_level
        self._writer = secrets.token_hex(8)

    def todo(self, series: Sequence[Marker]) -> list[Sequence[Marker]]:
        """Return the groups that are not as they are wanted."""
        return [group for group in _groups(series) if not self._is_done(group)]

    def _is_done(self, group: Sequence[Marker]) -> bool:
        now = group[0].encoding
        rounded = group[0].kind == "statistics" or _bits(now) == _bits(self._encoding(group))
        same_level = self._any_level or now.level == self._wanted.level
        return len(group) == 1 and now.codec == self._wanted.codec and same_level and rounded

    def _encoding(self, group: Sequence[Marker]) -> Encoding:
        """Say how a group will be stored; what was rounded before stays so."""
        if group[0].kind == "statistics":
            return replace(self._wanted, keep_bits=None)
        labels = [self._wanted.keep_bits, *(marker.encoding.keep_bits for marker in group)]
        exact = labels[0] is None and None in labels[1:]
        most = min(self._wanted.most, max(marker.encoding.most for marker in group))
        fewest = min(self._wanted.most, *(marker.encoding.fewest for marker in group))
        return replace(
            self._wanted,
            keep_bits=None if exact else most,
            fewest_bits=fewest if fewest < most else None,
        )

    def array_count(self, group: Sequence[Marker]) -> int:
        """Return the number of arrays to be written, which is what progress counts."""
        return len(self._joined(group, Silent()))

    def compact(
        self, series: Sequence[Marker], committed: Sequence[Marker], progress: Progress
    ) -> Compaction:
        """Write what is to be done of a series."""
        todo = self.todo(series)
        kept = {marker.part: marker for marker in series}
        error = 0.0
        for group in todo:
            joined = self._joined(group, progress)
            new = self._commit(group, committed, joined)
            error = max(error, joined.largest_relative_error)
            for marker in group:
                del kept[marker.part]
            kept[new.part] = new
        return Compaction(
            kind=series[0].kind,
            series=series[0].series,
            parts_before=len(series),
            parts_after=len(kept),
            bytes_before=sum(marker.size for marker in series),
            bytes_after=sum(marker.size for marker in kept.values()),
            written_parts=len(todo),
            largest_relative_error=error,
        )

    def _form(self, marker: Marker) -> ProbeForm:
        if marker.kind != "probes":
            return FULL_PROBES
        return form_of(self._store.folder, *pair_of(marker), self._store.provenance)

    def _joined(self, group: Sequence[Marker], progress: Progress) -> Joined:
        return Joined(
            self._store.folder,
            group,
            self._store.provenance,
            form=self._form(group[0]),
            keep_bits=self._wanted.keep_bits,
            progress=progress,
        )

    def _commit(
        self, group: Sequence[Marker], committed: Sequence[Marker], joined: Joined
    ) -> Marker:
        marker = self._marker(group, committed)
        path = f"{_commits(marker)}/{marker.part}{MARKER_SUFFIX}"
        commit(
            self._store.folder,
            marker,
            path,
            arrays=joined,
            attributes=_attributes(self._store, group),
            check=joined.check_written,
        )
        return Marker.read(self._store.folder, path)

    def _marker(self, group: Sequence[Marker], committed: Sequence[Marker]) -> Marker:
        first, last = group[0], group[-1]
        encoding = self._encoding(group)
        supersedes = {
            part
            for marker in committed
            if first.records_before <= marker.records_before
            and marker.records_end <= last.records_end
            for part in (marker.part, *marker.supersedes)
        }
        part = compacted_id(
            self._store.provenance.fingerprint,
            first.kind,
            first.series,
            (first.chain_before, last.chain_after),
            encoding,
            sorted(supersedes),
        )
        return replace(
            first,
            records=last.records_end - first.records_before,
            chain_after=last.chain_after,
            counted=sum(marker.counted for marker in group),
            part=part,
            attempt=new_attempt(),
            writer=self._writer,
            files={},
            members=tuple(piece.member for marker in group for piece in marker.pieces),
            supersedes=tuple(sorted(supersedes)),
            encoding=encoding,
        )


def _bits(encoding: Encoding) -> tuple[int | None, int | None]:
    return encoding.keep_bits, encoding.fewest_bits


def _commits(marker: Marker) -> str:
    if marker.kind == "statistics":
        return language_commits(marker.series[0])
    return pair_commits(Pair(marker.series[0], marker.series[1]))


def _attributes(store: Store, group: Sequence[Marker]) -> dict[str, Any]:
    """Return what the new part says of itself: the words of all, for probes."""
    attributes: dict[str, Any] = {"kind": group[0].kind}
    if group[0].kind == "probes":
        held = [part_attributes(store.folder, marker) for marker in group]
        attributes["words"] = [word for one in held for word in one["words"]]
        attributes["considered"] = sum(one["considered"] for one in held)
        # Which neurons: the same for all probes of a pair.
        attributes |= {name: held[0][name] for name in ("neurons",) if name in held[0]}
    return attributes
