"""Neurons read without hooks, batches or shortcuts: what capture is held against.

Every text is run alone through the whole model. Meanwhile the forward methods of projections and
non-linearities are replaced by their definitions, which use the modules' own weights.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from bridgex.capture.sites import locate_sites

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from bridgex.capture.models import CaptureModel
    from bridgex.schema import Site


def silu(x: Tensor) -> Tensor:
    """Return x times its logistic function."""
    return x * torch.sigmoid(x)


def gelu(x: Tensor) -> Tensor:
    """Return x times the normal distribution function."""
    return x * 0.5 * (1 + torch.erf(x / 2**0.5))


def gelu_tanh(x: Tensor) -> Tensor:
    """Return the usual approximation of ``gelu`` by a hyperbolic tangent."""
    return 0.5 * x * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (x + 0.044715 * x**3)))


def relu(x: Tensor) -> Tensor:
    """Return x where it is positive, else 0."""
    return x.clamp(min=0)


def relu_squared(x: Tensor) -> Tensor:
    """Return the square of x where it is positive, else 0."""
    return relu(x).square()


# By the name of the class that computes it.
_DEFINITIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "BloomGelu": gelu_tanh,
    "FastGELUActivation": gelu_tanh,
    "GELU": gelu,
    "GELUActivation": gelu,
    "GELUTanh": gelu_tanh,
    "NewGELUActivation": gelu_tanh,
    "PytorchGELUTanh": gelu_tanh,
    "ReLU": relu,
    "ReLUSquaredActivation": relu_squared,
    "SiLU": silu,
    "SiLUActivation": silu,
}


def has_definition(module: nn.Module) -> bool:
    """Tell whether the definition of a non-linearity is known here."""
    return type(module).__name__ in _DEFINITIONS


def plain_values(model: CaptureModel, text: str, site: Site) -> list[NDArray[np.float64]]:
    """Return every layer's neurons (token, neuron) for one text, special tokens left out.

    A non-linearity whose definition is not known here is taken as its module has it.
    """
    ids = np.array(model.tokenizer(text).input_ids)
    own = ~model.is_special(ids)
    with torch.no_grad(), _replaced(model, site) as seen:
        network: Any = model.model
        network(torch.from_numpy(ids)[None].to(model.device), use_cache=False)
    return [values.reshape(len(ids), -1)[own].double().cpu().numpy() for values in seen]


@contextmanager
def _replaced(model: CaptureModel, site: Site) -> Iterator[Sequence[Tensor]]:
    seen: list[Tensor] = []
    count = len(model.sites)
    activations, projections = (
        [
            one.module
            for one in locate_sites(model.decoder, count, model.provenance.architecture, at)
        ]
        for at in ("act", "post")
    )
    changed: list[Any] = [one for one in model.decoder.modules() if _is_linear(one)]
    for module in changed:
        module.forward = partial(_project, module)
    for module in activations:
        module.forward = _DEFINITIONS.get(type(module).__name__, partial(_own, module))
    for module in activations if site == "act" else projections:
        module.forward = partial(_noting, seen, module.forward, site)
    try:
        yield seen
    finally:
        for module in {*changed, *activations, *projections}:
            del module.forward


def _noting(seen: list[Tensor], forward: Callable[[Tensor], Tensor], site: Site, x: Tensor) -> Any:
    result = forward(x)
    seen.append(result if site == "act" else x)
    return result


def _own(module: nn.Module, x: Tensor) -> Any:
    return type(module).forward(module, x)


def _is_linear(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear) or type(module).__name__ == "Conv1D"


def _project(module: Any, x: Tensor) -> Tensor:
    """Multiply by a projection's own weights; GPT-2 keeps them transposed."""
    weight = module.weight.T if isinstance(module, nn.Linear) else module.weight
    product: Tensor = x @ weight
    return product if module.bias is None else product + module.bias
