"""What a capture will need, before anything is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from bridgex.capture import count_work
from bridgex.corpora import PART_BYTES, PROBE_BLOCK, split_parts, split_words
from bridgex.engines.groups import corpus_bytes, groups_of, word_bytes
from bridgex.prompts import probe_prompts
from bridgex.schema import FULL_PROBES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bridgex.capture import CaptureModel
    from bridgex.capture.costs import Budget, Costs, Loading
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
    limit, smallest_limit
        Bytes that may be used, and the fewest that would do.
    costs
        Memory, part by part.
    loading
        How a sweep loads layers beside the largest group: ``ahead``, the next one while one is in
        use, ``whole``, one by one, or in ``pieces``, every time that a batch passes through them.
    tokens, words, parts
        Tokens of the texts, word pairs, and the parts in which they are stored.
    sweeps
        How often all that shares a sweep goes through the layers.
    bytes_read
        Bytes of parameters that all sweeps read.
    group
        Bytes of the largest group of tokens that shares a sweep.
    store
        Bytes of the arrays in the store, before compression.
    """

    mode: Literal["resident", "sweep", "none"]
    limit: int
    smallest_limit: int
    costs: Costs
    loading: Loading
    tokens: int
    words: int
    parts: int
    sweeps: int
    bytes_read: int
    group: int
    store: int

    @property
    def resident_peak(self) -> int:
        """Bytes at the peak with the whole model in memory."""
        return self.costs.resident

    @property
    def sweep_peak(self) -> int:
        """Bytes at the peak of a sweep."""
        return self.costs.fixed(self.loading) + self.group


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
    work = [_of_text(model, part) for part in parts], [_of_words(model, part) for part in blocks]
    largest = max((part.bytes for kind in work for part in kind), default=0)
    fits = largest <= budget.most
    groups = _groups(budget, *work, passes=_PASSES[gold]) if fits else []
    group = max((one.bytes for one in groups), default=largest)
    resident = budget.costs.resident <= budget.limit
    return Plan(
        mode="resident" if resident else "sweep" if fits else "none",
        limit=budget.limit,
        smallest_limit=min(budget.limit - budget.most + largest, budget.costs.resident),
        costs=budget.costs,
        loading=budget.loading(group),
        tokens=sum(part.tokens for kind in work for part in kind),
        words=len(words),
        parts=len(parts) + len(blocks),
        sweeps=sum(one.sweeps for one in groups),
        bytes_read=sum(one.bytes_read(budget) for one in groups),
        group=group,
        store=model.provenance.neuron_count * (28 * len(parts) + 4 * len(words)),
    )


class _Work(NamedTuple):
    """A part: its tokens, the forward passes that read it, and its bytes while it waits."""

    tokens: int
    batches: int
    bytes: int


def _of_text(model: CaptureModel, part: CorpusPart) -> _Work:
    tokens, batches = count_work(model, part.records)
    return _Work(tokens, batches, corpus_bytes(model, tokens))


def _of_words(model: CaptureModel, part: WordPart) -> _Work:
    tokens, batches = count_work(model, probe_prompts(part.place.pair, part.records))
    return _Work(tokens, batches, word_bytes(model, tokens, len(part.records), FULL_PROBES))


class _Group(NamedTuple):
    """What shares its sweeps: its bytes, the forward passes of one sweep, and how many sweeps."""

    bytes: int
    batches: int
    sweeps: int

    def bytes_read(self, budget: Budget) -> int:
        """Return the bytes of parameters that are read: in pieces once more for every batch."""
        costs = budget.costs
        again = self.batches - 1 if budget.loading(self.bytes) == "pieces" else 0
        return self.sweeps * (costs.read + again * costs.layers_read)


def _groups(
    budget: Budget, texts: Iterable[_Work], words: Iterable[_Work], *, passes: int
) -> list[_Group]:
    """Return the groups that parts will form; those of words pass several times."""
    return [
        _Group(sum(part.bytes for part in group), sum(part.batches for part in group), sweeps)
        for parts, sweeps in ((texts, 1), (words, passes))
        for group in groups_of(budget, parts, lambda part: part.bytes)
    ]
