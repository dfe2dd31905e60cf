"""A model without its parameters, and the parts in which these are loaded and dropped again."""

from __future__ import annotations

from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from accelerate import (  # type: ignore[import-untyped]  # it carries no annotations
    init_empty_weights,
)
from torch import nn
from transformers.conversion_mapping import get_model_conversion_mapping
from transformers.core_model_loading import (
    WeightConverter,
    WeightRenaming,
    convert_and_load_state_dict_in_model,
    rename_source_key,
)
from transformers.modeling_utils import LoadStateDictConfig

from bridgex.capture.absent import absent
from bridgex.capture.alignment import align
from bridgex.capture.quiet import quiet_transformers
from bridgex.capture.towers import find_decoder, keep_language, model_class
from bridgex.errors import InvalidInputError, ModelSupportError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from transformers import PreTrainedConfig, PreTrainedModel

    from bridgex.capture.checkpoint import Checkpoint

Group = int | str
"""What is loaded at once: a layer by its number, ``SURROUNDINGS`` or ``HEAD``."""

SURROUNDINGS = "surroundings"
"""Everything of the decoder outside its layers: embeddings, the last norm."""

HEAD = "head"
"""The language-model head."""


@dataclass(frozen=True, eq=False)
class Skeleton:
    """A causal language model whose parameters come and go group by group.

    Attributes
    ----------
    network, decoder, layers
        The model, the part of it without the head, and the decoder's layers. Parameters are
        ``Absent`` but while their group is loaded; buffers are real.
    checkpoint
        Where parameters come from.
    keys
        For every group the checkpoint's tensors that it is made of.
    names
        For every group the parameters and persistent buffers that it must have.
    places
        For every tensor of the checkpoint the (first) parameter that it becomes.
    tied
        For every parameter that is in no file the one that it is the same as.
    device
        Where parameters are put.
    """

    network: PreTrainedModel
    decoder: PreTrainedModel
    layers: Sequence[nn.Module]
    checkpoint: Checkpoint
    device: torch.device
    keys: Mapping[Group, tuple[str, ...]]
    names: Mapping[Group, tuple[str, ...]]
    places: Mapping[str, str]
    tied: Mapping[str, str]
    _loading: Any = field(repr=False)

    def parameter(self, name: str) -> torch.Tensor:
        """Return a parameter or buffer by its name."""
        path, _, leaf = name.rpartition(".")
        held: torch.Tensor = getattr(self.network.get_submodule(path), leaf)
        return held

    def load(self, group: Group) -> None:
        """Read the parameters of a group.

        Raises
        ------
        ModelSupportError
            When the checkpoint lacks some of them, or their shapes differ from the model's.
        InvalidInputError
            When they cannot be read.
        """
        self.fill(_describe(group), self.keys[group], self.names[group])

    def fill(self, what: str, keys: Iterable[str], names: Collection[str]) -> None:
        """Read some parameters, as ``load`` does those of a group.

        Parameters
        ----------
        what
            What they are, for errors.
        keys, names
            The checkpoint's tensors, and the parameters that they make.
        """
        slices = self.checkpoint.slices(keys)
        with quiet_transformers():
            try:
                info, _ = convert_and_load_state_dict_in_model(self.network, slices, self._loading)
            except (OSError, RuntimeError, ValueError) as error:
                raise InvalidInputError(
                    f"the weights of {what} could not be loaded: {error}",
                    hint="Download the model again, or check the disk and memory.",
                ) from error
        for name, source in self.tied.items():
            if name in names:
                _set(self.network, name, self.parameter(source))
        align(map(self.parameter, names))
        # Buffers are there without a file too, with other numbers.
        missing = [name for name in names if self.tied.get(name, name) in info.missing_keys]
        if missing or info.mismatched_keys or info.conversion_errors:
            raise ModelSupportError(
                f"the checkpoint lacks parameters of {what}, or they have other "
                f"shapes: {', '.join([*missing, *map(str, info.mismatched_keys)][:3])}",
                hint="Use the complete weights of a causal language model.",
            )
        for name in names:
            # A product takes another path where a gradient could be asked for.
            self.parameter(name).requires_grad_(False)

    def load_all(self) -> None:
        """Read the parameters of all groups, to stay."""
        for group in self.keys:
            self.load(group)

    def drop(self, group: Group) -> None:
        """Forget the parameters of a group. Buffers stay: some come from no file."""
        self.empty(self.names[group])

    def empty(self, names: Iterable[str]) -> None:
        """Forget some parameters, and those that they are tied to."""
        given = tuple(names)
        sources = [self.tied[name] for name in given if name in self.tied]
        for name in (*given, *sources):
            held = self.parameter(name)
            if isinstance(held, nn.Parameter):
                _set(self.network, name, absent(held))

    @contextmanager
    def pretended(self, group: Group) -> Iterator[None]:
        """Have zeros for the parameters of a group, in no memory: where only shapes matter."""
        try:
            for name in self.names[group]:
                held = self.parameter(name)
                if isinstance(held, nn.Parameter):
                    zeros = torch.zeros((), dtype=held.dtype, device=self.device)
                    zeros = nn.Parameter(zeros.expand(held.shape), requires_grad=False)
                    _set(self.network, name, zeros)
            yield
        finally:
            self.drop(group)


def make_skeleton(
    config: PreTrainedConfig,
    checkpoint: Checkpoint,
    *,
    dtype: torch.dtype,
    device: torch.device,
    trust_remote_code: bool,
) -> Skeleton:
    """Build a model without its parameters.

    Raises
    ------
    ModelSupportError
        When the checkpoint is quantised, or the layers cannot be told from the rest.
    """
    if getattr(config, "quantization_config", None) is not None:
        raise ModelSupportError(
            "a quantised checkpoint cannot be read in pieces",
            hint="Use the model's unquantised weights, or --mode resident.",
        )
    with init_empty_weights(include_buffers=False):
        network = model_class(config).from_config(
            deepcopy(config), dtype=dtype, trust_remote_code=trust_remote_code
        )
    keep_language(network)
    _compute_buffers(network)
    network.eval().requires_grad_(requires_grad=False)
    for module in network.modules():
        for name, buffer in module.named_buffers(recurse=False):
            setattr(module, name, buffer.to(device))
    decoder = find_decoder(network)
    layers = _find_layers(network, decoder)
    weights: Any = get_model_conversion_mapping(network)
    places = _places(network, checkpoint, weights)
    groups = _Groups(network, decoder, layers)
    state = network.state_dict()
    names = groups.split({name: name for name in state})
    tied = {
        name: source
        for target, of in network.all_tied_weights_keys.items()
        for name, source in ((target, of), (of, target))
        if name not in places.values() and source in places.values()
    }
    keys = groups.split(places)
    for name, source in tied.items():
        keys[groups.of(name)] += tuple(key for key, place in places.items() if place == source)
    for name, parameter in list(network.named_parameters(remove_duplicate=False)):
        _set(network, name, absent(parameter))
    return Skeleton(
        network=network,
        decoder=decoder,
        layers=tuple(layers),
        checkpoint=checkpoint,
        device=device,
        keys=keys,
        names=names,
        places=places,
        tied=tied,
        _loading=LoadStateDictConfig(
            device_map={"": device},
            dtype=dtype,
            dtype_plan=network._get_dtype_plan(dtype),  # noqa: SLF001  (as its own loading does)
            weight_mapping=weights,
        ),
    )


@torch.no_grad()
def _compute_buffers(network: Any) -> None:
    """Compute buffers that come from no file once more, as transformers does when it loads.

    While a model of half precision is built, numbers of no given precision have half precision.
    """
    for module in network.modules():
        if module._non_persistent_buffers_set:  # noqa: SLF001  (no public name exists)
            module._is_hf_initialized = False  # noqa: SLF001  (what transformers passes over)
    network.initialize_weights()


class _Groups:
    """Tells the group of a parameter from its name."""

    def __init__(self, network: Any, decoder: nn.Module, layers: nn.ModuleList) -> None:
        paths = {id(module): name for name, module in network.named_modules()}
        self._decoder = paths[id(decoder)]
        self._layers = paths[id(layers)] + "."
        head = network.get_output_embeddings()
        self._head = None if head is None else paths[id(head)] + "."
        self._all: list[Group] = [*range(len(layers)), SURROUNDINGS, HEAD]

    def of(self, name: str) -> Group | None:
        """Return the group, or None for what is never needed."""
        if name.startswith(self._layers):
            return int(name.removeprefix(self._layers).partition(".")[0])
        if self._head is not None and name.startswith(self._head):
            return HEAD
        if not self._decoder or name.startswith(self._decoder + "."):
            return SURROUNDINGS
        return None

    def split(self, places: Mapping[str, str]) -> dict[Any, tuple[str, ...]]:
        """Sort keys into groups by the parameter that each belongs to."""
        result: dict[Group | None, list[str]] = {group: [] for group in self._all}
        for key, name in places.items():
            result.setdefault(self.of(name), []).append(key)
        return {group: tuple(keys) for group, keys in result.items() if group is not None}


def _find_layers(network: Any, decoder: Any) -> nn.ModuleList:
    count = decoder.config.num_hidden_layers
    classes = set(network._no_split_modules or ())  # noqa: SLF001  (no public name exists)
    found = [
        module
        for module in decoder.modules()
        if isinstance(module, nn.ModuleList)
        and len(module) == count
        and (not classes or {type(layer).__name__ for layer in module} <= classes)
    ]
    if len(found) != 1:
        raise ModelSupportError(
            f"one list of {count} layers of {', '.join(sorted(classes)) or 'a known class'} was "
            f"expected in {type(decoder).__name__}, {len(found)} were found",
            hint="Use --mode resident.",
        )
    return found[0]


def _places(network: Any, checkpoint: Checkpoint, weights: list[Any]) -> dict[str, str]:
    """Return for every tensor of the checkpoint the (first) parameter that it becomes.

    A tensor that the model has no place for is left out.
    """
    renamings = [entry for entry in weights if isinstance(entry, WeightRenaming)]
    converters = [entry for entry in weights if isinstance(entry, WeightConverter)]
    state = network.state_dict()
    prefix = network.base_model_prefix
    places = {}
    for key in checkpoint.tensors:
        name, _ = rename_source_key(key, renamings, converters, prefix, state)
        if name not in state and key in state:
            name, _ = rename_source_key(key, [], [], prefix, state)
        if name in state:
            places[key] = name
    return places


def _set(network: nn.Module, name: str, value: torch.Tensor) -> None:
    path, _, leaf = name.rpartition(".")
    setattr(network.get_submodule(path), leaf, value)


def _describe(group: Group) -> str:
    if isinstance(group, int):
        return f"layer {group}"
    return "the head" if group == HEAD else "the embeddings"
