"""Greedy generation in batches of equal length."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import StoppingCriteria, StoppingCriteriaList

from bridgex.capture.batching import prompt_ids
from bridgex.capture.memory import Halving
from bridgex.capture.quiet import quiet_transformers
from bridgex.errors import InvalidInputError, ModelSupportError

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
    ModelSupportError
        When the model is read layer by layer.

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
    if model.skeleton is not None:
        raise ModelSupportError(
            "generation would read the whole model once for every token, and this one is read "
            "layer by layer",
            hint="Use --mode resident where the memory is there. What was captured is kept.",
        )
    prompted = prompt_ids(model, prompts, room=max_new_tokens)
    answers = _Answers(model, prompted, max_new_tokens, stop, is_complete)
    halving = Halving()
    while answers.waiting:
        rows, ids = answers.waiting.take()
        before = answers.finished
        halving.run(len(rows), ids.shape[1], partial(answers.go_on, rows, ids))
        if progress is not None:
            progress.advance(answers.finished - before)
    halving.tell(model.reporter)
    return answers.texts


class _Answers:
    """What is written so far, and the rows that are not finished."""

    def __init__(
        self,
        model: CaptureModel,
        prompted: Sequence[NDArray[np.int64]],
        max_new_tokens: int,
        stop: str,
        is_complete: Callable[[str], bool] | None,
    ) -> None:
        self._model = model
        self._prompted = prompted
        self._most = max_new_tokens
        self._stop = stop
        self._is_complete = is_complete
        self.texts = [""] * len(prompted)
        self.finished = 0
        self.waiting = _Waiting(model, prompted)

    def go_on(self, rows: list[int], ids: NDArray[np.int64], part: slice) -> None:
        """Continue a part of some rows (row, token) until they are finished, or few are left."""
        rows, ids = rows[part], ids[part]
        starts = [len(self._prompted[row]) for row in rows]
        done = _Done(self._model, starts, self._stop, self._is_complete)
        room = min(start + self._most - ids.shape[1] for start in starts)
        written = _generate_batch(self._model, ids, done, room)
        for row, start, sequence, length in zip(rows, starts, written, done.lengths, strict=True):
            if length is None and len(sequence) < start + self._most:
                self.waiting.put(row, sequence)
                continue
            self.texts[row] = self._text(row, sequence[start:length])
            self.finished += 1

    def _text(self, row: int, ids: NDArray[np.int64]) -> str:
        text = continuation_text(self._model.tokenizer, self._prompted[row], ids)
        return text.split(self._stop, maxsplit=1)[0]


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
