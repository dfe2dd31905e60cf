"""Models for pictures or sound too: the language tower is read, the rest is left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transformers import AutoModelForCausalLM, AutoModelForMultimodalLM

from bridgex.capture.families import REFUSED, WRAPPERS
from bridgex.capture.sites import find_family
from bridgex.errors import ModelSupportError

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedConfig, PreTrainedModel

    from bridgex.capture.families import Family


def is_wrapper(config: PreTrainedConfig) -> bool:
    """Return whether a configuration is that of a language tower and others."""
    return config.get_text_config() is not config


def family_of(config: PreTrainedConfig) -> Family:
    """Return the table row of the language model that a configuration describes.

    Raises
    ------
    ModelSupportError
        When it, or what it is a tower of, is not known.
    """
    if is_wrapper(config) and config.model_type not in WRAPPERS:
        reason = f": {REFUSED[config.model_type]}" if config.model_type in REFUSED else ""
        raise ModelSupportError(
            f"a model for text, or a known one for pictures or sound too, was expected, this one "
            f"is {config.model_type!r}{reason}",
            hint=f"Use one of: {', '.join(WRAPPERS)}.",
        )
    return find_family(config.get_text_config().model_type)


def model_class(config: PreTrainedConfig) -> Any:
    """Return what builds a model with a language-model head from a configuration."""
    return AutoModelForMultimodalLM if is_wrapper(config) else AutoModelForCausalLM


def find_decoder(network: PreTrainedModel) -> PreTrainedModel:
    """Return the language model without its head."""
    untyped: Any = network
    found = untyped.get_decoder()
    # Llama 4 gives the model with the head.
    decoder: PreTrainedModel = found if found.get_output_embeddings() is None else found.model
    return decoder


def keep_language(network: PreTrainedModel) -> None:
    """Leave out the towers for pictures or sound, and what joins them to the language tower."""
    if is_wrapper(network.config):
        untyped: Any = network
        _keep(network, {find_decoder(network), untyped.get_output_embeddings()})


def _keep(module: nn.Module, kept: set[nn.Module]) -> None:
    """Leave out children that are not, and do not hold, one of the kept modules; and parameters."""
    for name, _ in list(module.named_parameters(recurse=False)):
        setattr(module, name, None)
    for name, child in list(module.named_children()):
        if child in kept:
            continue
        if kept.isdisjoint(child.modules()):
            setattr(module, name, None)
        else:
            _keep(child, kept)
