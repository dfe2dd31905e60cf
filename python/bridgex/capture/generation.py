"""Greedy generation in batches of equal length."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import StoppingCriteria, StoppingCriteriaList

from bridgex.capture.batching import prompt_ids
from bridgex.capture.quiet import quiet_transformers
from bridgex.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerBase

    from bridgex.capture.models import CaptureModel
    from bridgex.progress import Progress

# Rows that are continued at once: over 262,144 words their logits are 134 MB of float32.
_MOST_ROWS = 128


def generate(
    model: CaptureModel,
    prompts: Sequence[str],
    *,
    max_new_tokens: int = 30,
    stop: str = "\n",
    is_complete: Callable[[str], bool] | None = None,
    progress: Progress | None = None,
) -> list[str]:
    """Return what the model greedily writes after every prompt.

    Parameters
    ----------
    model
        The model.
    prompts
        Texts to continue.
    max_new_tokens
        Longest continuation, in tokens.
    stop
        A continuation ends before this text.
    is_complete
        Called with a continuation after every token; True ends it there. Saves work where the
        answer is known to be over.
    progress
        Advanced by the number of prompts that are finished.

    Returns
    -------
    list of str
        Continuations in the order of the prompts, without ``stop`` and special tokens.

    Raises
    ------
    InvalidInputError
        When a prompt has no token of its own, or does not fit into the context with
        ``max_new_tokens`` more.

    Notes
    -----
    Rows of one length run together. Once few of them are left unfinished the batch ends, and those
    go on with the rows of their new length, so that one long answer does not hold up many. The
    grouping is a function of the prompts and of the model's ``batch_tokens`` alone: the same call
    gives the same text.
    """
    if max_new_tokens < 1 or not stop:
        raise InvalidInputError(
            f"max_new_tokens of at least 1 and a stop text were expected, "
            f"{max_new_tokens} and {stop!r} came"
        )
    prompted = prompt_ids(model, prompts, room=max_new_tokens)
    texts = [""] * len(prompted)
    waiting = _Waiting(model, prompted)
    while waiting:
        rows, ids = waiting.take()
        starts = [len(prompted[row]) for row in rows]
        done = _Done(model, starts, stop, is_complete)
        room = min(start + max_new_tokens - ids.shape[1] for start in starts)
        written = _generate_batch(model, ids, done, room)
        finished = 0
        for row, start, sequence, length in zip(rows, starts, written, done.lengths, strict=True):
            if length is None and len(sequence) < start + max_new_tokens:
                waiting.put(row, sequence)
                continue
            text = continuation_text(model.tokenizer, prompted[row], sequence[start:length])
            texts[row] = text.split(stop, maxsplit=1)[0]
            finished += 1
        if progress is not None:
            progress.advance(finished)
    return texts


class _Waiting:
    """Rows that are not finished, by their length."""

    def __init__(self, model: CaptureModel, prompted: Sequence[NDArray[np.int64]]) -> None:
        self._batch_tokens = model.batch_tokens
        self._rows: dict[int, list[tuple[int, NDArray[np.int64]]]] = {}
        for row, ids in enumerate(prompted):
            self.put(row, ids)

    def __bool__(self) -> bool:
        return bool(self._rows)

    def put(self, row: int, sequence: NDArray[np.int64]) -> None:
        """Add a row with its ids (token,)."""
        self._rows.setdefault(len(sequence), []).append((row, sequence))

    def take(self) -> tuple[list[int], NDArray[np.int64]]:
        """Remove a batch of the shortest rows: their numbers, and their ids (row, token)."""
        length = min(self._rows)
        size = max(1, min(self._batch_tokens // length, _MOST_ROWS))
        rows = self._rows.pop(length)
        if rows[size:]:
            self._rows[length] = rows[size:]
        return [row for row, _ in rows[:size]], np.stack([ids for _, ids in rows[:size]])


def continuation_text(
    tokenizer: PreTrainedTokenizerBase, prompt: NDArray[np.int64], ids: NDArray[np.int64]
) -> str:
    """Return the text that ids add after a prompt, with the space that a lone decode would drop."""
    before = _decode(tokenizer, prompt[-1:])
    return _decode(tokenizer, np.concatenate([prompt[-1:], ids]))[len(before) :]


def _decode(tokenizer: PreTrainedTokenizerBase, ids: NDArray[np.int64]) -> str:
    text = tokenizer.decode(
        ids.tolist(), skip_special_tokens=True, clean_up_tokenization_spaces=False
    )
    assert isinstance(text, str)
    return text


class _Done(StoppingCriteria):
    """Tells which rows have ended, and remembers how long they are then.

    Once at most a quarter of the rows goes on, it ends the batch.
    """

    def __init__(
        self,
        model: CaptureModel,
        starts: Sequence[int],
        stop: str,
        is_complete: Callable[[str], bool] | None,
    ) -> None:
        self._tokenizer = model.tokenizer
        self._end_ids = end_ids(model)
        self._starts = starts
        self._stop = stop
        self._is_complete = is_complete
        self.lengths: list[int | None] = [None] * len(starts)

    def __call__(
        self, input_ids: torch.Tensor, scores: torch.Tensor, **_kwargs: object
    ) -> torch.Tensor:
        """Return for every row (row, prompt and written tokens) whether it is to end."""
        del scores
        for row, sequence in enumerate(input_ids.cpu().numpy()):
            if self.lengths[row] is None and self._ends(sequence, self._starts[row]):
                self.lengths[row] = len(sequence)
        going_on = [length is None for length in self.lengths]
        if sum(going_on) <= len(going_on) // 4:
            going_on = [False] * len(going_on)
        return ~torch.tensor(going_on, device=input_ids.device)

    def _ends(self, sequence: NDArray[np.int64], start: int) -> bool:
        if sequence[-1] in self._end_ids:
            return True
        text = continuation_text(self._tokenizer, sequence[:start], sequence[start:])
        return self._stop in text or (self._is_complete is not None and self._is_complete(text))


def end_ids(model: CaptureModel) -> frozenset[int]:
    """Return the ids after which the model writes nothing more."""
    end = model.model.generation_config.eos_token_id
    if end is None:
        return frozenset()
    return frozenset(end) if isinstance(end, list) else frozenset([end])


def _generate_batch(
    model: CaptureModel, ids: NDArray[np.int64], done: _Done, max_new_tokens: int
) -> NDArray[np.int64]:
    """Return rows (row, token) with what the model writes after them."""
    given = torch.from_numpy(ids).to(model.device)
    network: Any = model.model
    with torch.inference_mode(), quiet_transformers():
        output = network.generate(
            input_ids=given,
            attention_mask=torch.ones_like(given),
            max_new_tokens=max_new_tokens,
            do_sample=False,
            # What fills up a row that has ended is cut off again.
            pad_token_id=0,
            stopping_criteria=StoppingCriteriaList([done]),
        )
    written: NDArray[np.int64] = output.cpu().numpy()
    return written
