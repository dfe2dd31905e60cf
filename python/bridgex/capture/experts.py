"""Routed experts, computed by a function of ours so that their neurons can be read.

Transformers lets registered code compute the experts of a layer, and is the only place where the
neurons of one expert are seen: no module of the model is called per expert. The function does the
same whether anybody reads or not, and on the CPU gives the bits of transformers' own.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch.nn import functional
from transformers.integrations.moe import ExpertsInterface

from bridgex.schema import Experts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor, nn
    from transformers import PreTrainedModel

    Read = Callable[["Routing", "Computed"], None]
    Activation = Callable[[Any, Tensor], Tensor]

_NAME = "bridgex"
_EXPERT_AXES = 3  # expert, and the two of a matrix
_GROUPED_BYTES = 16
_readers: WeakKeyDictionary[nn.Module, Read] = WeakKeyDictionary()


class Routing(NamedTuple):
    """The rows that a layer's experts are given: one for every token and expert of its own.

    Rows are sorted by expert, and those of an expert by token.

    Attributes
    ----------
    token_count
        Tokens of the forward pass.
    tokens, experts
        Token and expert of every row, int64 (row,).
    counts
        Rows of every expert, int64 (expert,).
    """

    token_count: int
    tokens: Tensor
    experts: Tensor
    counts: Tensor

    def counted(self, tokens: Tensor) -> tuple[Tensor, Routing]:
        """Return the rows of some tokens, bool (token,), as their places and their routing."""
        rows = tokens[self.tokens].nonzero()[:, 0]
        experts = self.experts[rows]
        counts = torch.bincount(experts, minlength=len(self.counts))
        return rows, Routing(self.token_count, self.tokens[rows], experts, counts)


class Computed(NamedTuple):
    """What the experts of a layer computed for every row.

    Attributes
    ----------
    projected
        Output of the input projections (row, width).
    activations
        Output of the non-linearity (row, neuron); None where the family has a gate of its own.
    neurons
        Input of the down projection (row, neuron).
    """

    projected: Tensor
    activations: Tensor | None
    neurons: Tensor


def compute_experts_here(model: PreTrainedModel) -> None:
    """Let the function of this module compute a model's experts; nothing where it has none."""
    model.set_experts_implementation(_NAME)


def expert_shape(module: nn.Module, activation: Activation | None) -> Experts | None:
    """Return number and width of a layer's experts; None where they are computed in other ways."""
    down: Any = getattr(module, "down_proj", None)
    if not hasattr(module, "is_transposed") or getattr(down, "ndim", 0) != _EXPERT_AXES:
        return None
    if getattr(module, "has_post_expert_norm", False):
        return None
    if _has_own_gate(module) != (activation is not None):
        return None
    return Experts(down.shape[0], down.shape[1 if module.is_transposed else 2])


@contextmanager
def reading_experts(module: nn.Module, read: Read) -> Iterator[None]:
    """Read a layer's experts while the context is open.

    ``read(routing, computed)`` is called in every forward pass.
    """
    _readers[module] = read
    try:
        yield
    finally:
        del _readers[module]


def is_read(module: nn.Module) -> bool:
    """Tell whether a layer's experts are being read."""
    return module in _readers


def clamped_gate(experts: Any, projected: Tensor) -> Tensor:
    """Return the activations of GPT-OSS: a gate in every second place, clamped from above."""
    gate = projected[..., ::2].clamp(max=experts.limit)
    return gate * torch.sigmoid(gate * experts.alpha)


def _compute(
    module: Any, hidden_states: Tensor, top_k_index: Tensor, top_k_weights: Tensor
) -> Tensor:
    """Return the weighted sum of the experts of every token, as transformers calls for it."""
    chosen = top_k_index.shape[-1]
    experts, order = top_k_index.reshape(-1).sort(stable=True)
    counts = torch.bincount(experts, minlength=module.num_experts)
    tokens = order // chosen
    name = "gate_up_proj" if module.has_gate else "up_proj"
    projected = _project(module, name, hidden_states[tokens], experts, counts)
    computed = _gated(module, projected)
    if is_read(module):
        _readers[module](Routing(len(hidden_states), tokens, experts, counts), computed)
    output = _project(module, "down_proj", computed.neurons, experts, counts)
    weighted = output * top_k_weights.reshape(-1)[order, None]
    by_token = torch.empty_like(weighted)
    by_token[order] = weighted
    return by_token.view(-1, chosen, by_token.shape[-1]).sum(1).to(hidden_states.dtype)


def _gated(module: Any, projected: Tensor) -> Computed:
    """Apply the gate. Of the usual one the activations are at hand on the way."""
    if not module.has_gate:
        activations = module.act_fn(projected)
        return Computed(projected, activations, activations)
    if _has_own_gate(module):
        return Computed(projected, None, module._apply_gate(projected))  # noqa: SLF001
    gate, up = projected.chunk(2, dim=-1)
    activations = module.act_fn(gate)
    return Computed(projected, activations, activations * up)


def _has_own_gate(module: Any) -> bool:
    """Tell whether a family computes its gate otherwise than transformers usually does."""
    gate: Any = type(module)._apply_gate  # noqa: SLF001
    return bool(module.has_gate) and gate.__module__ != ExpertsInterface.__module__


def _project(module: Any, name: str, rows: Tensor, experts: Tensor, counts: Tensor) -> Tensor:
    weights = getattr(module, name)
    if not module.is_transposed:
        weights = weights.transpose(-2, -1)
    output = _multiply(rows.to(weights.dtype), weights, counts)
    if module.has_bias:
        output += getattr(module, f"{name}_bias")[experts]
    return output


def _multiply(rows: Tensor, weights: Tensor, counts: Tensor) -> Tensor:
    """Multiply the rows of every expert (row, input) by its weights (expert, input, output)."""
    if _has_grouped_product(weights):
        ends = counts.cumsum(0, dtype=torch.int32)
        return functional.grouped_mm(rows, weights, offs=ends)
    parts = zip(torch.split(rows, counts.tolist()), weights, strict=True)
    return torch.cat([part @ weight for part, weight in parts])


def _has_grouped_product(weights: Tensor) -> bool:
    """Say whether torch multiplies by many experts at once: since 2.10, and on recent GPUs.

    Rows of a matrix must be a multiple of 16 bytes long, whichever way it is laid out.
    """
    if not hasattr(functional, "grouped_mm"):
        return False
    if any(size * weights.itemsize % _GROUPED_BYTES for size in weights.shape[1:]):
        return False
    if weights.device.type == "cuda":
        return torch.cuda.get_device_capability(weights.device) >= (8, 0)
    return weights.device.type == "cpu"


ExpertsInterface.register(_NAME, _compute)
