"""A part that may be added: what it belongs to, its id, and its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridgex.corpora import check_corpus_name
from bridgex.errors import InvalidInputError
from bridgex.store.layout import MARKER_SUFFIX, language_commits, pair_commits, part_id
from bridgex.store.markers import Marker
from bridgex.store.places import Span

if TYPE_CHECKING:
    from bridgex.corpora import CorpusPart, WordPart
    from bridgex.schema import GoldFilter
    from bridgex.store.layout import Kind
    from bridgex.store.root import Root


@dataclass(frozen=True)
class Candidate:
    """A part on its way into the store.

    Attributes
    ----------
    kind
        ``statistics``, ``probes``, or ``neurons``: what probes keep.
    commits
        Directory of its marker, relative to the store.
    span
        Its place and its records' digests.
    part
        Its id.
    """

    kind: Kind
    commits: str
    span: Span
    part: str

    @property
    def marker_path(self) -> str:
        """Path of its marker, relative to the store."""
        return f"{self.commits}/{self.part}{MARKER_SUFFIX}"

    def marker(self, *, counted: int, attempt: str, writer: str) -> Marker:
        """Return the marker that commits it, without the list of files."""
        return Marker(
            kind=self.kind,
            series=self.span.series,
            records_before=self.span.records_before,
            records=len(self.span.digests),
            chain_before=self.span.chain_before,
            chain_after=self.span.chain_after,
            counted=counted,
            part=self.part,
            attempt=attempt,
            writer=writer,
            files={},
        )


def statistics_candidate(part: CorpusPart, root: Root) -> Candidate:
    """Say where the statistics of a part of a corpus go."""
    size = sum(len(record.encode()) for record in part.records)
    if len(part.records) > 1 and size > root.part_bytes:
        raise _other_size(f"{size} bytes", f"{root.part_bytes} bytes")
    language, corpus = part.place.language, part.place.corpus
    check_corpus_name(corpus)
    commits = language_commits(language)
    return _candidate("statistics", commits, (language, corpus), part, root)


def probes_candidate(part: WordPart, gold: GoldFilter, root: Root) -> Candidate:
    """Say where the probe activations of a part of a word list go."""
    if len(part.records) > root.probe_block:
        raise _other_size(f"{len(part.records)} word pairs", f"{root.probe_block}")
    pair = part.place.pair
    return _candidate("probes", pair_commits(pair), (*pair, gold), part, root)


def _candidate(
    kind: Kind,
    commits: str,
    series: tuple[str, ...],
    part: CorpusPart | WordPart,
    root: Root,
) -> Candidate:
    chains = (part.place.chain_before, part.chain_after)
    span = Span(series, part.place.records_before, *chains, part.record_digests())
    return Candidate(
        kind, commits, span, part_id(root.provenance.fingerprint, kind, series, chains)
    )


def _other_size(given: str, largest: str) -> InvalidInputError:
    return InvalidInputError(
        f"the part has {given}, the store takes parts of at most {largest}",
        hint="Split with the part_bytes and probe_block of the store.",
    )
