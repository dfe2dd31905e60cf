"""Greedy generation in batches of equal length."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import StoppingCriteria, StoppingCriteriaList

from bridgex.capture.batching import bucket, prompt_ids
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
    Prompts of one length run together; the grouping is a function of the prompts and of the
    model's ``batch_tokens`` alone, so the same call gives the same text.
    """
    if max_new_tokens < 1 or not stop:
        raise InvalidInputError(
            f"max_new_tokens of at least 1 and a stop text were expected, "
            f"{max_new_tokens} and {stop!r} came"
        )
    rows = prompt_ids(model, prompts, room=max_new_tokens)
    texts = [""] * len(rows)

    def size(length: int) -> int:
        return min(model.batch_tokens // length, _MOST_ROWS)

    for group in bucket([len(ids) for ids in rows], size):
        prompt = np.stack([rows[row] for row in group])
        done = _Done(model, prompt, stop, is_complete)
        written = _generate_batch(model, prompt, done, max_new_tokens)
        for row, ids, length in zip(group, written, done.lengths, strict=True):
            text = continuation_text(model.tokenizer, rows[row], ids[:length])
            texts[row] = text.split(stop, maxsplit=1)[0]
        if progress is not None:
            progress.advance(len(group))
    return texts


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
    """Tells which rows have ended, and remembers after how many tokens."""

    def __init__(
        self,
        model: CaptureModel,
        prompt: NDArray[np.int64],
        stop: str,
        is_complete: Callable[[str], bool] | None,
    ) -> None:
        self._tokenizer = model.tokenizer
        self._end_ids = end_ids(model)
        self._prompt = prompt
        self._stop = stop
        self._is_complete = is_complete
        self.lengths: list[int | None] = [None] * len(prompt)

    def __call__(
        self, input_ids: torch.Tensor, scores: torch.Tensor, **_kwargs: object
    ) -> torch.Tensor:
        """Return for every row (row, prompt and written tokens) whether it has ended."""
        del scores
        written = input_ids[:, self._prompt.shape[1] :].cpu().numpy()
        for row, ids in enumerate(written):
            if self.lengths[row] is None and self._ends(self._prompt[row], ids):
                self.lengths[row] = len(ids)
        flags = [length is not None for length in self.lengths]
        return torch.tensor(flags, device=input_ids.device)

    def _ends(self, prompt: NDArray[np.int64], ids: NDArray[np.int64]) -> bool:
        if ids[-1] in self._end_ids:
            return True
        text = continuation_text(self._tokenizer, prompt, ids)
        return self._stop in text or (self._is_complete is not None and self._is_complete(text))


def end_ids(model: CaptureModel) -> frozenset[int]:
    """Return the ids after which the model writes nothing more."""
    end = model.model.generation_config.eos_token_id
    if end is None:
        return frozenset()
    return frozenset(end) if isinstance(end, list) else frozenset([end])


def _generate_batch(
    model: CaptureModel, prompt: NDArray[np.int64], done: _Done, max_new_tokens: int
) -> NDArray[np.int64]:
    """Return the written ids (row, token) of prompts (row, token)."""
    ids = torch.from_numpy(prompt).to(model.device)
    network: Any = model.model
    with torch.inference_mode(), quiet_transformers():
        output = network.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=max_new_tokens,
            do_sample=False,
            # What fills up a row that has ended is cut off again.
            pad_token_id=0,
            stopping_criteria=StoppingCriteriaList([done]),
        )
    written: NDArray[np.int64] = output[:, ids.shape[1] :].cpu().numpy()
    return written
