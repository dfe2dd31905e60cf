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
from bridgex.corpora import split_parts, split_words
from bridgex.errors import InvalidInputError
from bridgex.prompts import probe_prompt
from bridgex.schema import FULL_PROBES, MINIMUM_SAMPLES, ProbeBlock
from bridgex.texts import TextSource, open_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bridgex.capture import CaptureModel
    from bridgex.corpora import CorpusPart, WordPart
    from bridgex.lexicon import Lexicon
    from bridgex.progress import Progress, Reporter
    from bridgex.schema import GoldFilter, Pair, ProbeForm, WordPair
    from bridgex.store import Store

AGREEMENT_SAMPLE = 16
"""Words on which the gold filter is compared with generation."""

Text = Path | TextSource | tuple[str, ...]
"""A corpus: a file or directory, what ``open_text`` returns, or the records themselves."""


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
    neurons
        Number of neurons whose activations are kept.
    """

    pair: Pair
    gold: GoldFilter
    added: int
    present: int
    samples: int
    considered: int
    neurons: int

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
    records = open_text(text) if isinstance(text, Path) else text

    def parts() -> Iterator[CorpusPart]:
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
    form: ProbeForm = FULL_PROBES,
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
    form
        What to keep of the activations. Where the store has decided on the pair's neurons before,
        these are kept.
    reporter
        Hears of the progress, in words.

    Raises
    ------
    InvalidInputError
        When the word list is not what was ingested before with more at its end, or an activation
        is too large for the precision.
    StoreError
        When the store has decided to keep all neurons and not the top ones, or the other way
        round, or another percentage or precision.

    Notes
    -----
    Memory: one part, of the neurons that are kept.
    """

    def parts() -> Iterator[WordPart]:
        return split_words(lexicon.words, pair=lexicon.pair, block=store.probe_block)

    before = store.probe_coverage(parts(), gold)
    # Without a choice of neurons the first part decides: what it refuses leaves nothing behind.
    if form.neurons is not None or store.probe_form(lexicon.pair, gold) is not None:
        form = store.decide_form(lexicon.pair, gold, form)
    added = 0
    if gold == "keep" and before.missing_parts:
        _report_agreement(model, lexicon, reporter)
    name = f"probes {lexicon.pair}" + ("" if gold == "keep" else ", all words")
    with reporter.task(name, total=before.missing_records, unit="words") as progress:
        for part in store.missing_probes(parts(), gold):
            block = _probe(model, part, gold, form, progress)
            added += store.add_probes(part, block, gold, form)
    probes = store.snapshot().probes(lexicon.pair, gold)
    return Probed(
        pair=lexicon.pair,
        gold=gold,
        added=added,
        present=before.parts - added,
        samples=probes.sample_count,
        considered=probes.considered,
        neurons=model.provenance.neuron_count if form.neurons is None else form.neurons.size,
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


def _probe(
    model: CaptureModel, part: WordPart, gold: GoldFilter, form: ProbeForm, progress: Progress
) -> ProbeBlock:
    kept = part.records
    words = _Words(progress, len(kept), passes=1 if gold == "off" else 3)
    if gold == "keep":
        answers = [word.targets for word in kept]
        right = gold_filter(model, _prompts(part, kept), answers, progress=words)
        kept = tuple(word for word, is_right in zip(kept, right, strict=True) if is_right)
    activations = collect_probes(
        model,
        _prompts(part, kept),
        neurons=form.layer_neurons(model.provenance.layer_sizes),
        progress=words,
    )
    words.finish()
    return ProbeBlock(words=kept, activations=activations, considered=len(part.records))


class _Words:
    """Progress in the words of a part, told by the rows of forward passes.

    The gold filter takes two passes over the prompts and a few rows, and leaves fewer for the
    last: the end of a part may come before all rows that were expected.
    """

    def __init__(self, progress: Progress, words: int, *, passes: int) -> None:
        self._progress = progress
        self._words = words
        self._passes = passes
        self._rows = 0
        self._told = 0

    def advance(self, amount: int) -> None:
        """Count rows, and tell of the words that they amount to."""
        self._rows += amount
        self._tell(min(self._rows // self._passes, self._words))

    def finish(self) -> None:
        """Tell of the words that are left."""
        self._tell(self._words)

    def _tell(self, words: int) -> None:
        if words > self._told:
            self._progress.advance(words - self._told)
            self._told = words


def _prompts(part: WordPart, words: Sequence[WordPair]) -> list[str]:
    source, target = part.place.pair
    return [probe_prompt(source, target, word.source) for word in words]
