"""A small model with random weights, of the architecture and the choices of a large one."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from bridgex.capture.towers import keep_language, model_class

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedConfig, PreTrainedModel

_HEADS = 4
_HIDDEN = 128
_NEURONS = 96
_EXPERTS = 16
_VOCABULARY = 512
_WINDOW = 8
_SPECIAL = {"pad_token": "<pad>", "bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>"}

# Names that families give to the size of a feed-forward block.
_WIDTHS = (
    "intermediate_size",
    "ffn_dim",
    "ffn_hidden_size",
    "n_inner",
    "moe_intermediate_size",
    "shared_expert_intermediate_size",
)


def shrink(config: PreTrainedConfig) -> PreTrainedConfig:
    """Return the configuration of a small model of the same build.

    Parameters
    ----------
    config
        Of a model, or of one for pictures or sound too.

    Returns
    -------
    PreTrainedConfig
        A copy with as few layers as have every kind of layer, 4 heads of the same size, few
        neurons, experts and words, and windows of a few tokens. Everything else, such as
        non-linearities, norms, rotary tables and how heads share keys, is as it was. Nothing is
        quantised.
    """
    whole = deepcopy(config)
    if hasattr(whole, "quantization_config"):
        del whole.quantization_config
    small: Any = whole.get_text_config()
    own = small.to_dict().get("per_layer_config") or {}
    if own:
        small.allow_global_per_layer_attribute_access = True
    _shrink_depth(small)
    if own:
        kept = {layer: own[layer] for layer in own if int(layer) < small.num_hidden_layers}
        small.per_layer_config = kept
    _shrink_attention(small)
    _shrink_recurrence(small)
    _shrink_blocks(small)
    _shrink_vocabulary(small)
    for tower in set(whole.sub_configs) - {"text_config"}:
        _flatten(getattr(whole, tower))
    return whole


def _flatten(tower: Any) -> None:
    """Leave one layer of a tower that is not read: it has to be built all the same."""
    for name in ("num_hidden_layers", "depth"):
        if hasattr(tower, name):
            setattr(tower, name, 1)


def _shrink_depth(small: Any) -> None:
    before = small.num_hidden_layers
    kinds = getattr(small, "layer_types", None) or ["layer"]
    layers = max(2, 1 + max(kinds.index(kind) for kind in set(kinds)))
    if getattr(small, "first_k_dense_replace", 0):
        small.first_k_dense_replace = 1
    if getattr(small, "num_kv_shared_layers", 0):
        # The last layers take keys from earlier ones of their kind.
        small.num_kv_shared_layers = layers
        layers *= 2
    layers = min(layers, before)
    for name, value in vars(small).items():
        if isinstance(value, list) and len(value) == before:
            setattr(small, name, value[:layers])
    small.num_hidden_layers = layers
    if hasattr(small, "attention_types"):
        small.attention_types = [[list(small.attention_layers), 1]]


def _shrink_attention(small: Any) -> None:
    heads, hidden = small.num_attention_heads, small.hidden_size
    size = getattr(small, "head_dim", None) or hidden // heads
    width = _HEADS * size if hidden == heads * size else _HIDDEN
    for name in ("num_key_value_heads", "num_kv_heads"):
        if hasattr(small, name):
            shared = {1: 1, heads: _HEADS, None: _HEADS}
            setattr(small, name, shared.get(getattr(small, name), _HEADS // 2))
    for name in ("word_embed_proj_dim", "embedding_size"):
        if getattr(small, name, None):
            setattr(small, name, width)
    small.num_attention_heads = _HEADS
    small.hidden_size = width
    if getattr(small, "head_dim", size) is None:
        small.head_dim = size
    if hasattr(small, "linear_num_key_heads"):
        repeats = small.linear_num_value_heads // small.linear_num_key_heads
        small.linear_num_key_heads, small.linear_num_value_heads = _HEADS, _HEADS * repeats
    for name in ("sliding_window", "window_size"):
        if isinstance(getattr(small, name, None), int):
            setattr(small, name, min(getattr(small, name), _WINDOW))


def _shrink_recurrence(small: Any) -> None:
    if hasattr(small, "linear_num_key_heads"):
        repeats = small.linear_num_value_heads // small.linear_num_key_heads
        small.linear_num_key_heads, small.linear_num_value_heads = _HEADS, _HEADS * repeats
    if hasattr(small, "mamba_n_heads"):
        small.mamba_n_groups = 1
        if getattr(small, "mamba_d_ssm", None):
            small.mamba_n_heads = _HEADS
            small.mamba_d_ssm = _HEADS * small.mamba_d_head
        else:
            width = small.mamba_expand * small.hidden_size
            small.mamba_n_heads = width // small.mamba_d_head


def _shrink_blocks(small: Any) -> None:
    for name in _WIDTHS:
        value = getattr(small, name, None)
        if isinstance(value, list):
            setattr(small, name, [_NEURONS + 8 * (layer % 2) for layer in range(len(value))])
        elif isinstance(value, int):
            setattr(small, name, min(value, _NEURONS))
    for name in ("num_local_experts", "num_experts", "n_routed_experts"):
        value = getattr(small, name, None)
        if isinstance(value, int):
            setattr(small, name, min(value, _EXPERTS))


def _shrink_vocabulary(small: Any) -> None:
    small.vocab_size = _VOCABULARY
    if hasattr(small, "vocab_size_per_layer_input"):
        small.vocab_size_per_layer_input = _VOCABULARY
    for number, name in enumerate(("pad_token_id", "bos_token_id", "eos_token_id")):
        setattr(small, name, number)


def random_model(config: PreTrainedConfig) -> PreTrainedModel:
    """Return a model in float32 with random weights, the same ones every time.

    They are as large as keeps activations of both signs from dying out or growing from layer to
    layer.
    """
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):
        model: PreTrainedModel = model_class(config).from_config(config, dtype=torch.float32)
    keep_language(model)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=parameter.shape[-1] ** -0.5, generator=generator)
            else:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return model


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """Return a tokenizer with a word for every byte, and a mark of beginning before every text."""
    words = [*_SPECIAL.values(), *sorted(pre_tokenizers.ByteLevel.alphabet())]
    vocabulary = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A", special_tokens=[("<bos>", vocabulary["<bos>"])]
    )
    untyped: Any = PreTrainedTokenizerFast
    made: PreTrainedTokenizerFast = untyped(tokenizer_object=tokenizer, **_SPECIAL)
    return made


def write_small(config: PreTrainedConfig, directory: Path) -> PreTrainedModel:
    """Write a small random model of a configuration, with a tokenizer, and return it."""
    model = random_model(shrink(config))
    model.save_pretrained(directory)
    byte_tokenizer().save_pretrained(directory)
    return model
