"""Small random models of every architecture family, made on the spot."""

from __future__ import annotations

from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForMultimodalLM,
    PreTrainedTokenizerFast,
)

SPECIAL = ("<pad>", "<bos>", "<eos>", "<unk>")
MERGES = (("H", "u"), ("n", "d"), ("Hu", "nd"), ("Ġ", '"'), ("t", "h"))
COMMON = {
    "num_hidden_layers": 3,
    "hidden_size": 16,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "intermediate_size": 24,
    "max_position_embeddings": 96,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
    "tie_word_embeddings": False,
}
MULTIMODAL_ROTARY = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [1, 1, 2]}
EXPERTS = {
    "num_experts": 4,
    "num_local_experts": 4,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 20,
    "n_shared_experts": 1,
    "first_k_dense_replace": 1,
    "n_group": 1,
    "topk_group": 1,
}
LATENT = {
    "num_key_value_heads": 2,
    "q_lora_rank": 8,
    "kv_lora_rank": 8,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 8,
    "v_head_dim": 8,
}
LINEAR = {
    "head_dim": 8,
    "layer_types": ["linear_attention", "full_attention", "linear_attention"],
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 2,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
}
QWEN_VL = {
    "rope_parameters": MULTIMODAL_ROTARY,
    "rms_norm_eps": 1e-6,
}
# What a family calls differently, or needs besides.
EXTRA: dict[str, dict[str, Any]] = {
    "falcon": {"ffn_hidden_size": 24},
    "gemma": {"head_dim": 8},
    "gemma2": {"head_dim": 8, "final_logit_softcapping": 5.0, "sliding_window": 8},
    "gemma3_text": {"head_dim": 8, "sliding_window": 8, "query_pre_attn_scalar": 8},
    "glm": {"head_dim": 8},
    "glm4": {"head_dim": 8},
    "gpt2": {"n_inner": 24},
    "gpt_bigcode": {"n_inner": 24},
    "gpt_neo": {"attention_types": [[["global", "local", "global"], 1]], "window_size": 8},
    "gptj": {"n_inner": 24, "rotary_dim": 4},
    "codegen": {"n_inner": 24, "rotary_dim": 4, "num_attention_heads": 4},
    "granite": {"logits_scaling": 3.0},
    "helium": {"head_dim": 8},
    "cohere": {"logit_scale": 0.25},
    "cohere2": {"logit_scale": 0.25, "sliding_window": 8},
    "opt": {"ffn_dim": 24, "word_embed_proj_dim": 16},
    "qwen3": {"head_dim": 8},
    "xglm": {"ffn_dim": 24},
    "qwen2_5_vl_text": QWEN_VL,
    "qwen2_vl_text": QWEN_VL,
    "mixtral": {"num_local_experts": 4},
    "qwen2_moe": {
        "num_experts": 4,
        "moe_intermediate_size": 20,
        "shared_expert_intermediate_size": 28,
        "num_experts_per_tok": 2,
        "mlp_only_layers": [1],
    },
    "qwen3_moe": {
        "num_experts": 4,
        "moe_intermediate_size": 20,
        "num_experts_per_tok": 2,
        "head_dim": 8,
    },
    "olmoe": {"num_experts": 4, "num_experts_per_tok": 2},
    "deepseek_v3": {
        "num_key_value_heads": 2,
        "n_routed_experts": 4,
        "moe_intermediate_size": 20,
        "n_shared_experts": 1,
        "num_experts_per_tok": 2,
        "first_k_dense_replace": 1,
        "n_group": 1,
        "topk_group": 1,
        "q_lora_rank": 8,
        "kv_lora_rank": 8,
        "qk_nope_head_dim": 8,
        "qk_rope_head_dim": 8,
        "v_head_dim": 8,
    },
    "gpt_oss": {"num_local_experts": 4, "num_experts_per_tok": 2, "head_dim": 8},
    "bamba": {
        "mamba_n_heads": 4,
        "mamba_d_head": 8,
        "mamba_d_state": 8,
        "mamba_n_groups": 1,
        "attn_layer_indices": [1],
    },
    "cwm": {"head_dim": 8},
    "diffllama": {"num_key_value_heads": 2},
    "ernie4_5": {"head_dim": 8},
    "falcon_h1": {
        "mamba_d_ssm": 32,
        "mamba_n_heads": 4,
        "mamba_d_head": 8,
        "mamba_d_state": 8,
        "mamba_n_groups": 1,
        "head_dim": 8,
        "mlp_multipliers": [0.5, 2.0],
    },
    "gemma3n_text": {
        "num_hidden_layers": 4,
        "head_dim": 8,
        "vocab_size_per_layer_input": 265,
        "hidden_size_per_layer_input": 8,
        "num_kv_shared_layers": 2,
        "sliding_window": 8,
        "layer_types": ["sliding_attention", "full_attention"] * 2,
        "laurel_rank": 4,
        "intermediate_size": [24, 28, 24, 28],
        "activation_sparsity_pattern": [0.75] * 4,
        "altup_num_inputs": 2,
    },
    "gemma4_text": {
        "num_hidden_layers": 4,
        "head_dim": 8,
        "global_head_dim": 8,
        "vocab_size_per_layer_input": 265,
        "hidden_size_per_layer_input": 8,
        "num_kv_shared_layers": 2,
        "use_double_wide_mlp": True,
        "sliding_window": 8,
        "layer_types": ["sliding_attention", "full_attention"] * 2,
    },
    "gpt_neox_japanese": {"intermediate_multiple_size": 2},
    "hunyuan_v1_dense": {"head_dim": 8},
    "minicpm3": LATENT,
    "ministral": {"head_dim": 8},
    "ministral3": {"head_dim": 8},
    "nanochat": {"head_dim": 8},
    "olmo_hybrid": {
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 2,
        "linear_key_head_dim": 8,
        "linear_value_head_dim": 8,
        "num_key_value_heads": 2,
    },
    "qwen3_5_text": LINEAR,
    "qwen3_vl_text": {"head_dim": 8, "rope_parameters": MULTIMODAL_ROTARY},
    "recurrent_gemma": {
        "head_dim": 8,
        "lru_width": 16,
        "attention_window_size": 8,
        "block_types": ["recurrent", "attention"],
    },
    "vaultgemma": {"head_dim": 8},
    "youtu": LATENT,
    "afmoe": EXPERTS | {"num_dense_layers": 1, "head_dim": 8},
    "deepseek_v2": EXPERTS | LATENT,
    "deepseek_v32": EXPERTS | LATENT | {"index_n_heads": 2, "index_head_dim": 8, "index_topk": 8},
    "dots1": EXPERTS,
    "ernie4_5_moe": EXPERTS
    | {"moe_num_experts": 4, "moe_k": 2, "moe_num_shared_experts": 1, "moe_layer_start_index": 1},
    "exaone_moe": EXPERTS | {"head_dim": 8},
    "flex_olmo": EXPERTS,
    "glm4_moe": EXPERTS | {"head_dim": 8},
    "granitemoe": EXPERTS,
    "granitemoeshared": EXPERTS | {"shared_intermediate_size": 28},
    "granitemoehybrid": EXPERTS
    | {
        "shared_intermediate_size": 28,
        "mamba_n_heads": 4,
        "mamba_d_head": 8,
        "mamba_d_state": 8,
        "layer_types": ["mamba", "attention", "mamba"],
    },
    "hunyuan_v1_moe": EXPERTS | {"moe_topk": 2, "head_dim": 8},
    "jamba": EXPERTS
    | {
        "mamba_d_state": 8,
        "mamba_dt_rank": 4,
        "attn_layer_period": 3,
        "attn_layer_offset": 1,
        "expert_layer_period": 2,
        "expert_layer_offset": 1,
        "use_mamba_kernels": False,
    },
    "mimo_v2_flash": EXPERTS | {"head_dim": 8},
    "minimax": EXPERTS | {"head_dim": 8, "block_size": 8},
    "minimax_m2": EXPERTS | {"head_dim": 8},
    "nemotron_h": EXPERTS
    | {
        "num_hidden_layers": 4,
        "layers_block_type": ["mamba", "mlp", "attention", "moe"],
        "mamba_num_heads": 4,
        "mamba_head_dim": 8,
        "ssm_state_size": 8,
        "n_groups": 1,
        "head_dim": 8,
        "moe_shared_expert_intermediate_size": 28,
    },
    "phimoe": EXPERTS,
    "qwen3_5_moe_text": EXPERTS | LINEAR | {"shared_expert_intermediate_size": 28},
    "qwen3_next": EXPERTS
    | LINEAR
    | {"shared_expert_intermediate_size": 28, "mlp_only_layers": [1]},
    "qwen3_vl_moe_text": EXPERTS | {"head_dim": 8, "rope_parameters": MULTIMODAL_ROTARY},
    "solar_open": EXPERTS | {"head_dim": 8},
}
TOWER = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "head_dim": 8,
    "image_size": 28,
    "patch_size": 14,
}
QWEN_TOWER = {
    "depth": 1,
    "hidden_size": 16,
    "intermediate_size": 24,
    "embed_dim": 16,
    "num_heads": 2,
    "out_hidden_size": 16,
}
SIGLIP, CLIP, PIXTRAL = (
    TOWER | {"model_type": name} for name in ("siglip_vision_model", "clip_vision_model", "pixtral")
)
# What reads text in a model for pictures too, and what sees the pictures.
WRAPPED: dict[str, tuple[str, dict[str, Any]]] = {
    "aya_vision": ("cohere2", SIGLIP),
    "cohere2_vision": ("cohere2", SIGLIP),
    "exaone4_5": ("exaone4", QWEN_TOWER),
    "gemma3": ("gemma3_text", SIGLIP),
    "gemma4": ("gemma4_text", TOWER | {"position_embedding_size": 16}),
    "idefics2": ("mistral", TOWER),
    "idefics3": ("llama", TOWER),
    "internvl": ("qwen2", TOWER),
    "lighton_ocr": ("qwen3", PIXTRAL),
    "llava": ("llama", CLIP),
    "llava_next": ("mistral", CLIP),
    "llava_onevision": ("qwen2", SIGLIP),
    "mistral3": ("mistral", PIXTRAL),
    "paligemma": ("gemma", SIGLIP),
    "qwen2_5_vl": ("qwen2_5_vl_text", QWEN_TOWER),
    "qwen2_vl": ("qwen2_vl_text", QWEN_TOWER),
    "qwen3_5": ("qwen3_5_text", QWEN_TOWER),
    "qwen3_5_moe": ("qwen3_5_moe_text", QWEN_TOWER),
    "qwen3_vl": ("qwen3_vl_text", QWEN_TOWER),
    "qwen3_vl_moe": ("qwen3_vl_moe_text", QWEN_TOWER),
    "smolvlm": ("llama", TOWER),
    "video_llama_3": ("qwen2", TOWER),
    "vipllava": ("llama", CLIP),
}
# Language models that exist only as a part of another.
WITHIN = {text: name for name, (text, _) in WRAPPED.items() if "_vl_" in text}


def make_tokenizer() -> PreTrainedTokenizerFast:
    """Bytes and a few merges; a mark of beginning before every text."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [*SPECIAL, *alphabet, *(left + right for left, right in MERGES)]
    vocabulary = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=list(MERGES)))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A", special_tokens=[("<bos>", 1)]
    )
    names = dict(zip(("pad_token", "bos_token", "eos_token", "unk_token"), SPECIAL, strict=True))
    untyped: Any = PreTrainedTokenizerFast
    made: PreTrainedTokenizerFast = untyped(tokenizer_object=tokenizer, **names)
    return made


def make_model(architecture: str, vocabulary: int, **changes: object) -> Any:
    """A random model whose activations are of both signs and whose choices are not all equal."""
    name = WITHIN.get(architecture, architecture)
    text, other = WRAPPED.get(name, (name, {}))
    values = COMMON | EXTRA.get(text, {}) | {"vocab_size": vocabulary} | changes
    untyped: Any = AutoModelForCausalLM
    if other:
        values = {"text_config": values | {"model_type": text}, "vision_config": other}
        values["tie_word_embeddings"] = False
        untyped = AutoModelForMultimodalLM
    config = AutoConfig.for_model(name, **values)
    torch.manual_seed(20)
    model = untyped.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=0.4)
            else:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return model
