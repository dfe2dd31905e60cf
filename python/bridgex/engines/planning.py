"""What a capture will need, before anything is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bridgex.capture import count_tokens
from bridgex.corpora import PART_BYTES, PROBE_BLOCK, split_parts, split_words
from bridgex.engines.groups import corpus_bytes, corpus_groups, word_bytes, word_groups
from bridgex.prompts import probe_prompts
from bridgex.schema import FULL_PROBES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bridgex.capture import CaptureModel
    from bridgex.capture.costs import Costs
    from bridgex.corpora import CorpusPart, WordPart
    from bridgex.lexicon import Lexicon
    from bridgex.schema import GoldFilter

# Passes over a word list: the filter's three, and the one that reads the neurons.
_PASSES = {"keep": 4, "off": 1}


@dataclass(frozen=True)
class Plan:
    """What a capture needs.

    Attributes
    ----------
    mode
        ``resident`` where the whole model fits into the limit, else ``sweep``, or ``none`` where
        a layer does not fit either.
    limit
        Bytes that may be used.
    costs
        Memory, part by part.
    ahead
        Whether a sweep reads the next layer while one is in use.
    tokens, words, parts
        Tokens of the texts, word pairs, and the parts in which they are stored.
    sweeps
        How often a sweep reads the parameters.
    group
        Bytes of the largest group of tokens that shares a sweep.
    store
        Bytes of the arrays in the store, before compression.
    """

    mode: Literal["resident", "sweep", "none"]
    limit: int
    costs: Costs
    ahead: bool
    tokens: int
    words: int
    parts: int
    sweeps: int
    group: int
    store: int

    @property
    def resident_peak(self) -> int:
        """Bytes at the peak with the whole model in memory."""
        return self.costs.resident

    @property
    def sweep_peak(self) -> int:
        """Bytes at the peak of a sweep."""
        return self.costs.fixed(ahead=self.ahead) + self.group

    @property
    def bytes_read(self) -> int:
        """Bytes of parameters that all sweeps read."""
        return self.sweeps * self.costs.read


def plan(
    model: CaptureModel,
    texts: Mapping[str, Iterable[str]],
    lexicon: Lexicon | None = None,
    *,
    gold: GoldFilter = "keep",
) -> Plan:
    """Return what the capture of texts and a lexicon needs. Only the tokenizer runs.

    Parameters
    ----------
    model
        Opened with ``mode="sweep"``: without its parameters.
    texts
        Records by language code.
    lexicon, gold
        Word pairs, and whether those that are translated wrong are left out.
    """
    assert model.budget is not None
    budget = model.budget
    parts = [
        part
        for language, records in texts.items()
        for part in split_parts(records, language=language, part_bytes=PART_BYTES)
    ]
    words = () if lexicon is None else lexicon.words
    blocks = list(split_words(words, pair=lexicon.pair, block=PROBE_BLOCK)) if lexicon else []
    prompts = probe_prompts(lexicon.pair, words) if lexicon else []
    largest = max((*_sizes(model, parts), *_word_sizes(model, blocks)), default=0)
    fits = budget.waiting >= largest
    sweeps, group = _sweeps(model, parts, blocks, gold) if fits else (0, largest)
    resident = budget.costs.resident <= budget.limit
    return Plan(
        mode="resident" if resident else "sweep" if fits else "none",
        limit=budget.limit,
        costs=budget.costs,
        ahead=budget.ahead,
        tokens=sum(count_tokens(model, part.records) for part in parts)
        + count_tokens(model, prompts),
        words=len(words),
        parts=len(parts) + len(blocks),
        sweeps=sweeps,
        group=group,
        store=model.provenance.neuron_count * (28 * len(parts) + 4 * len(words)),
    )


def _sizes(model: CaptureModel, parts: Iterable[CorpusPart]) -> list[int]:
    return [corpus_bytes(model, part) for part in parts]


def _word_sizes(model: CaptureModel, parts: Iterable[WordPart]) -> list[int]:
    return [word_bytes(model, part, FULL_PROBES) for part in parts]


def _sweeps(
    model: CaptureModel,
    parts: Iterable[CorpusPart],
    blocks: Iterable[WordPart],
    gold: GoldFilter,
) -> tuple[int, int]:
    """Return how often the parameters are read, and the bytes of the largest group."""
    texts = [sum(_sizes(model, group)) for group in corpus_groups(model, parts)]
    lists = [sum(_word_sizes(model, group)) for group in word_groups(model, blocks, FULL_PROBES)]
    return len(texts) + _PASSES[gold] * len(lists), max([*texts, *lists], default=0)
