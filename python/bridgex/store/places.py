"""Which parts count, and whether a new part continues what is stored.

The records of a series (a corpus of a language, the word list of a pair) only ever grow at the
end. Its last part is short; when the series grows, a longer part begins at the same place. Of the
parts at one place the longest counts, so every record counts once, whatever was killed when.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bridgex.errors import InvalidInputError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from bridgex.store.markers import Marker

    ReadDigests = Callable[[Marker], NDArray[np.uint64]]


class Span(NamedTuple):
    """A new part, as far as its place is concerned."""

    series: tuple[str, ...]
    records_before: int
    chain_before: str
    chain_after: str
    digests: NDArray[np.uint64]

    @property
    def records_end(self) -> int:
        """Number of records of the series up to the end of the part."""
        return self.records_before + len(self.digests)


def effective(markers: Iterable[Marker], read_digests: ReadDigests) -> list[Marker]:
    """Return the parts that count, series by series (sorted) in the order of their places.

    Raises
    ------
    StoreError
        If two parts contradict each other: they hold the same records, or different histories.
    """
    by_series = defaultdict(list)
    for marker in markers:
        by_series[marker.series].append(marker)
    return [
        marker
        for series in sorted(by_series)
        for marker in _longest(by_series[series], read_digests)
    ]


def _longest(series: list[Marker], read_digests: ReadDigests) -> list[Marker]:
    chosen: list[Marker] = []
    for marker in sorted(series, key=lambda marker: (marker.records_before, -marker.records)):
        if chosen and _contradicts(chosen[-1], marker, read_digests):
            raise StoreError(
                f"the parts {chosen[-1].part} and {marker.part} of {describe(marker.series)} "
                "come from two versions of the text",
                hint="Delete the marker of the part that is not wanted, then ingest again.",
            )
        if not chosen or marker.records_before >= chosen[-1].records_end:
            chosen.append(marker)
    return chosen


def _contradicts(earlier: Marker, later: Marker, read_digests: ReadDigests) -> bool:
    if later.records_before > earlier.records_end:
        return False
    if later.records_before == earlier.records_end:
        return later.chain_before != earlier.chain_after
    if later.records_before > earlier.records_before:
        return True
    if later.records == earlier.records or later.chain_before != earlier.chain_before:
        return later.chain_after != earlier.chain_after
    shorter = read_digests(later)
    return not np.array_equal(shorter, read_digests(earlier)[: len(shorter)])


def covered(span: Span, markers: list[Marker], read_digests: ReadDigests) -> bool:
    """Say whether all records of a part are stored, after checking that it fits what is stored.

    Parameters
    ----------
    span
        The part.
    markers
        The parts of the same series that count, in the order of their places.
    read_digests
        Reads the record digests of a stored part.

    Raises
    ------
    InvalidInputError
        If a record differs from the stored one at its position.
    """
    found = False
    first = bisect_left(markers, span.records_before, key=lambda marker: marker.records_end)
    for marker in markers[first:]:
        if marker.records_before > span.records_end:
            break
        if marker.records_before == span.records_before:
            _check_start(span, marker.chain_before)
            _check_records(span, marker, read_digests)
            found = marker.records_end >= span.records_end
        elif marker.records_end == span.records_before:
            _check_start(span, marker.chain_after)
        elif marker.records_before == span.records_end:
            _check_next(span, marker)
        else:
            _check_records(span, marker, read_digests)
            raise _other_boundaries(span)
    return found


def _check_start(span: Span, chain: str) -> None:
    if span.chain_before != chain:
        raise _changed(span, f"a record before number {span.records_before + 1} differs")


def _check_next(span: Span, marker: Marker) -> None:
    if span.chain_after != marker.chain_before:
        first, last = span.records_before + 1, span.records_end
        raise _changed(span, f"a record among numbers {first} to {last} differs")


def _check_records(span: Span, marker: Marker, read_digests: ReadDigests) -> None:
    """Compare the records that both hold."""
    if (span.chain_before, span.chain_after) == (marker.chain_before, marker.chain_after):
        return
    start = max(span.records_before, marker.records_before)
    end = min(span.records_end, marker.records_end)
    mine = span.digests[start - span.records_before : end - span.records_before]
    stored = read_digests(marker)[start - marker.records_before : end - marker.records_before]
    differing = np.flatnonzero(mine != stored)
    if differing.size:
        raise _changed(span, f"record number {start + differing[0] + 1} differs")


def _changed(span: Span, what: str) -> InvalidInputError:
    if len(span.series) == _CORPUS_SERIES:
        hint = "Only append to a text that was ingested, or give it as another corpus (--corpus)."
    else:
        hint = (
            "Only append to a word list that was ingested: earlier lexicons first, new words last. "
            "A word that gained a translation has changed."
        )
    return InvalidInputError(
        f"{describe(span.series)} is not what was ingested before, with more at its end: "
        f"{what} from the stored one",
        hint=hint,
    )


def _other_boundaries(span: Span) -> InvalidInputError:
    return InvalidInputError(
        f"record number {span.records_before + 1} of {describe(span.series)} begins a part, but "
        "lies within a stored part",
        hint="Split the text with the part size of the store; records before it may have changed.",
    )


_CORPUS_SERIES = 2


def describe(series: tuple[str, ...]) -> str:
    """Name a series in a message."""
    if len(series) == _CORPUS_SERIES:
        language, corpus = series
        return f"the corpus {corpus!r} of {language}"
    source, target, gold = series
    return f"the word list of {source}-{target} (gold filter {gold})"
