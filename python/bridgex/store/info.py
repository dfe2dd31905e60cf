"""What is in a store, in numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from bridgex.store.layout import language_commits, pair_commits

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bridgex.schema import GoldFilter, Pair, Provenance
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
    missing_records
        Records before the last stored one that no part holds: an ingestion was interrupted.
    bytes
        Size of the parts' files.
    """

    language: str
    corpora: tuple[str, ...]
    tokens: int
    records: int
    parts: int
    missing_records: int
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
    missing_records
        Word pairs before the last stored one that no part holds.
    bytes
        Size of the parts' files.
    """

    pair: Pair
    gold: GoldFilter
    samples: int
    considered: int
    parts: int
    missing_records: int
    bytes: int


@dataclass(frozen=True)
class StoreInfo:
    """Summary of a store.

    Attributes
    ----------
    path, format_version, provenance, part_bytes, probe_block
        As the store records them.
    languages, probes
        What is in it.
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
    bytes_on_disk: int


def language_info(snapshot: Snapshot, language: str) -> LanguageInfo:
    """Summarise the statistics of a language."""
    markers = snapshot.markers(language_commits(language))
    corpora = sorted({marker.series[1] for marker in markers})
    return LanguageInfo(
        language=language,
        corpora=tuple(corpora),
        tokens=sum(marker.counted for marker in markers),
        records=sum(marker.records for marker in markers),
        parts=len(markers),
        missing_records=sum(
            _missing([marker for marker in markers if marker.series[1] == corpus])
            for corpus in corpora
        ),
        bytes=sum(marker.size for marker in markers),
    )


def pair_info(snapshot: Snapshot, pair: Pair) -> list[ProbesInfo]:
    """Summarise the probes of a pair, one summary per gold policy."""
    markers = snapshot.markers(pair_commits(pair))
    return [
        _probes_info(pair, gold, [marker for marker in markers if marker.series[2] == gold])
        for gold in sorted({marker.series[2] for marker in markers})
    ]


def _probes_info(pair: Pair, gold: str, markers: list[Marker]) -> ProbesInfo:
    return ProbesInfo(
        pair=pair,
        gold=cast("GoldFilter", gold),
        samples=sum(marker.counted for marker in markers),
        considered=sum(marker.records for marker in markers),
        parts=len(markers),
        missing_records=_missing(markers),
        bytes=sum(marker.size for marker in markers),
    )


def _missing(markers: Iterable[Marker]) -> int:
    """Count the records that lie before the last stored one and in no part of one series."""
    markers = list(markers)
    return max(marker.records_end for marker in markers) - sum(marker.records for marker in markers)
