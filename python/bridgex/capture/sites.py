"""Where a neuron's value is read in the layers of a decoder.

Two sites exist. ``act`` is the output of the feed-forward non-linearity, ``post`` the input of
the down projection.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

from bridgex.capture.experts import expert_shape
from bridgex.capture.families import FAMILIES, REFUSED
from bridgex.errors import ModelSupportError
from bridgex.schema import Experts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bridgex.capture.experts import Activation
    from bridgex.capture.families import Family
    from bridgex.schema import Site


@dataclass(frozen=True)
class SiteModule:
    """A module whose output (``act``) or input (``post``) is the value of neurons of one layer.

    Attributes
    ----------
    module
        The activation module, the down projection, or all routed experts of the layer.
    width
        Number of its neurons.
    site
        ``act`` or ``post``.
    layer, start
        Its layer, and the place of its first neuron within the layer.
    experts
        Number and width of routed experts; None where every token passes the module.
    activation
        How the activations of routed experts follow from what they project, where they have a gate
        of their own.
    """

    module: nn.Module
    width: int
    site: Site
    layer: int
    start: int = 0
    experts: Experts | None = None
    activation: Activation | None = None


def find_family(architecture: str) -> Family:
    """Return the table row of an architecture (``model_type`` of the configuration).

    Raises
    ------
    ModelSupportError
        When the table has no such row. Nothing is guessed from names.
    """
    family = FAMILIES.get(architecture)
    if family is None:
        reason = f": {REFUSED[architecture]}" if architecture in REFUSED else ""
        raise ModelSupportError(
            f"a model of a known architecture family was expected, this one is {architecture!r}"
            f"{reason}",
            hint=f"Use one of: {', '.join(FAMILIES)}.",
        )
    return family


def locate_sites(
    decoder: nn.Module, layer_count: int, architecture: str, site: Site
) -> tuple[SiteModule, ...]:
    """Return the modules to read in a decoder, in the order of their neurons.

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

    Returns
    -------
    tuple of SiteModule
        One for a dense layer, two for routed experts with a shared one beside them, none for a
        layer without a feed-forward block.

    Raises
    ------
    ModelSupportError
        When the layers are not where the family has them, or share a module.
    """
    family = find_family(architecture)
    layers = _find_layers(decoder, layer_count, family, architecture)
    sites = tuple(
        found
        for number, layer in enumerate(layers)
        for found in _sites_of_layer(layer, number, family, site)
    )
    if len({id(found.module) for found in sites}) != len(sites):
        raise ModelSupportError(
            f"every layer was expected to have a module of its own for {site!r}, "
            f"but layers of this {architecture} model share one"
        )
    return sites


def layer_sizes(sites: Sequence[SiteModule], layer_count: int) -> tuple[int, ...]:
    """Return the number of neurons of every layer."""
    sizes = [0] * layer_count
    for found in sites:
        sizes[found.layer] += found.width
    return tuple(sizes)


def layer_experts(sites: Sequence[SiteModule], layer_count: int) -> tuple[Experts, ...]:
    """Return the routed experts of every layer; nothing where no layer has any."""
    experts = [Experts(0, 0)] * layer_count
    for found in sites:
        if found.experts is not None:
            experts[found.layer] = found.experts
    return tuple(experts) if any(one.expert_count for one in experts) else ()


def _sites_of_layer(
    layer: nn.Module, number: int, family: Family, site: Site
) -> Iterator[SiteModule]:
    routed = _has(layer, family.experts)
    start = 0
    if routed:
        found = _routed(layer, number, family, site)
        start = found.width
        yield found
    block = family.shared if routed else family.block
    if block is not None and _has(layer, *block):
        path = block.activation if site == "act" else block.down_projection
        width = _input_width(layer.get_submodule(block.down_projection))
        yield SiteModule(layer.get_submodule(path), width, site, number, start)


def _routed(layer: nn.Module, number: int, family: Family, site: Site) -> SiteModule:
    assert family.experts is not None
    module = layer.get_submodule(family.experts)
    experts = expert_shape(module, family.activation)
    if experts is None:
        raise ModelSupportError(
            f"experts whose matrices transformers lets other code multiply were expected at "
            f"{family.experts!r} of layer {number}, found {type(module).__name__}",
            hint="Load weights that are not quantised, with a release of transformers in which "
            "the family's experts have an experts implementation.",
        )
    return SiteModule(
        module=module,
        width=experts.neuron_count,
        site=site,
        layer=number,
        experts=experts,
        activation=family.activation,
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
        module for module in lists.values() if len(module) == layer_count and _fits(module, family)
    ]
    if len(fitting) != 1:
        found = ", ".join(f"{name} ({len(module)})" for name, module in lists.items()) or "none"
        raise ModelSupportError(
            f"one list of {layer_count} layers with {_wanted(family)} was expected in this "
            f"{architecture} model, {len(fitting)} were found; module lists and their lengths: "
            f"{found}",
            hint="The model's code differs from its family's; it cannot be captured exactly.",
        )
    return fitting[0]


def _fits(layers: nn.ModuleList, family: Family) -> bool:
    fed = [
        _has(layer, family.experts) or (family.block is not None and _has(layer, *family.block))
        for layer in layers
    ]
    return any(fed) if family.partial else all(fed)


def _wanted(family: Family) -> str:
    """Say what the layers of a family have."""
    ways = [] if family.block is None else [" and ".join(map(repr, family.block))]
    return " or ".join(ways + ([] if family.experts is None else [repr(family.experts)]))


def _has(layer: nn.Module, *paths: str | None) -> bool:
    names = {name for name, _ in layer.named_modules()}
    return names.issuperset(paths)


def _input_width(projection: nn.Module) -> int:
    """Return the input width of a projection: torch's Linear, or GPT-2's transposed one."""
    width = getattr(projection, "in_features", None) or getattr(projection, "nx", None)
    if width is None:
        raise ModelSupportError(
            f"a linear down projection was expected, found {type(projection).__name__}"
        )
    return int(width)
