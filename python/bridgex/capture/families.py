"""The architecture families, one table row each: what a layer is made of, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bridgex.capture.experts import clamped_gate, halved_gate

if TYPE_CHECKING:
    from bridgex.capture.experts import Activation


class Block(NamedTuple):
    """Paths, within a layer, of an activation module and of the down projection behind it."""

    activation: str
    down_projection: str


class Family(NamedTuple):
    """The feed-forward blocks that the layers of a family have.

    A layer with ``experts`` has routed experts, and a shared one where ``shared`` is there too;
    any other is dense.

    Attributes
    ----------
    block
        Of a dense layer.
    experts
        Path of the routed experts, within a layer.
    shared
        What every token passes beside its experts.
    activation
        How the activations of routed experts follow from what they project.
    partial
        Whether layers without a feed-forward block are expected.
    """

    block: Block | None = None
    experts: str | None = None
    shared: Block | None = None
    activation: Activation = halved_gate
    partial: bool = False


_GATED = Block("mlp.act_fn", "mlp.down_proj")
_FORWARD = Block("feed_forward.act_fn", "feed_forward.down_proj")

GATED = Family(_GATED)
FUSED_GATE = Family(Block("mlp.activation_fn", "mlp.down_proj"))
GPT = Family(Block("mlp.act", "mlp.c_proj"))
GPTJ = Family(Block("mlp.act", "mlp.fc_out"))
NEOX = Family(Block("mlp.act", "mlp.dense_4h_to_h"))
PHI = Family(Block("mlp.activation_fn", "mlp.fc2"))
IN_LAYER = Family(Block("activation_fn", "fc2"))
ROUTED = Family(
    _GATED, "mlp.experts", Block("mlp.shared_experts.act_fn", "mlp.shared_experts.down_proj")
)
ROUTED_QWEN = Family(
    _GATED, "mlp.experts", Block("mlp.shared_expert.act_fn", "mlp.shared_expert.down_proj")
)
ROUTED_GRANITE = Family(
    experts="block_sparse_moe.experts",
    shared=Block("shared_mlp.activation", "shared_mlp.output_linear"),
)

FAMILIES: dict[str, Family] = {
    "arcee": GATED,
    "biogpt": IN_LAYER,
    "bloom": Family(Block("mlp.gelu_impl", "mlp.dense_4h_to_h")),
    "codegen": GPTJ,
    "cohere": GATED,
    "cohere2": GATED,
    "deepseek_v3": ROUTED,
    "exaone4": GATED,
    "falcon": NEOX,
    "gemma": GATED,
    "gemma2": GATED,
    "gemma3_text": GATED,
    "glm": FUSED_GATE,
    "glm4": FUSED_GATE,
    "gpt2": GPT,
    "gpt_bigcode": GPT,
    "gpt_neo": GPT,
    "gpt_neox": NEOX,
    "gpt_oss": Family(experts="mlp.experts", activation=clamped_gate),
    "gptj": GPTJ,
    "granite": GATED,
    "helium": GATED,
    "llama": GATED,
    "mistral": GATED,
    "mixtral": ROUTED,
    "mpt": Family(Block("ffn.act", "ffn.down_proj")),
    "nemotron": GATED,
    "olmo": GATED,
    "olmo2": GATED,
    "olmo3": GATED,
    "olmoe": ROUTED,
    "opt": IN_LAYER,
    "phi": PHI,
    "phi3": FUSED_GATE,
    "qwen2": GATED,
    "qwen2_moe": ROUTED_QWEN,
    "qwen3": GATED,
    "qwen3_moe": ROUTED,
    "seed_oss": GATED,
    "smollm3": GATED,
    "stablelm": GATED,
    "starcoder2": GPT,
    "xglm": IN_LAYER,
}
