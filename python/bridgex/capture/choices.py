"""What the model would write next, at chosen positions only."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from bridgex.capture.batching import bucket
from bridgex.capture.collect import position_arguments
from bridgex.errors import InvalidInputError, ModelSupportError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor, nn

    from bridgex.capture.models import CaptureModel
    from bridgex.progress import Progress

# Positions at which the head runs at once: over 262,144 words this is 134 MB of float32.
_HEAD_POSITIONS = 128


def choose(
    model: CaptureModel,
    rows: Sequence[NDArray[np.int64]],
    starts: Sequence[int],
    *,
    progress: Progress | None = None,
) -> list[NDArray[np.int64]]:
    """Return the model's own choice of the token after every position from a start on.

    Parameters
    ----------
    rows
        Token ids, one array (token,) per row.
    starts
        For every row the first position whose token is wanted: the choice after the token before
        it. ``len(row)`` gives only the token after the row's end.

    Returns
    -------
    list of ndarray
        int64 (len(row) - start + 1,) for every row; the last is the token after the row's end.
    """
    wanted = [len(ids) - start + 1 for ids, start in zip(rows, starts, strict=True)]
    most = max(wanted, default=1)
    result: list[NDArray[np.int64]] = [np.empty(0, np.int64)] * len(rows)

    def size(length: int) -> int:
        return min(model.batch_tokens // length, _HEAD_POSITIONS // most)

    for group in bucket([len(ids) for ids in rows], size):
        ids = np.stack([rows[row] for row in group])
        chosen = _choose_batch(model, ids, [wanted[row] for row in group])
        for row, choices in zip(group, chosen, strict=True):
            result[row] = choices
        if progress is not None:
            progress.advance(ids.size)
    return result


def _choose_batch(
    model: CaptureModel, batch: NDArray[np.int64], wanted: Sequence[int]
) -> list[NDArray[np.int64]]:
    """Return the choices at the last ``wanted`` positions of every row of (row, token) ids."""
    ids = torch.from_numpy(batch).to(model.device)
    length = batch.shape[1]
    lines = np.repeat(np.arange(len(batch)), wanted)
    columns = np.concatenate([np.arange(length - count, length) for count in wanted])
    with torch.inference_mode(), head_at(model.model, lines, columns):
        logits = model.model(
            input_ids=ids, use_cache=False, **position_arguments(model, ids)
        ).logits
    if bool(logits.isnan().any()):
        raise InvalidInputError(
            "numbers were expected from the model's head, NaN came",
            hint="Load the model with dtype='float32', and check its weights.",
        )
    return np.split(logits[0].argmax(-1).cpu().numpy(), np.cumsum(wanted)[:-1])


@contextmanager
def head_at(model: Any, lines: NDArray[np.int64], columns: NDArray[np.int64]) -> Iterator[None]:
    """Let a model's head see only the hidden states at some (row, position) pairs.

    The model's ``logits`` have shape (1, position, word) meanwhile. Whatever it does to them
    (scaling, soft-capping) stays its own.

    Raises
    ------
    ModelSupportError
        When the model has no head, or does not call it once.
    """
    head = model.get_output_embeddings()
    if head is None:
        raise ModelSupportError(f"a language-model head was expected in {type(model).__name__}")
    calls = 0

    def gather(_module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Tensor, ...]:
        nonlocal calls
        calls += 1
        hidden = inputs[0]
        picked = hidden[torch.from_numpy(lines), torch.from_numpy(columns)]
        return (picked[None], *inputs[1:])

    handle = head.register_forward_pre_hook(gather)
    try:
        yield
    finally:
        handle.remove()
    if calls != 1:
        raise ModelSupportError(
            f"the head of {type(model).__name__} was expected to be called once, "
            f"it was called {calls} times"
        )
