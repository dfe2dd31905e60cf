"""From text to batches of equal length, as a pure function of the text and the policy.

Rows of one batch have exactly the same number of tokens, so no padding exists, no attention mask
is needed, and a row's numbers do not depend on its neighbours' lengths.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bridgex.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from bridgex.capture.models import CaptureModel


class Row(NamedTuple):
    """Token ids of one forward row, and which of its tokens count, both (token,)."""

    ids: NDArray[np.int64]
    counted: NDArray[np.bool_]


class Batch(NamedTuple):
    """Rows of one length: their positions in the input, ids and counted (row, token)."""

    rows: NDArray[np.int64]
    ids: NDArray[np.int64]
    counted: NDArray[np.bool_]

    def part(self, rows: slice) -> Batch:
        """Return a batch of some of the rows."""
        return Batch(self.rows[rows], self.ids[rows], self.counted[rows])


def bucket(lengths: Sequence[int], rows_of: Callable[[int], int]) -> list[list[int]]:
    """Group row numbers by length, shortest first, in groups of at most ``rows_of(length)``."""
    by_length: dict[int, list[int]] = defaultdict(list)
    for row, length in enumerate(lengths):
        by_length[length].append(row)
    return [
        rows[start : start + size]
        for length, rows in sorted(by_length.items())
        for size in [max(1, rows_of(length))]
        for start in range(0, len(rows), size)
    ]


def batches(rows: Sequence[Row], *, batch_tokens: int) -> Iterator[Batch]:
    """Yield the rows in batches of equal length with at most ``batch_tokens`` tokens each.

    A row that is longer than ``batch_tokens`` is a batch of its own.
    """
    for group in bucket([len(row.ids) for row in rows], lambda length: batch_tokens // length):
        yield Batch(
            rows=np.array(group),
            ids=np.stack([rows[row].ids for row in group]),
            counted=np.stack([rows[row].counted for row in group]),
        )


def encode(
    model: CaptureModel, texts: Sequence[str], *, bare: bool = False
) -> list[NDArray[np.int64]]:
    """Return the token ids of every text, with the special tokens that the model expects.

    ``bare`` leaves out those that the tokenizer adds; what the text itself holds remains.
    """
    if isinstance(texts, str):
        raise InvalidInputError("a sequence of texts was expected, one text came")
    if not texts:
        return []
    encoded = model.tokenizer(
        list(texts), return_attention_mask=False, verbose=False, add_special_tokens=not bare
    )
    return [np.array(ids, dtype=np.int64) for ids in encoded["input_ids"]]


def record_rows(model: CaptureModel, records: Sequence[str]) -> list[Row]:
    """Return the rows of some records, but for those without a token that counts.

    Under ``packing="buckets"`` every record is its own context. One that is longer than
    ``max_tokens`` becomes consecutive windows. Each begins with the special tokens that open the
    record (the first row's only are counted under ``special="include"``).

    Under ``packing="concat"`` the tokens of all records are joined and cut into blocks of
    ``max_tokens``, the last one shorter: a token is predicted from whatever comes before it in its
    block. ``special="exclude"`` leaves out the special tokens that the tokenizer adds.
    """
    if model.packing == "concat":
        rows = _blocks(model, encode(model, records, bare=model.special == "exclude"))
    else:
        rows = (row for ids in encode(model, records) for row in _windows(model, ids))
    return [row for row in rows if row.counted.any()]


def _blocks(model: CaptureModel, records: Sequence[NDArray[np.int64]]) -> Iterator[Row]:
    if not records:
        return
    ids = np.concatenate(records)
    counted = _counted(model, ids)
    for start in range(0, len(ids), model.max_tokens):
        block = slice(start, start + model.max_tokens)
        yield Row(ids[block], counted[block])


def _counted(model: CaptureModel, ids: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which tokens count, but for a probe's positions."""
    if model.special == "include":
        return np.ones(len(ids), dtype=np.bool_)
    return ~model.is_special(ids)


def _windows(model: CaptureModel, ids: NDArray[np.int64]) -> Iterator[Row]:
    counted = _counted(model, ids)
    if len(ids) <= model.max_tokens:
        yield Row(ids, counted)
        return
    opening = int(np.argmin(model.is_special(ids)))
    if opening >= model.max_tokens:
        raise InvalidInputError(
            f"max_tokens is {model.max_tokens}, but a record opens with {opening} special tokens"
        )
    step = model.max_tokens - opening
    for start in range(opening, len(ids), step):
        head = counted[:opening] if start == opening else np.zeros(opening, dtype=np.bool_)
        yield Row(
            np.concatenate([ids[:opening], ids[start : start + step]]),
            np.concatenate([head, counted[start : start + step]]),
        )


def prompt_ids(
    model: CaptureModel, prompts: Sequence[str], *, room: int = 0
) -> list[NDArray[np.int64]]:
    """Return the token ids of every prompt, without special tokens at its end.

    Parameters
    ----------
    room
        Tokens that must still fit into the model's context after the prompt.

    Raises
    ------
    InvalidInputError
        When a prompt has no token of its own or does not fit.
    """
    result = []
    for prompt, ids in zip(prompts, encode(model, prompts), strict=True):
        own = (~model.is_special(ids)).nonzero()[0]
        if not len(own):
            raise InvalidInputError(f"a prompt with text was expected, {prompt!r} has no token")
        ids = ids[: own[-1] + 1]  # noqa: PLW2901  (an end-of-text mark would end the prompt)
        if model.context_length is not None and len(ids) + room > model.context_length:
            raise InvalidInputError(
                f"a prompt of {len(ids)} tokens and {room} more do not fit into the model's "
                f"context of {model.context_length}: {prompt[:60]!r}",
                hint="Shorten the prompt.",
            )
        result.append(ids)
    return result


def prompt_rows(model: CaptureModel, prompts: Sequence[str]) -> list[Row]:
    """Return one row per prompt, in which the tokens count that ``positions`` chooses.

    ``prompt``: its own, and under ``special="include"`` the special ones too. ``last``: the last
    of its own. ``all``: every one, special or not.
    """
    return [Row(ids, _chosen(model, ids)) for ids in prompt_ids(model, prompts)]


def _chosen(model: CaptureModel, ids: NDArray[np.int64]) -> NDArray[np.bool_]:
    if model.positions == "prompt":
        return _counted(model, ids)
    chosen = np.ones(len(ids), dtype=np.bool_)
    chosen[:-1] = model.positions == "all"
    return chosen
