"""One batch through the decoder."""

from __future__ import annotations

import inspect
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


def decoder_pass(decoder: Any, ids: NDArray[Any], device: torch.device) -> Callable[[], Any]:
    """Return what runs rows of equal length (row, token), without cache, mask or head."""
    given = torch.from_numpy(ids).to(device)
    arguments: dict[str, Any] = {"attention_mask": None, "use_cache": False}
    if "position_ids" in inspect.signature(decoder.forward).parameters:
        arguments["position_ids"] = torch.arange(ids.shape[1], device=device).expand_as(given)
    return partial(decoder, input_ids=given, **arguments)
