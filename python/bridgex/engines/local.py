"""Ingestion in this process: text and words through a model into a store, part by part.

What is committed stays; repeating a call does only what is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bridgex.capture import (
    collect_probes,
    collect_statistics,
    count_tokens,
    gold_agreement,
    gold_filter,
)
from bridgex.corpora import read_records, split_parts, split_words
from bridgex.errors import InvalidInputError
from bridgex.prompts import probe_prompt
from bridgex.schema import MINIMUM_SAMPLES, ProbeBlock

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bridgex.capture import CaptureModel
    from bridgex.corpora import CorpusPart, WordPart
    from bridgex.lexicon import Lexicon
    from bridgex.progress import Reporter
    from bridgex.schema import GoldFilter, Pair, WordPair
    from bridgex.store import Store

AGREEMENT_SAMPLE = 16
"""Words on which the gold filter is compared with generation."""

Text = Path | tuple[str, ...]
"""A corpus: a file with a record on every line, or the records themselves."""


@dataclass(frozen=True)
class Ingested:
    """What an ingestion did.

    Attributes
    ----------
    added, present
        Parts that were committed now, and parts that were there before.
    tokens
        Tokens counted now.
    """

    added: int
    present: int
    tokens: int


@dataclass(frozen=True)
class Probed:
    """What an ingestion of probes did.

    Attributes
    ----------
    pair, gold
        The translation direction and the gold filter.
    added, present
        Parts that were committed now, and parts that were there before.
    samples, considered
        Samples that the store now has of the pair under this gold filter, and the word pairs that
        were looked at for them.
    """

    pair: Pair
    gold: GoldFilter
    added: int
    present: int
    samples: int
    considered: int

    @property
    def enough(self) -> bool:
        """Whether there are samples enough to estimate dependence from."""
        return self.samples >= MINIMUM_SAMPLES

    def require_enough(self) -> None:
        """Refuse too few samples, with the remedy."""
        if self.enough:
            return
        if self.gold == "off":
            raise InvalidInputError(
                f"{self.pair} needs {MINIMUM_SAMPLES} probes, and the lexicon has "
                f"{self.samples} words",
                hint="Give a larger lexicon.",
            )
        raise InvalidInputError(
            f"{self.pair} needs {MINIMUM_SAMPLES} probes, and the model translates only "
            f"{self.samples} of {self.considered} words right",
            hint="Give a larger lexicon, or use every word with --gold off. "
            "What was captured is kept.",
        )


def ingest_corpus(
    model: CaptureModel,
    store: Store,
    text: Text,
    *,
    language: str,
    corpus: str = "default",
    reporter: Reporter,
) -> Ingested:
    """Add the statistics of a corpus to a store.

    Parameters
    ----------
    model
        The model whose neurons are counted. Its provenance must be the store's.
    store
        Where to.
    text
        The corpus, from its first record.
    language
        Code of its language.
    corpus
        Name of the corpus among those of the language.
    reporter
        Hears of the progress, in tokens.

    Raises
    ------
    NotFoundError, InvalidInputError
        When the text cannot be read, or is not what was ingested before with more at its end.
    """

    def parts() -> Iterator[CorpusPart]:
        records = read_records(text) if isinstance(text, Path) else text
        return split_parts(records, language=language, corpus=corpus, part_bytes=store.part_bytes)

    # Read once before anything is computed: a text that was changed is refused at once.
    before = store.coverage(parts())
    added = tokens = 0
    for part in store.missing_parts(parts()):
        expected = count_tokens(model, part.records)
        with reporter.task(_name(language, part), total=expected, unit="tokens") as progress:
            statistics = collect_statistics(model, part.records, progress=progress)
        if store.add_statistics(part, statistics):
            added += 1
            tokens += statistics.token_count
    return Ingested(added, before.parts - added, tokens)


def ingest_probes(
    model: CaptureModel,
    store: Store,
    lexicon: Lexicon,
    *,
    gold: GoldFilter = "keep",
    reporter: Reporter,
) -> Probed:
    """Add the probe activations of a lexicon to a store.

    Parameters
    ----------
    model
        The model that is probed. Its provenance must be the store's.
    store
        Where to.
    lexicon
        The word pairs.
    gold
        ``keep``: only words that the model translates right become samples. ``off``: all do.
    reporter
        Hears of the progress, in words.

    Raises
    ------
    InvalidInputError
        When the word list is not what was ingested before with more at its end.
    """

    def parts() -> Iterator[WordPart]:
        return split_words(lexicon.words, pair=lexicon.pair, block=store.probe_block)

    before = store.probe_coverage(parts(), gold)
    added = 0
    if gold == "keep" and before.missing_parts:
        _report_agreement(model, lexicon, reporter)
    name = f"probes {lexicon.pair}" + ("" if gold == "keep" else ", all words")
    with reporter.task(name, total=before.missing_records, unit="words") as progress:
        for part in store.missing_probes(parts(), gold):
            added += store.add_probes(part, _probe(model, part, gold), gold)
            progress.advance(len(part.records))
    probes = store.snapshot().probes(lexicon.pair, gold)
    return Probed(
        pair=lexicon.pair,
        gold=gold,
        added=added,
        present=before.parts - added,
        samples=probes.sample_count,
        considered=probes.considered,
    )


def _report_agreement(model: CaptureModel, lexicon: Lexicon, reporter: Reporter) -> None:
    """Say how the gold filter compares with generation on a few words."""
    words = lexicon.words[:AGREEMENT_SAMPLE]
    prompts = [probe_prompt(*lexicon.pair, word.source) for word in words]
    found = gold_agreement(model, prompts, [word.targets for word in words])
    reporter.note(
        f"gold filter {lexicon.pair}: accepts {found.filtered} of the first {found.sample_count} "
        f"words, generation gets {found.generated} right, and they differ on {found.differing}"
    )


def _name(language: str, part: CorpusPart) -> str:
    first = part.place.records_before + 1
    return f"statistics {language}, records {first:,} to {first + len(part.records) - 1:,}"


def _probe(model: CaptureModel, part: WordPart, gold: GoldFilter) -> ProbeBlock:
    kept = part.records
    if gold == "keep":
        right = gold_filter(model, _prompts(part, kept), [word.targets for word in kept])
        kept = tuple(word for word, is_right in zip(kept, right, strict=True) if is_right)
    activations = collect_probes(model, _prompts(part, kept))
    return ProbeBlock(words=kept, activations=activations, considered=len(part.records))


def _prompts(part: WordPart, words: Sequence[WordPair]) -> list[str]:
    source, target = part.place.pair
    return [probe_prompt(source, target, word.source) for word in words]
