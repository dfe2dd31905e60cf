"""Which parts go through a model together.

A model in memory takes one part after the other. One that is read layer by layer takes as many at
once as fit beside a layer, since every group reads all parameters again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from bridgex.capture import count_tokens
from bridgex.errors import InvalidInputError
from bridgex.prompts import probe_prompts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from bridgex.capture import CaptureModel
    from bridgex.capture.costs import Budget
    from bridgex.corpora import CorpusPart, WordPart
    from bridgex.schema import ProbeForm

T = TypeVar("T")


def corpus_groups(
    model: CaptureModel, parts: Iterable[CorpusPart]
) -> Iterator[tuple[CorpusPart, ...]]:
    """Yield parts of text in groups that fit into the model's memory limit, in order.

    Raises
    ------
    InvalidInputError
        When one part alone does not fit: with the limit under which it would.
    """

    def bytes_of(part: CorpusPart) -> int:
        return corpus_bytes(model, count_tokens(model, part.records))

    return groups_of(model.budget, parts, bytes_of)


def word_groups(
    model: CaptureModel, parts: Iterable[WordPart], form: ProbeForm
) -> Iterator[tuple[WordPart, ...]]:
    """Yield parts of a word list as ``corpus_groups`` does those of a text."""

    def bytes_of(part: WordPart) -> int:
        prompts = probe_prompts(part.place.pair, part.records)
        return word_bytes(model, count_tokens(model, prompts), len(part.records), form)

    return groups_of(model.budget, parts, bytes_of)


def corpus_bytes(model: CaptureModel, tokens: int) -> int:
    """Return the bytes that a part of text takes while it waits for its layers."""
    assert model.budget is not None
    return model.budget.costs.group(tokens, 1)


def word_bytes(model: CaptureModel, tokens: int, words: int, form: ProbeForm) -> int:
    """Return the bytes that a part of a word list takes: its prompts and its activations."""
    assert model.budget is not None
    costs = model.budget.costs
    sizes = form.row_counts(model.provenance.layer_sizes)
    return costs.group(tokens, 0) + costs.probes(words, sizes)


def groups_of(
    budget: Budget | None, parts: Iterable[T], bytes_of: Callable[[T], int]
) -> Iterator[tuple[T, ...]]:
    """Yield parts of some sizes in groups that fit into a budget; alone where there is none.

    Raises
    ------
    InvalidInputError
        When one part alone does not fit: with the limit under which it would.
    """
    if budget is None:
        yield from ((part,) for part in parts)
        return
    group: list[T] = []
    used = 0
    for part in parts:
        size = bytes_of(part)
        if size > budget.most:
            raise InvalidInputError(
                f"a part of text was expected to fit into --memory-limit {budget.limit:,} "
                f"bytes beside a layer; it would into {budget.limit - budget.most + size:,}",
                hint="Raise the limit, or make the store with a smaller --part-bytes or "
                "--probe-block.",
            )
        if group and used + size > budget.room:
            yield tuple(group)
            group, used = [], 0
        group.append(part)
        used += size
    if group:
        yield tuple(group)
