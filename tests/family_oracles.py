"""What every family's neurons are, computed from a model's own weights without any hook."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch.nn import functional

from bridgex.capture.plain import gelu, gelu_tanh, relu, relu_squared, silu

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from bridgex.capture import CaptureModel
    from bridgex.schema import Site


class Values(NamedTuple):
    """A layer's neurons at both sites, (token, neuron); NaN where a token is not routed."""

    act: Tensor
    post: Tensor


def silu_gate(_experts: Any, projected: Tensor) -> Values:
    gate, up = projected.chunk(2)
    return Values(silu(gate), silu(gate) * up)


def gpt_oss_gate(experts: Any, projected: Tensor) -> Values:
    limit = experts.config.swiglu_limit
    gate, up = projected[::2].clamp(max=limit), projected[1::2].clamp(-limit, limit)
    act = gate * torch.sigmoid(experts.config.swiglu_alpha * gate)
    return Values(act, (up + 1) * act)


def squared(_experts: Any, projected: Tensor) -> Values:
    return Values(relu_squared(projected), relu_squared(projected))


def xielu(x: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
    above = functional.softplus(positive) * x**2
    below = (0.5 + functional.softplus(negative)) * (torch.expm1(x.clamp(max=-1e-6)) - x)
    return torch.where(x > 0, above, below) + 0.5 * x


def sparse_gelu(x: Tensor) -> Tensor:
    """Of Gemma 3n: only what is among the largest quarter, were it normally distributed."""
    quarter = 0.67448975
    least = x.mean(-1, keepdim=True) + quarter * x.std(-1, keepdim=True, unbiased=False)
    return gelu_tanh(relu(x - least))


def halved_silu(x: Tensor) -> Tensor:
    """Of Falcon-H1: the small model's gate has a factor of its own."""
    return silu(0.5 * x)


class Oracle(NamedTuple):
    """How a family computes its neurons: input projections, and the non-linearity.

    Of a mixture of experts, where they are, the projections of a shared one, and how neurons follow
    from what an expert projects. ``fused``: a dense block has gate and values in one projection.
    ``parameters``: what else the non-linearity takes. ``norm``: what is between gate and down
    projection.
    """

    projections: tuple[str, ...]
    activation: Callable[..., Tensor]
    experts: str | None = None
    shared: tuple[str, ...] = ()
    gate: Callable[[Any, Tensor], Values] = silu_gate
    fused: bool = False
    parameters: tuple[str, ...] = ()
    norm: str = ""


GATED = ("mlp.gate_proj", "mlp.up_proj")
FUSED = ("mlp.gate_up_proj",)
FORWARD = ("feed_forward.gate_proj", "feed_forward.up_proj")
ROUTED = Oracle(
    GATED, silu, "mlp.experts", ("mlp.shared_experts.gate_proj", "mlp.shared_experts.up_proj")
)
ROUTED_QWEN = ROUTED._replace(shared=("mlp.shared_expert.gate_proj", "mlp.shared_expert.up_proj"))
ROUTED_JAMBA = Oracle(FORWARD, silu, "feed_forward.experts")
ROUTED_HUNYUAN = ROUTED._replace(shared=("mlp.shared_mlp.gate_proj", "mlp.shared_mlp.up_proj"))
FUSED_SHARED = ("shared_mlp.input_linear",)
ROUTED_GRANITE = Oracle(FUSED_SHARED, silu, "block_sparse_moe.experts", FUSED_SHARED, fused=True)
MIXER = Oracle(
    ("mixer.up_proj",), relu_squared, "mixer.experts", ("mixer.shared_experts.up_proj",), squared
)
ORACLES = {
    "afmoe": ROUTED,
    "apertus": Oracle(
        ("mlp.up_proj",), xielu, parameters=("mlp.act_fn.alpha_p", "mlp.act_fn.alpha_n")
    ),
    "arcee": Oracle(("mlp.up_proj",), relu_squared),
    "bamba": Oracle(FORWARD, silu),
    "biogpt": Oracle(("fc1",), gelu),
    "bitnet": Oracle(GATED, relu_squared, norm="mlp.ffn_sub_norm"),
    "bloom": Oracle(("mlp.dense_h_to_4h",), gelu_tanh),
    "codegen": Oracle(("mlp.fc_in",), gelu_tanh),
    "cohere": Oracle(GATED, silu),
    "cohere2": Oracle(GATED, silu),
    "cwm": Oracle(GATED, silu),
    "deepseek_v2": ROUTED,
    "deepseek_v3": ROUTED,
    "deepseek_v32": ROUTED,
    "diffllama": Oracle(GATED, silu),
    "doge": Oracle(GATED, silu),
    "dots1": ROUTED,
    "ernie4_5": Oracle(GATED, silu),
    "ernie4_5_moe": ROUTED,
    "exaone4": Oracle(GATED, silu),
    "exaone_moe": ROUTED,
    "falcon": Oracle(("mlp.dense_h_to_4h",), gelu),
    "falcon_h1": Oracle(FORWARD, halved_silu),
    "flex_olmo": ROUTED,
    "gemma": Oracle(GATED, gelu_tanh),
    "gemma2": Oracle(GATED, gelu_tanh),
    "gemma3_text": Oracle(GATED, gelu_tanh),
    "gemma3n_text": Oracle(GATED, sparse_gelu),
    "gemma4_text": Oracle(GATED, gelu_tanh),
    "glm": Oracle(FUSED, silu, fused=True),
    "glm4": Oracle(FUSED, silu, fused=True),
    "glm4_moe": ROUTED,
    "gpt2": Oracle(("mlp.c_fc",), gelu_tanh),
    "gpt_bigcode": Oracle(("mlp.c_fc",), gelu_tanh),
    "gpt_neo": Oracle(("mlp.c_fc",), gelu_tanh),
    "gpt_neox": Oracle(("mlp.dense_h_to_4h",), gelu),
    "gpt_neox_japanese": Oracle(("mlp.dense_h_to_4h",), gelu),
    "gpt_oss": ROUTED._replace(gate=gpt_oss_gate),
    "gptj": Oracle(("mlp.fc_in",), gelu_tanh),
    "granite": Oracle(GATED, silu),
    "granite_swa": Oracle(GATED, silu),
    "granitemoe": ROUTED_GRANITE,
    "granitemoehybrid": ROUTED_GRANITE,
    "granitemoeshared": ROUTED_GRANITE,
    "helium": Oracle(GATED, silu),
    "hunyuan_v1_dense": Oracle(GATED, silu),
    "hunyuan_v1_moe": ROUTED_HUNYUAN,
    "hyperclovax": Oracle(GATED, silu),
    "jais2": Oracle(("mlp.up_proj",), relu_squared),
    "jamba": ROUTED_JAMBA,
    "llama": Oracle(GATED, silu),
    "mimo_v2_flash": ROUTED,
    "minicpm3": Oracle(GATED, silu),
    "minimax": ROUTED,
    "minimax_m2": ROUTED,
    "ministral": Oracle(GATED, silu),
    "ministral3": Oracle(GATED, silu),
    "mistral": Oracle(GATED, silu),
    "mixtral": ROUTED,
    "mpt": Oracle(("ffn.up_proj",), gelu),
    "nanochat": Oracle(("mlp.fc1",), relu_squared),
    "nemotron": Oracle(("mlp.up_proj",), relu_squared),
    "nemotron_h": MIXER,
    "olmo": Oracle(GATED, silu),
    "olmo2": Oracle(GATED, silu),
    "olmo3": Oracle(GATED, silu),
    "olmo_hybrid": Oracle(GATED, silu),
    "olmoe": ROUTED,
    "opt": Oracle(("fc1",), relu),
    "persimmon": Oracle(("mlp.dense_h_to_4h",), relu_squared),
    "phi": Oracle(("mlp.fc1",), gelu_tanh),
    "phi3": Oracle(FUSED, silu, fused=True),
    "phimoe": ROUTED,
    "qwen2": Oracle(GATED, silu),
    "qwen2_5_vl_text": Oracle(GATED, silu),
    "qwen2_moe": ROUTED_QWEN,
    "qwen2_vl_text": Oracle(GATED, silu),
    "qwen3": Oracle(GATED, silu),
    "qwen3_5_moe_text": ROUTED_QWEN,
    "qwen3_5_text": Oracle(GATED, silu),
    "qwen3_moe": ROUTED,
    "qwen3_next": ROUTED_QWEN,
    "qwen3_vl_moe_text": ROUTED,
    "qwen3_vl_text": Oracle(GATED, silu),
    "recurrent_gemma": Oracle(("mlp_block.gate_proj", "mlp_block.up_proj"), gelu_tanh),
    "seed_oss": Oracle(GATED, silu),
    "smollm3": Oracle(GATED, silu),
    "solar_open": ROUTED,
    "stablelm": Oracle(GATED, silu),
    "starcoder2": Oracle(("mlp.c_fc",), gelu_tanh),
    "vaultgemma": Oracle(GATED, gelu_tanh),
    "xglm": Oracle(("fc1",), gelu),
    "youtu": Oracle(GATED, silu),
}


def project(module: Any, x: Tensor) -> Tensor:
    """Multiply by a projection's own weights; GPT-2 keeps them transposed."""
    transposed = type(module).__name__ == "Conv1D"
    weight = module.weight.T if transposed else module.weight
    return functional.linear(x, weight, module.bias)


def dense_values(layer: Any, oracle: Oracle, parts: list[Tensor]) -> Values:
    """Return the neurons that follow from the output of a block's input projections."""
    if len(oracle.projections) == 1 and oracle.fused:
        parts = list(parts[0].chunk(2, dim=-1))
    act = oracle.activation(parts[0], *map(layer.get_parameter, oracle.parameters))
    post = act * parts[1] if len(parts) == 2 else act
    return Values(act, layer.get_submodule(oracle.norm)(post) if oracle.norm else post)


@contextmanager
def projected(layer: Any, oracle: Oracle) -> Iterator[list[Tensor]]:
    """Replace the forward methods of a block's input projections, and see their outputs."""
    modules: list[Any] = [layer.get_submodule(name) for name in oracle.projections]
    seen: list[Tensor] = [torch.empty(0)] * len(modules)
    for number, module in enumerate(modules):

        def forward(x: Tensor, *, module: Any = module, number: int = number) -> Tensor:
            seen[number] = project(module, x)
            return seen[number]

        module.forward = forward
    yield seen
    for module in modules:
        del module.forward


@contextmanager
def routed(experts: Any, oracle: Oracle) -> Iterator[list[Values]]:
    """Replace the forward method of a layer's experts by a loop over tokens and experts."""
    seen: list[Values] = []

    def forward(x: Tensor, index: Tensor, weights: Tensor) -> Tensor:
        count = experts.num_experts
        result = torch.zeros_like(x)
        found: dict[tuple[int, int], Values] = {}
        for token in range(len(x)):
            for place, expert in enumerate(index[token].tolist()):
                name = "gate_up_proj" if experts.has_gate else "up_proj"
                up = linear(experts, name, expert, x[token])
                found[token, expert] = oracle.gate(experts, up)
                post = found[token, expert].post
                down = linear(experts, "down_proj", expert, post)
                result[token] += weights[token, place] * down
        width = len(post)
        neurons = Values(*(torch.full((len(x), count, width), torch.nan) for _ in Values._fields))
        for (token, expert), values in found.items():
            for into, value in zip(neurons, values, strict=True):
                into[token, expert] = value
        seen.append(Values(*(one.flatten(1) for one in neurons)))
        return result

    experts.forward = forward
    yield seen
    del experts.forward


def linear(experts: Any, name: str, expert: int, x: Tensor) -> Tensor:
    """Multiply one token by the matrix of one expert."""
    weight = getattr(experts, name)[expert]
    product: Tensor = (weight.T if experts.is_transposed else weight) @ x
    return product + getattr(experts, f"{name}_bias")[expert] if experts.has_bias else product


def plain_values(model: CaptureModel, text: str) -> dict[Site, list[NDArray[np.float64]]]:
    """Every layer's neurons (token, neuron) at both sites for one text, special tokens left out.

    NaN where a token is not routed to the neuron's expert.
    """
    oracle = ORACLES[model.provenance.architecture]
    count = len(model.provenance.layer_sizes)
    layers = next(
        module
        for module in model.decoder.modules()
        if isinstance(module, torch.nn.ModuleList) and len(module) == count
    )
    ids = torch.tensor([model.tokenizer(text).input_ids])
    own = [position for position, token in enumerate(ids[0].tolist()) if token > 3]
    with torch.no_grad(), ExitStack() as stack:
        watched = [watch(layer, oracle, stack) for layer in layers]
        model.model(ids)
    sites: tuple[Site, ...] = ("act", "post")
    result: dict[Site, list[NDArray[np.float64]]] = {site: [] for site in sites}
    for found in ([block() for block in blocks] for blocks in watched):
        for site in sites:
            values = [getattr(block, site).reshape(ids.shape[1], -1) for block in found]
            joined = torch.hstack([torch.empty(ids.shape[1], 0), *values])
            result[site].append(joined[own].double().numpy())
    return result


def watch(layer: Any, oracle: Oracle, stack: ExitStack) -> list[Callable[[], Values]]:
    """Watch the blocks of a layer; what is returned gives their neurons after a forward pass."""
    names = {name for name, _ in layer.named_modules()}
    if oracle.experts is not None and oracle.experts in names:
        experts = stack.enter_context(routed(layer.get_submodule(oracle.experts), oracle))
        shared = oracle._replace(projections=oracle.shared)
        rest = [shared] if oracle.shared and names.issuperset(oracle.shared) else []
        return [lambda: experts[0], *(dense(layer, one, stack) for one in rest)]
    return [dense(layer, oracle, stack)] if names.issuperset(oracle.projections) else []


def dense(layer: Any, oracle: Oracle, stack: ExitStack) -> Callable[[], Values]:
    seen = stack.enter_context(projected(layer, oracle))
    return lambda: dense_values(layer, oracle, seen)
