"""What is in a store, in numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, cast, get_args

from bridgex.store.garbage import DAY, GarbageKind, find_garbage
from bridgex.store.layout import language_commits

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bridgex.schema import GoldFilter, Pair, ProbeDtype, Provenance
    from bridgex.store.folder import Folder
    from bridgex.store.markers import Marker
    from bridgex.store.snapshot import Snapshot


@dataclass(frozen=True)
class LanguageInfo:
    """Statistics of one language.

    Attributes
    ----------
    language
        Its code.
    corpora
        Names of its corpora, sorted.
    tokens, records, parts
        Tokens and records that were counted, and the parts that hold them.
    ingested_parts
        Parts that were ingested: more than ``parts`` after a compaction.
    missing_records
        Records before the last stored one that no part holds: an ingestion was interrupted.
    missing_parts
        Parts that would hold them; None where that depends on their text.
    codecs
        How the parts are compressed, sorted.
    bytes
        Size of the parts' files.
    """

    language: str
    corpora: tuple[str, ...]
    tokens: int
    records: int
    parts: int
    ingested_parts: int
    missing_records: int
    missing_parts: int | None
    codecs: tuple[str, ...]
    bytes: int


@dataclass(frozen=True)
class ProbesInfo:
    """Probes of one pair under one gold policy.

    Attributes
    ----------
    pair, gold
        What was probed, and how word pairs were chosen.
    samples, considered, parts
        Word pairs stored and looked at, and the parts that hold them.
    ingested_parts
        Parts that were ingested: more than ``parts`` after a compaction.
    missing_records, missing_parts
        Word pairs before the last stored one that no part holds, and the parts that would.
    codecs
        How the parts are compressed, and to how many bits they were rounded, sorted.
    neurons, dtype
        Number of neurons whose activations are kept, and in which precision.
    bytes
        Size of the parts' files.
    """

    pair: Pair
    gold: GoldFilter
    samples: int
    considered: int
    parts: int
    ingested_parts: int
    missing_records: int
    missing_parts: int
    codecs: tuple[str, ...]
    neurons: int
    dtype: ProbeDtype
    bytes: int


@dataclass(frozen=True)
class GarbageInfo:
    """What does not count in a store, of one kind.

    Attributes
    ----------
    kind
        As of ``Garbage``.
    count, bytes
        How much there is.
    old_bytes
        What ``collect_garbage`` would free: what is older than a day.
    """

    kind: GarbageKind
    count: int
    bytes: int
    old_bytes: int


@dataclass(frozen=True)
class StoreInfo:
    """Summary of a store.

    Attributes
    ----------
    path, format_version, provenance, part_bytes, probe_block
        As the store records them.
    languages, probes
        What is in it.
    garbage
        What does not count, by kind.
    bytes_on_disk
        Size of every file below the store, committed or not.
    """

    path: str
    format_version: int
    provenance: Provenance
    part_bytes: int
    probe_block: int
    languages: tuple[LanguageInfo, ...]
    probes: tuple[ProbesInfo, ...]
    garbage: tuple[GarbageInfo, ...]
    bytes_on_disk: int


def language_info(snapshot: Snapshot, language: str) -> LanguageInfo:
    """Summarise the statistics of a language."""
    markers = snapshot.markers(language_commits(language))
    gaps = _gaps(markers)
    return LanguageInfo(
        language=language,
        corpora=tuple(sorted({marker.series[1] for marker in markers})),
        tokens=sum(marker.counted for marker in markers),
        records=sum(marker.records for marker in markers),
        parts=len(markers),
        ingested_parts=sum(len(marker.pieces) for marker in markers),
        missing_records=sum(gaps),
        missing_parts=None if gaps else 0,
        codecs=_codecs(markers),
        bytes=sum(marker.size for marker in markers),
    )


def pair_info(snapshot: Snapshot, pair: Pair, *, block: int) -> list[ProbesInfo]:
    """Summarise the probes of a pair, one per gold policy; parts have ``block`` word pairs."""
    golds = sorted({marker.series[2] for marker in snapshot.pair_markers(pair)})
    return [_probes_info(snapshot, pair, cast("GoldFilter", gold), block) for gold in golds]


def _probes_info(snapshot: Snapshot, pair: Pair, gold: GoldFilter, block: int) -> ProbesInfo:
    markers = [marker for marker in snapshot.pair_markers(pair) if marker.series[2] == gold]
    gaps = _gaps(markers)
    form = snapshot.probe_form(pair, gold)
    every = snapshot.provenance.neuron_count
    return ProbesInfo(
        pair=pair,
        gold=gold,
        samples=sum(marker.counted for marker in markers),
        considered=sum(marker.records for marker in markers),
        parts=len(markers),
        ingested_parts=sum(len(marker.pieces) for marker in markers),
        missing_records=sum(gaps),
        missing_parts=sum(math.ceil(gap / block) for gap in gaps),
        codecs=_codecs(markers),
        neurons=every if form.neurons is None else form.neurons.size,
        dtype=form.dtype,
        bytes=sum(marker.size for marker in markers),
    )


def garbage_info(folder: Folder) -> tuple[GarbageInfo, ...]:
    """Summarise what does not count."""
    found = [item.garbage for item in find_garbage(folder)]
    return tuple(
        GarbageInfo(
            kind=kind,
            count=sum(one.kind == kind for one in found),
            bytes=sum(one.bytes for one in found if one.kind == kind),
            old_bytes=sum(one.bytes for one in found if one.kind == kind and one.age >= DAY),
        )
        for kind in get_args(GarbageKind)
    )


def _gaps(markers: Sequence[Marker]) -> list[int]:
    """Return the lengths, in records, of what is missing between parts that count."""
    gaps = []
    for _, series in groupby(markers, key=lambda marker: marker.series):
        end = 0
        for marker in series:
            gaps.append(marker.records_before - end)
            end = marker.records_end
    return [gap for gap in gaps if gap]


def _codecs(markers: Iterable[Marker]) -> tuple[str, ...]:
    return tuple(sorted({marker.encoding.describe() for marker in markers}))
