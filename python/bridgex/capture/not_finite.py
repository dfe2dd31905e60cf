"""The error for an activation that is no number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bridgex.errors import InvalidInputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bridgex.capture.models import CaptureModel

# Characters of a text that an error shows.
_SHOWN = 60


def not_finite_error(model: CaptureModel, found: tuple[int, int], where: str) -> InvalidInputError:
    """Return the error for a layer and neuron, with the words that say on which text."""
    expert, index = model.provenance.expert_neurons(*np.array(found).reshape(2, 1))
    of = f" (neuron {index[0]} of expert {expert[0]})" if expert[0] >= 0 else ""
    return InvalidInputError(
        f"finite activations were expected, layer {found[0]}, neuron {found[1]}{of} gave NaN, "
        f"an infinity, or a value too large to be squared in float32 {where}",
        hint="Load the model with dtype='float32', and check its weights.",
    )


def shown_text(model: CaptureModel, ids: NDArray[Any]) -> str:
    """Return the beginning of a row's text."""
    text = model.tokenizer.decode(ids[~model.is_special(ids)].tolist())
    assert isinstance(text, str)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
