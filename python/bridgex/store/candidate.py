"""A part that may be added: what it belongs to, its id, and its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridgex.store.layout import MARKER_SUFFIX, language_commits, pair_commits, part_id
from bridgex.store.markers import Marker
from bridgex.store.places import Span

if TYPE_CHECKING:
    from bridgex.corpora import CorpusPart, WordPart
    from bridgex.schema import GoldFilter
    from bridgex.store.layout import Kind


@dataclass(frozen=True)
class Candidate:
    """A part on its way into the store.

    Attributes
    ----------
    kind
        ``statistics`` or ``probes``.
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


def statistics_candidate(part: CorpusPart, fingerprint: str) -> Candidate:
    """Say where the statistics of a part of a corpus go."""
    language, corpus = part.place.language, part.place.corpus
    commits = language_commits(language)
    return _candidate("statistics", commits, (language, corpus), part, fingerprint)


def probes_candidate(part: WordPart, gold: GoldFilter, fingerprint: str) -> Candidate:
    """Say where the probe activations of a part of a word list go."""
    pair = part.place.pair
    return _candidate("probes", pair_commits(pair), (*pair, gold), part, fingerprint)


def _candidate(
    kind: Kind,
    commits: str,
    series: tuple[str, ...],
    part: CorpusPart | WordPart,
    fingerprint: str,
) -> Candidate:
    chains = (part.place.chain_before, part.chain_after)
    span = Span(series, part.place.records_before, *chains, part.record_digests())
    return Candidate(kind, commits, span, part_id(fingerprint, kind, series, chains))
