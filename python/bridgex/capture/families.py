"""The architecture families, one table row each: what a layer is made of, and where.

To add one:

1. Look at a layer: ``print(AutoModelForCausalLM.from_config(config).get_decoder().layers[0])``.
2. Add a row to ``FAMILIES``, by the ``model_type`` of the language model's configuration: paths of
   the activation module and of the down projection in that layer, of its experts if it has any.
   Where a family of the same build is there already, share its constant.
3. Add how its neurons are computed to ``tests/family_oracles.py``, from the model's own code, and
   what a small model needs besides the usual sizes to ``tests/small_models.py``.
4. Run ``pytest tests/capture -k MODEL_TYPE`` and ``make docs``.

A family whose neurons cannot be read belongs into ``REFUSED``, with the reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bridgex.capture.experts import clamped_gate

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
        How the activations of routed experts follow from what they project, where they have a gate
        of their own.
    partial
        Whether layers without a feed-forward block are expected.
    example
        A public model of the family, by its name on the Hub.
    """

    block: Block | None = None
    experts: str | None = None
    shared: Block | None = None
    activation: Activation | None = None
    partial: bool = False
    example: str = ""

    def of(self, example: str) -> Family:
        """Return the same family with an example."""
        return self._replace(example=example)


_GATED = Block("mlp.act_fn", "mlp.down_proj")
_FORWARD = Block("feed_forward.act_fn", "feed_forward.down_proj")
_FUSED = Block("shared_mlp.activation", "shared_mlp.output_linear")

GATED = Family(_GATED)
FORWARD = Family(_FORWARD)
FUSED_GATE = Family(Block("mlp.activation_fn", "mlp.down_proj"))
GPT = Family(Block("mlp.act", "mlp.c_proj"))
GPTJ = Family(Block("mlp.act", "mlp.fc_out"))
NEOX = Family(Block("mlp.act", "mlp.dense_4h_to_h"))
PHI = Family(Block("mlp.activation_fn", "mlp.fc2"))
IN_LAYER = Family(Block("activation_fn", "fc2"))
EXPERTS = Family(experts="mlp.experts")
OR_EXPERTS = Family(_GATED, "mlp.experts")
ROUTED = Family(
    _GATED, "mlp.experts", Block("mlp.shared_experts.act_fn", "mlp.shared_experts.down_proj")
)
ROUTED_QWEN = Family(
    _GATED, "mlp.experts", Block("mlp.shared_expert.act_fn", "mlp.shared_expert.down_proj")
)
SHARED_QWEN = ROUTED_QWEN._replace(block=None)
GRANITE_EXPERTS = Family(experts="block_sparse_moe.experts")
ROUTED_GRANITE = GRANITE_EXPERTS._replace(block=_FUSED, shared=_FUSED)

FAMILIES: dict[str, Family] = {
    "afmoe": ROUTED.of("arcee-ai/Trinity-Mini"),
    "apertus": GATED.of("swiss-ai/Apertus-8B-2509"),
    "arcee": GATED.of("arcee-ai/AFM-4.5B"),
    "bamba": FORWARD.of("ibm-fms/Bamba-9.8b-2.2T-hf"),
    "biogpt": IN_LAYER.of("microsoft/biogpt"),
    "bitnet": GATED.of("microsoft/bitnet-b1.58-2B-4T"),
    "bloom": Family(Block("mlp.gelu_impl", "mlp.dense_4h_to_h")).of("bigscience/bloom-7b1"),
    "codegen": GPTJ.of("Salesforce/codegen-2B-mono"),
    "cohere": GATED.of("CohereLabs/aya-23-8B"),
    "cohere2": GATED.of("CohereLabs/c4ai-command-r7b-12-2024"),
    "cwm": GATED.of("facebook/cwm"),
    "deepseek_v2": ROUTED.of("deepseek-ai/DeepSeek-V2-Lite"),
    "deepseek_v3": ROUTED.of("deepseek-ai/DeepSeek-V3"),
    "deepseek_v32": ROUTED.of("deepseek-ai/DeepSeek-V3.2-Exp"),
    "diffllama": GATED.of("kajuma/DiffLlama-0.3B-handcut"),
    "doge": GATED.of("SmallDoge/Doge-320M"),
    "dots1": ROUTED.of("rednote-hilab/dots.llm1.base"),
    "ernie4_5": GATED.of("baidu/ERNIE-4.5-0.3B-PT"),
    "ernie4_5_moe": ROUTED.of("baidu/ERNIE-4.5-21B-A3B-PT"),
    "exaone4": GATED.of("LGAI-EXAONE/EXAONE-4.0-32B"),
    "exaone_moe": ROUTED.of("LGAI-EXAONE/K-EXAONE-236B-A23B"),
    "falcon": NEOX.of("tiiuae/falcon-7b"),
    "falcon_h1": FORWARD.of("tiiuae/Falcon-H1-1.5B-Base"),
    "flex_olmo": EXPERTS.of("allenai/FlexOlmo-7x7B-1T"),
    "gemma": GATED.of("google/gemma-7b"),
    "gemma2": GATED.of("google/gemma-2-9b"),
    "gemma3_text": GATED.of("google/gemma-3-1b-pt"),
    "gemma3n_text": GATED.of("google/gemma-3n-E4B"),
    "gemma4_text": GATED.of("google/gemma-4-E2B"),
    "glm": FUSED_GATE.of("THUDM/glm-4-9b-hf"),
    "glm4": FUSED_GATE.of("THUDM/GLM-4-9B-0414"),
    "glm4_moe": ROUTED.of("zai-org/GLM-4.5-Air-Base"),
    "gpt2": GPT.of("openai-community/gpt2"),
    "gpt_bigcode": GPT.of("bigcode/starcoder"),
    "gpt_neo": GPT.of("EleutherAI/gpt-neo-1.3B"),
    "gpt_neox": NEOX.of("EleutherAI/pythia-6.9b"),
    "gpt_neox_japanese": NEOX.of("abeja/gpt-neox-japanese-2.7b"),
    "gpt_oss": EXPERTS._replace(activation=clamped_gate).of("openai/gpt-oss-20b"),
    "gptj": GPTJ.of("EleutherAI/gpt-j-6b"),
    "granite": GATED.of("ibm-granite/granite-3.0-8b-base"),
    "granite_swa": GATED.of("ibm-granite/granite-swash-2b"),
    "granitemoe": GRANITE_EXPERTS.of("ibm-granite/granite-3.0-3b-a800m-base"),
    "granitemoehybrid": ROUTED_GRANITE.of("ibm-granite/granite-4.0-tiny-preview"),
    "granitemoeshared": ROUTED_GRANITE.of("ibm-research/moe-7b-1b-active-shared-experts"),
    "helium": GATED.of("kyutai/helium-1-2b"),
    "hunyuan_v1_dense": GATED.of("tencent/Hunyuan-7B-Pretrain"),
    "hunyuan_v1_moe": Family(
        experts="mlp.experts", shared=Block("mlp.shared_mlp.act_fn", "mlp.shared_mlp.down_proj")
    ).of("tencent/Hunyuan-A13B-Instruct"),
    "hyperclovax": GATED.of("naver-hyperclovax/HyperCLOVAX-SEED-Think-14B"),
    "jais2": GATED.of("inceptionai/Jais-2-8B-Chat"),
    "jamba": FORWARD._replace(experts="feed_forward.experts").of("ai21labs/Jamba-v0.1"),
    "llama": GATED.of("meta-llama/Llama-3.1-8B"),
    "mimo_v2_flash": OR_EXPERTS.of("XiaomiMiMo/MiMo-V2-Flash"),
    "minicpm3": GATED.of("openbmb/MiniCPM3-4B"),
    "minimax": EXPERTS.of("MiniMaxAI/MiniMax-Text-01-hf"),
    "minimax_m2": EXPERTS.of("MiniMaxAI/MiniMax-M2"),
    "ministral": GATED.of("mistralai/Ministral-8B-Instruct-2410"),
    "ministral3": GATED.of("mistralai/Ministral-3-8B-Base-2512"),
    "mistral": GATED.of("mistralai/Mistral-7B-v0.3"),
    "mixtral": EXPERTS.of("mistralai/Mixtral-8x7B-v0.1"),
    "mpt": Family(Block("ffn.act", "ffn.down_proj")).of("mosaicml/mpt-7b"),
    "nanochat": PHI.of("karpathy/nanochat-d32"),
    "nemotron": GATED.of("nvidia/Minitron-4B-Base"),
    "nemotron_h": Family(
        Block("mixer.act_fn", "mixer.down_proj"),
        "mixer.experts",
        Block("mixer.shared_experts.act_fn", "mixer.shared_experts.down_proj"),
        partial=True,
    ).of("nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-Base-BF16"),
    "olmo": GATED.of("allenai/OLMo-7B-hf"),
    "olmo2": GATED.of("allenai/OLMo-2-1124-7B"),
    "olmo3": GATED.of("allenai/Olmo-3-7B-Instruct"),
    "olmo_hybrid": GATED.of("allenai/Olmo-Hybrid-7B"),
    "olmoe": EXPERTS.of("allenai/OLMoE-1B-7B-0924"),
    "opt": IN_LAYER.of("facebook/opt-6.7b"),
    "persimmon": NEOX.of("adept/persimmon-8b-base"),
    "phi": PHI.of("microsoft/phi-2"),
    "phi3": FUSED_GATE.of("microsoft/phi-4"),
    "phimoe": EXPERTS.of("microsoft/Phi-3.5-MoE-instruct"),
    "qwen2": GATED.of("Qwen/Qwen2.5-7B"),
    "qwen2_5_vl_text": GATED.of("Qwen/Qwen2.5-VL-7B-Instruct"),
    "qwen2_moe": ROUTED_QWEN.of("Qwen/Qwen1.5-MoE-A2.7B"),
    "qwen2_vl_text": GATED.of("Qwen/Qwen2-VL-7B-Instruct"),
    "qwen3": GATED.of("Qwen/Qwen3-8B-Base"),
    "qwen3_5_moe_text": SHARED_QWEN.of("Qwen/Qwen3.5-35B-A3B"),
    "qwen3_5_text": GATED.of("Qwen/Qwen3.5-27B"),
    "qwen3_moe": OR_EXPERTS.of("Qwen/Qwen3-30B-A3B-Base"),
    "qwen3_next": ROUTED_QWEN.of("Qwen/Qwen3-Next-80B-A3B-Instruct"),
    "qwen3_vl_moe_text": OR_EXPERTS.of("Qwen/Qwen3-VL-30B-A3B-Instruct"),
    "qwen3_vl_text": GATED.of("Qwen/Qwen3-VL-4B-Instruct"),
    "recurrent_gemma": Family(Block("mlp_block.act_fn", "mlp_block.down_proj")).of(
        "google/recurrentgemma-2b"
    ),
    "seed_oss": GATED.of("ByteDance-Seed/Seed-OSS-36B-Base"),
    "smollm3": GATED.of("HuggingFaceTB/SmolLM3-3B-Base"),
    "solar_open": ROUTED._replace(block=None).of("upstage/Solar-Open-100B"),
    "stablelm": GATED.of("stabilityai/stablelm-2-1_6b"),
    "starcoder2": GPT.of("bigcode/starcoder2-7b"),
    "vaultgemma": GATED.of("google/vaultgemma-1b"),
    "xglm": IN_LAYER.of("facebook/xglm-7.5B"),
    "youtu": GATED.of("tencent/Youtu-LLM-2B"),
}

WRAPPERS: dict[str, str] = {
    "aya_vision": "CohereLabs/aya-vision-8b",
    "cohere2_vision": "CohereLabs/command-a-vision-07-2025",
    "exaone4_5": "LGAI-EXAONE/EXAONE-4.5-33B",
    "gemma3": "google/gemma-3-4b-pt",
    "gemma4": "google/gemma-4-E2B",
    "idefics2": "HuggingFaceM4/idefics2-8b",
    "idefics3": "HuggingFaceM4/Idefics3-8B-Llama3",
    "internvl": "OpenGVLab/InternVL3-1B-hf",
    "lighton_ocr": "lightonai/LightOnOCR-1B-1025",
    "llava": "llava-hf/llava-1.5-7b-hf",
    "llava_next": "llava-hf/llava-v1.6-mistral-7b-hf",
    "llava_onevision": "llava-hf/llava-onevision-qwen2-7b-ov-hf",
    "mistral3": "mistralai/Mistral-Small-3.1-24B-Base-2503",
    "qwen2_5_vl": "Qwen/Qwen2.5-VL-7B-Instruct",
    "qwen2_vl": "Qwen/Qwen2-VL-7B-Instruct",
    "qwen3_5": "Qwen/Qwen3.5-27B",
    "qwen3_5_moe": "Qwen/Qwen3.5-35B-A3B",
    "qwen3_vl": "Qwen/Qwen3-VL-4B-Instruct",
    "qwen3_vl_moe": "Qwen/Qwen3-VL-30B-A3B-Instruct",
    "smolvlm": "HuggingFaceTB/SmolVLM2-2.2B-Instruct",
    "video_llama_3": "lkhl/VideoLLaMA3-2B-Image-HF",
    "vipllava": "llava-hf/vip-llava-7b-hf",
}
"""Models for pictures or sound too whose language tower is read, each with an example."""

RESIDENT = frozenset({"gemma3n_text", "gemma4_text"})
"""Families whose layers take keys from earlier ones: they cannot be run one at a time."""

UNDIVIDED = frozenset({"bamba", "falcon_h1", "jamba", "nemotron_h", "olmo_hybrid", "qwen3_5_text"})
"""Families whose mixers use parameters of modules that they do not call.

Their layers can be run one at a time. One that does not fit can be loaded part by part only where
those parameters are small beside it.
"""

_NO_BLOCK = "its layers have no feed-forward block"
_NO_MODULE = "its non-linearity is no module of its own"
_OWN_EXPERTS = "transformers lets no other code compute its experts"
_ENCODER = "it reads a text in both directions"

REFUSED: dict[str, str] = {
    "bert": _ENCODER,
    "falcon_mamba": _NO_BLOCK,
    "gemma3n": "it cannot be built without other packages for its pictures; gemma3n_text can",
    "hrm_text": "its layers are run several times",
    "jetmoe": _OWN_EXPERTS,
    "lfm2": _NO_MODULE,
    "lfm2_moe": _NO_MODULE,
    "llama4_text": _OWN_EXPERTS,
    "mamba": _NO_BLOCK,
    "mamba2": _NO_BLOCK,
    "mllama": "some of its layers are passed over where there is no picture",
    "openai-gpt": "its layers share one module for the non-linearity",
    "paligemma": "it reads its prompt in both directions",
    "roberta": _ENCODER,
    "rwkv": _NO_MODULE,
    "t5": "it is an encoder and a decoder",
    "xlm-roberta": _ENCODER,
    "xlstm": _NO_BLOCK,
    "zamba": "its layers share one feed-forward block",
}
"""Why a family cannot be captured, of those that are likely to be asked for."""
