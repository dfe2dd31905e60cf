"""Neurons read without hooks, batches or shortcuts: what capture is held against.

Every text is run alone through the whole model. Meanwhile the forward methods of projections and
non-linearities are replaced by their definitions, which use the modules' own weights, and those of
routed experts by a loop over tokens and their experts.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from bridgex.capture.experts import clamped_gate
from bridgex.capture.sites import locate_sites

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from bridgex.capture.models import CaptureModel
    from bridgex.capture.sites import SiteModule
    from bridgex.schema import Site

    Keep = Callable[[Tensor], None]


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


def undefined(site: SiteModule) -> str | None:
    """Return the name of a site's non-linearity if its definition is not known here."""
    module: Any = site.module
    if site.experts is not None:
        if site.activation is clamped_gate:
            return None
        module = module.act_fn if site.activation is None else module
    name = type(module).__name__
    return None if name in _DEFINITIONS else name


def plain_values(model: CaptureModel, text: str, site: Site) -> list[NDArray[np.float64]]:
    """Return the neurons (token, neuron) of every site for one text, special tokens left out.

    NaN where a token is not routed to the neuron's expert. A non-linearity whose definition is not
    known here is taken as its module has it.
    """
    ids = np.array(model.tokenizer(text).input_ids)
    own = ~model.is_special(ids)
    with torch.no_grad(), _replaced(model, site) as seen:
        network: Any = model.model
        network(torch.from_numpy(ids)[None].to(model.device), use_cache=False)
    return [values.reshape(len(ids), -1)[own].double().cpu().numpy() for values in seen]


@contextmanager
def _replaced(model: CaptureModel, site: Site) -> Iterator[Sequence[Tensor]]:
    count = len(model.provenance.layer_sizes)
    activations, projections = (
        locate_sites(model.decoder, count, model.provenance.architecture, at)
        for at in ("act", "post")
    )
    seen = [torch.empty(0)] * len(activations)
    changed: list[Any] = [one for one in model.decoder.modules() if _is_linear(one)]
    for module in changed:
        module.forward = partial(_project, module)
    for number, both in enumerate(zip(activations, projections, strict=True)):
        _replace(*both, site, partial(seen.__setitem__, number))
    try:
        yield seen
    finally:
        for module in {*changed, *(one.module for one in (*activations, *projections))}:
            del module.forward


def _replace(activation: SiteModule, projection: SiteModule, site: Site, keep: Keep) -> None:
    """Replace the forward methods of a block's modules, and keep the values at one site."""
    module: Any = activation.module
    if activation.experts is not None:
        module.forward = partial(_routed, activation, site, keep)
        return
    module.forward = _DEFINITIONS.get(type(module).__name__, partial(_own, module))
    noted: Any = module if site == "act" else projection.module
    noted.forward = partial(_noting, keep, noted.forward, site)


def _noting(keep: Keep, forward: Callable[[Tensor], Tensor], site: Site, x: Tensor) -> Any:
    result = forward(x)
    keep(result if site == "act" else x)
    return result


def _routed(
    experts: SiteModule, site: Site, keep: Keep, x: Tensor, index: Tensor, weights: Tensor
) -> Tensor:
    """Run every token through its experts, one after the other."""
    module: Any = experts.module
    shape = experts.experts
    assert shape is not None
    seen = x.new_full((len(x), *shape), torch.nan)
    result = torch.zeros_like(x)
    for token, chosen in enumerate(index.tolist()):
        for place, expert in enumerate(chosen):
            name = "gate_up_proj" if module.has_gate else "up_proj"
            act, post = _gated(experts, _of_expert(module, name, expert, x[token]))
            seen[token, expert] = act if site == "act" else post
            down = _of_expert(module, "down_proj", expert, post)
            result[token] += weights[token, place] * down
    keep(seen)
    return result


def _of_expert(module: Any, name: str, expert: int, x: Tensor) -> Tensor:
    """Multiply one token by a projection of one expert."""
    matrix = getattr(module, name)[expert]
    product: Tensor = x @ (matrix if module.is_transposed else matrix.T)
    return product + getattr(module, f"{name}_bias")[expert] if module.has_bias else product


def _gated(experts: SiteModule, projected: Tensor) -> tuple[Tensor, Tensor]:
    """Return the values of both sites that follow from what an expert projects."""
    module: Any = experts.module
    if experts.activation is clamped_gate:
        limit, alpha = module.limit, module.alpha
        gate, up = projected[::2].clamp(max=limit), projected[1::2].clamp(-limit, limit)
        act = gate * torch.sigmoid(alpha * gate)
        return act, act * (up + 1)
    if experts.activation is not None:
        return experts.activation(module, projected), module._apply_gate(projected)  # noqa: SLF001  (the library's own)
    activation = _DEFINITIONS.get(type(module.act_fn).__name__, module.act_fn)
    if not module.has_gate:
        act = activation(projected)
        return act, act
    gate, up = projected.chunk(2)
    act = activation(gate)
    return act, act * up


def _own(module: nn.Module, x: Tensor) -> Any:
    return type(module).forward(module, x)


def _is_linear(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear) or type(module).__name__ == "Conv1D"


def _project(module: Any, x: Tensor) -> Tensor:
    """Multiply by a projection's own weights; GPT-2 keeps them transposed."""
    weight = module.weight.T if isinstance(module, nn.Linear) else module.weight
    product: Tensor = x @ weight
    return product if module.bias is None else product + module.bias
