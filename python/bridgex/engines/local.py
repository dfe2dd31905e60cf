"""Ingestion in this process: text and words through a model into a store, part by part.

What is committed stays; repeating a call does only what is missing.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bridgex.capture import (
    collect_probes_of,
    collect_statistics_of,
    count_tokens,
    gold_agreement,
    gold_filter_of,
)
from bridgex.corpora import split_parts, split_words
from bridgex.engines.groups import corpus_groups, word_groups
from bridgex.errors import InvalidInputError
from bridgex.prompts import probe_prompt, probe_prompts
from bridgex.schema import FULL_PROBES, MINIMUM_SAMPLES, ProbeBlock
from bridgex.texts import TextSource, open_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bridgex.capture import CaptureModel
    from bridgex.corpora import CorpusPart, WordPart
    from bridgex.lexicon import Lexicon
    from bridgex.progress import Progress, Reporter
    from bridgex.schema import GoldFilter, Pair, ProbeForm
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
    texts = {language: text}
    return ingest_corpora(model, store, texts, corpus=corpus, reporter=reporter)[language]


def ingest_corpora(
    model: CaptureModel,
    store: Store,
    texts: Mapping[str, Text],
    *,
    corpus: str = "default",
    reporter: Reporter,
) -> dict[str, Ingested]:
    """Add the statistics of several languages' corpora to a store.

    The parameters and errors are those of ``ingest_corpus``, ``texts`` by language code. Parts of
    several languages share the passes of a model that is read layer by layer.
    """
    sources = {
        language: open_text(text) if isinstance(text, Path) else text
        for language, text in texts.items()
    }

    def parts(language: str) -> Iterator[CorpusPart]:
        records = sources[language]
        return split_parts(records, language=language, corpus=corpus, part_bytes=store.part_bytes)

    # Read once before anything is computed: a text that was changed is refused at once.
    before = {language: store.coverage(parts(language)).parts for language in texts}
    added, tokens = Counter[str](), Counter[str]()
    missing = (part for language in texts for part in store.missing_parts(parts(language)))
    for group in corpus_groups(model, missing):
        expected = sum(count_tokens(model, part.records) for part in group)
        with reporter.task(_name(group), total=expected, unit="tokens") as progress:
            found = collect_statistics_of(
                model, [part.records for part in group], progress=progress
            )
        for part, statistics in zip(group, found, strict=True):
            if store.add_statistics(part, statistics):
                added[part.place.language] += 1
                tokens[part.place.language] += statistics.token_count
    return {
        language: Ingested(added[language], count - added[language], tokens[language])
        for language, count in before.items()
    }


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
        for group in word_groups(model, store.missing_probes(parts(), gold), form):
            for part, block in zip(group, _probe(model, group, gold, form, progress), strict=True):
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
    if model.skeleton is not None:
        reporter.note("the gold filter is not compared with generation: that holds the whole model")
        return
    words = lexicon.words[:AGREEMENT_SAMPLE]
    prompts = [probe_prompt(*lexicon.pair, word.source) for word in words]
    found = gold_agreement(model, prompts, [word.targets for word in words])
    reporter.note(
        f"gold filter {lexicon.pair}: accepts {found.filtered} of the first {found.sample_count} "
        f"words, generation gets {found.generated} right, and they differ on {found.differing}"
    )


def _name(group: Sequence[CorpusPart]) -> str:
    if len(group) > 1:
        languages = dict.fromkeys(part.place.language for part in group)
        return f"statistics {', '.join(languages)}, {len(group):,} parts"
    (part,) = group
    first = part.place.records_before + 1
    last = first + len(part.records) - 1
    return f"statistics {part.place.language}, records {first:,} to {last:,}"


def _probe(
    model: CaptureModel,
    parts: Sequence[WordPart],
    gold: GoldFilter,
    form: ProbeForm,
    progress: Progress,
) -> list[ProbeBlock]:
    pair = parts[0].place.pair
    kept = [part.records for part in parts]
    total = sum(map(len, kept))
    words = _Words(progress, total, passes=1 if gold == "off" else 3)
    if gold == "keep":
        asked = [
            (probe_prompts(pair, listed), [word.targets for word in listed]) for listed in kept
        ]
        right = gold_filter_of(model, asked, progress=words)
        kept = [
            tuple(word for word, is_right in zip(listed, flags, strict=True) if is_right)
            for listed, flags in zip(kept, right, strict=True)
        ]
    activations = collect_probes_of(
        model,
        [probe_prompts(pair, listed) for listed in kept],
        neurons=form.layer_neurons(model.provenance.layer_sizes),
        progress=words,
    )
    words.finish()
    return [
        ProbeBlock(words=listed, activations=layers, considered=len(part.records))
        for part, listed, layers in zip(parts, kept, activations, strict=True)
    ]


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
