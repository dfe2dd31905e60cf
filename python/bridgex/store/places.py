"""Which parts count, and whether a new part continues what is stored.

The records of a series (a corpus of a language, the word list of a pair) only ever grow at the
end. Its last part is short; when the series grows, a longer part begins at the same place. Of the
parts at one place the longest counts, so every record counts once, whatever was killed when.

A compacted part holds several parts. What it supersedes does not count beside it, and neither does
a part that begins where one of its members does and is no longer than that member.
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

    from bridgex.store.markers import Marker, Member, Piece

    ReadDigests = Callable[[Piece], NDArray[np.uint64]]


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
    chosen, contradictions = judge(markers, read_digests)
    for earlier, later in contradictions:
        raise StoreError(
            f"the parts {earlier.part} and {later.part} of {describe(later.series)} come from two "
            "versions of the text",
            hint="Delete the marker of the part that is not wanted, then ingest again.",
        )
    return chosen


def judge(
    markers: Iterable[Marker], read_digests: ReadDigests
) -> tuple[list[Marker], list[tuple[Marker, Marker]]]:
    """Return the parts that count, as ``effective``, and pairs that contradict each other."""
    markers = list(markers)
    superseded = {part for marker in markers for part in marker.supersedes}
    by_series = defaultdict(list)
    for marker in markers:
        if marker.part not in superseded:
            by_series[marker.series].append(marker)
    chosen: list[Marker] = []
    contradictions: list[tuple[Marker, Marker]] = []
    for name in sorted(by_series):
        longest, refused = _longest(by_series[name], read_digests)
        chosen += longest
        contradictions += refused
    return chosen, contradictions


def _longest(
    series: list[Marker], read_digests: ReadDigests
) -> tuple[list[Marker], list[tuple[Marker, Marker]]]:
    chosen: list[Marker] = []
    contradictions: list[tuple[Marker, Marker]] = []
    for marker in sorted(
        series, key=lambda marker: (marker.records_before, -marker.records, marker.part)
    ):
        if chosen and _contradicts(chosen[-1], marker, read_digests):
            contradictions.append((chosen[-1], marker))
        elif not chosen or marker.records_before >= chosen[-1].records_end:
            chosen.append(marker)
    return chosen, contradictions


def _contradicts(earlier: Marker, later: Marker, read_digests: ReadDigests) -> bool:
    if later.records_before > earlier.records_end:
        return False
    if later.records_before == earlier.records_end:
        return later.chain_before != earlier.chain_after
    theirs = {piece.member.records_before: piece for piece in earlier.pieces}
    return any(
        piece.member.records_before not in theirs
        or _differs(theirs[piece.member.records_before], piece, read_digests)
        for piece in later.pieces
    )


def _differs(longer: Piece, shorter: Piece, read_digests: ReadDigests) -> bool:
    """Say whether a part is not the beginning of another part at the same place."""
    ours, theirs = shorter.member, longer.member
    if ours.records > theirs.records or ours.chain_before != theirs.chain_before:
        return True
    if ours.records == theirs.records:
        return ours.chain_after != theirs.chain_after
    digests = read_digests(shorter)
    return not np.array_equal(digests, read_digests(longer)[: len(digests)])


def covered(span: Span, pieces: list[Piece], read_digests: ReadDigests) -> bool:
    """Say whether all records of a part are stored, after checking that it fits what is stored.

    Parameters
    ----------
    span
        The part.
    pieces
        What is stored of the same series, as it was ingested, in the order of places.
    read_digests
        Reads the record digests of a piece.

    Raises
    ------
    InvalidInputError
        If a record differs from the stored one at its position.
    """
    found = False
    first = bisect_left(pieces, span.records_before, key=lambda piece: piece.member.records_end)
    for piece in pieces[first:]:
        stored = piece.member
        if stored.records_before > span.records_end:
            break
        if stored.records_before == span.records_before:
            _check_start(span, stored.chain_before)
            _check_records(span, piece, read_digests)
            found = stored.records_end >= span.records_end
        elif stored.records_end == span.records_before:
            _check_start(span, stored.chain_after)
        elif stored.records_before == span.records_end:
            _check_next(span, stored)
        else:
            _check_records(span, piece, read_digests)
            raise _other_boundaries(span)
    return found


def _check_start(span: Span, chain: str) -> None:
    if span.chain_before != chain:
        raise _changed(span, f"a record before number {span.records_before + 1} differs")


def _check_next(span: Span, stored: Member) -> None:
    if span.chain_after != stored.chain_before:
        first, last = span.records_before + 1, span.records_end
        raise _changed(span, f"a record among numbers {first} to {last} differs")


def _check_records(span: Span, piece: Piece, read_digests: ReadDigests) -> None:
    """Compare the records that both hold."""
    stored = piece.member
    if (span.chain_before, span.chain_after) == (stored.chain_before, stored.chain_after):
        return
    start = max(span.records_before, stored.records_before)
    end = min(span.records_end, stored.records_end)
    mine = span.digests[start - span.records_before : end - span.records_before]
    digests = read_digests(piece)[start - stored.records_before : end - stored.records_before]
    differing = np.flatnonzero(mine != digests)
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
