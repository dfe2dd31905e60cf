"""What the model would write next, at chosen positions only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from bridgex.capture.batching import bucket
from bridgex.capture.memory import Halving
from bridgex.capture.passes import decoder_pass
from bridgex.capture.sweep import loaded_head, sweep_states
from bridgex.errors import InvalidInputError, ModelSupportError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

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
    """Return the model's own choice of the token at every position from a start on.

    Parameters
    ----------
    rows
        Token ids, one array (token,) per row.
    starts
        For every row the first position whose token is wanted, given the tokens before it.
        ``len(row)`` asks only for the token after the row's end.
    progress
        Advanced by the rows of every forward pass.

    Returns
    -------
    list of ndarray
        int64 (len(row) - start + 1,) for every row; the last is the token after the row's end.

    Notes
    -----
    The head runs on the hidden states at these positions alone. Scaling or soft-capping of the
    logits is left out: both keep their order.
    """
    return choose_of(model, [Question(rows, starts)], progress=progress)[0]


class Question(NamedTuple):
    """Rows of token ids, and for every row the first position whose token is wanted."""

    rows: Sequence[NDArray[np.int64]]
    starts: Sequence[int]


def choose_of(
    model: CaptureModel, questions: Sequence[Question], *, progress: Progress | None = None
) -> list[list[NDArray[np.int64]]]:
    """Return what ``choose`` gives of each of several questions.

    A model that is read layer by layer is read once for all of them.
    """
    if model.skeleton is None:
        states = [_states(model, *question, progress) for question in questions]
    else:
        states = sweep_states(model, questions, progress=progress)
    if not any(states):
        return [[] for _ in questions]
    with loaded_head(model):
        return [_chosen(model, kept) for kept in states]


def _states(
    model: CaptureModel,
    rows: Sequence[NDArray[np.int64]],
    starts: Sequence[int],
    progress: Progress | None,
) -> list[Tensor]:
    """Return for every row the hidden states (position, width) that matter."""
    hidden: list[Tensor] = [torch.empty(0)] * len(rows)
    halving = Halving()
    for group in bucket([len(ids) for ids in rows], lambda length: model.batch_tokens // length):

        def read(part: slice, group: list[int] = group) -> None:
            ids = np.stack([rows[row] for row in group[part]])
            for row, state in zip(group[part], _hidden_states(model, ids), strict=True):
                hidden[row] = state[starts[row] - 1 :].clone()

        halving.run(len(group), len(rows[group[0]]), read)
        if progress is not None:
            progress.advance(len(group))
    halving.tell(model.reporter)
    return hidden


def _chosen(model: CaptureModel, hidden: list[Tensor]) -> list[NDArray[np.int64]]:
    if not hidden:
        return []
    chosen = _run_head(model, torch.cat(hidden))
    return np.split(chosen, np.cumsum([len(states) for states in hidden])[:-1])


def _hidden_states(model: CaptureModel, batch: NDArray[np.int64]) -> Tensor:
    """Return the decoder's last hidden states (row, token, width)."""
    with torch.inference_mode():
        output = decoder_pass(model.decoder, batch, model.device)()
    states: Tensor = output.last_hidden_state
    return states


def _run_head(model: CaptureModel, hidden: Tensor) -> NDArray[np.int64]:
    """Return the best word for hidden states (position, width)."""
    network: Any = model.model
    head = network.get_output_embeddings()
    if head is None:
        raise ModelSupportError(f"a language-model head was expected in {type(network).__name__}")
    best = []
    with torch.inference_mode():
        for states in torch.split(hidden, _HEAD_POSITIONS):
            logits = head(states)
            if bool(logits.isnan().any()):
                raise InvalidInputError(
                    "numbers were expected from the model's head, NaN came",
                    hint="Load the model with dtype='float32', and check its weights.",
                )
            best.append(logits.argmax(-1).cpu())
    return torch.cat(best).numpy()
