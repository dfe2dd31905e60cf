"""Where a neuron's value is read: one table row per architecture family.

Two sites exist. ``act`` is the output of the feed-forward non-linearity, ``post`` the input of
the down projection. A family belongs into the table when every layer has exactly one activation
module of its own that is called once per forward pass, and one down projection.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from torch import nn

from bridgex.errors import ModelSupportError

if TYPE_CHECKING:
    from bridgex.schema import Site


class Family(NamedTuple):
    """Paths, within a layer, of the activation module and of the down projection."""

    activation: str
    down_projection: str


_GATED = Family("mlp.act_fn", "mlp.down_proj")
_FUSED_GATE = Family("mlp.activation_fn", "mlp.down_proj")
_GPT = Family("mlp.act", "mlp.c_proj")
_GPTJ = Family("mlp.act", "mlp.fc_out")
_NEOX = Family("mlp.act", "mlp.dense_4h_to_h")
_IN_LAYER = Family("activation_fn", "fc2")

FAMILIES: dict[str, Family] = {
    "arcee": _GATED,
    "biogpt": _IN_LAYER,
    "bloom": Family("mlp.gelu_impl", "mlp.dense_4h_to_h"),
    "codegen": _GPTJ,
    "cohere": _GATED,
    "cohere2": _GATED,
    "exaone4": _GATED,
    "falcon": _NEOX,
    "gemma": _GATED,
    "gemma2": _GATED,
    "gemma3_text": _GATED,
    "glm": _FUSED_GATE,
    "glm4": _FUSED_GATE,
    "gpt2": _GPT,
    "gpt_bigcode": _GPT,
    "gpt_neo": _GPT,
    "gpt_neox": _NEOX,
    "gptj": _GPTJ,
    "granite": _GATED,
    "helium": _GATED,
    "llama": _GATED,
    "mistral": _GATED,
    "mpt": Family("ffn.act", "ffn.down_proj"),
    "nemotron": _GATED,
    "olmo": _GATED,
    "olmo2": _GATED,
    "olmo3": _GATED,
    "opt": _IN_LAYER,
    "phi": Family("mlp.activation_fn", "mlp.fc2"),
    "phi3": _FUSED_GATE,
    "qwen2": _GATED,
    "qwen3": _GATED,
    "seed_oss": _GATED,
    "smollm3": _GATED,
    "stablelm": _GATED,
    "starcoder2": _GPT,
    "xglm": _IN_LAYER,
}


@dataclass(frozen=True)
class SiteModule:
    """The module of one layer whose output (``act``) or input (``post``) is the neurons' value.

    Attributes
    ----------
    module
        The activation module or the down projection.
    width
        Number of neurons of the layer.
    site
        ``act`` or ``post``.
    """

    module: nn.Module
    width: int
    site: Site


def find_family(architecture: str) -> Family:
    """Return the table row of an architecture (``model_type`` of the configuration).

    Raises
    ------
    ModelSupportError
        When the table has no such row. Nothing is guessed from names.
    """
    family = FAMILIES.get(architecture)
    if family is None:
        raise ModelSupportError(
            f"a model of a known architecture family was expected, this one is {architecture!r}",
            hint=f"Use one of: {', '.join(FAMILIES)}.",
        )
    return family


def locate_sites(
    decoder: nn.Module, layer_count: int, architecture: str, site: Site
) -> tuple[SiteModule, ...]:
    """Return the module to read in every layer of a decoder, in layer order.

    Parameters
    ----------
    decoder
        The model without its language-model head.
    layer_count
        Number of layers that the configuration announces.
    architecture
        ``model_type`` of the configuration.
    site
        ``act`` or ``post``.

    Raises
    ------
    ModelSupportError
        When the layers are not where the family has them, or share a module.
    """
    family = find_family(architecture)
    layers = _find_layers(decoder, layer_count, family, architecture)
    path = family.activation if site == "act" else family.down_projection
    modules = [layer.get_submodule(path) for layer in layers]
    if len({id(module) for module in modules}) != layer_count:
        raise ModelSupportError(
            f"every layer was expected to have a module of its own at {path!r}, "
            f"but layers of this {architecture} model share one"
        )
    widths = [_input_width(layer.get_submodule(family.down_projection)) for layer in layers]
    return tuple(
        SiteModule(module=module, width=width, site=site)
        for module, width in zip(modules, widths, strict=True)
    )


def _find_layers(
    decoder: nn.Module, layer_count: int, family: Family, architecture: str
) -> nn.ModuleList:
    lists = {
        name: module
        for name, module in decoder.named_modules()
        if isinstance(module, nn.ModuleList)
    }
    fitting = [
        module
        for module in lists.values()
        if len(module) == layer_count and all(_has_family(layer, family) for layer in module)
    ]
    if len(fitting) != 1:
        found = ", ".join(f"{name} ({len(module)})" for name, module in lists.items()) or "none"
        raise ModelSupportError(
            f"one list of {layer_count} layers with {family.activation!r} and "
            f"{family.down_projection!r} was expected in this {architecture} model, "
            f"{len(fitting)} were found; module lists and their lengths: {found}",
            hint="The model's code differs from its family's; it cannot be captured exactly.",
        )
    return fitting[0]


def _has_family(layer: nn.Module, family: Family) -> bool:
    names = {name for name, _ in layer.named_modules()}
    return family.activation in names and family.down_projection in names


def _input_width(projection: nn.Module) -> int:
    """Return the input width of a projection: torch's Linear, or GPT-2's transposed one."""
    width = getattr(projection, "in_features", None) or getattr(projection, "nx", None)
    if width is None:
        raise ModelSupportError(
            f"a linear down projection was expected, found {type(projection).__name__}"
        )
    return int(width)
