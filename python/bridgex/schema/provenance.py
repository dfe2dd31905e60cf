"""Where activations come from."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bridgex.schema.names import Site

IMPORTED = "imported from"
"""Policy of activations that were captured by other programs: which."""


class Experts(NamedTuple):
    """The routed experts of one layer.

    Their neurons open the layer, expert after expert. Those of a shared expert, which every token
    passes, follow.

    Attributes
    ----------
    expert_count
        Number of experts; 0 where the layer is dense.
    width
        Number of neurons of each.
    """

    expert_count: int
    width: int

    @property
    def neuron_count(self) -> int:
        """Number of neurons of all of them."""
        return self.expert_count * self.width


@dataclass(frozen=True)
class Provenance:
    """Where activations come from. Two of them may be added only when ``identity`` is equal.

    Attributes
    ----------
    model
        The name the user gave: a Hub id, with ``@`` and the commit, a directory or a file. Not
        part of the identity.
    architecture
        ``model_type`` of the configuration.
    weights, config, tokenizer
        Digests (hex) of the parameters, the configuration and the tokenizer.
    layer_sizes
        Number of neurons of every layer, in layer order.
    site
        Where the value of a neuron is read: ``act`` or ``post``.
    policies
        Every choice that changes the numbers: special tokens, packing, dtype, attention
        implementation, tokens a batch, and so on. JSON scalars.
    versions
        Versions of the libraries in use. Only major.minor belongs to the identity.
    experts
        The routed experts of every layer; empty where no layer has any.
    """

    model: str
    architecture: str
    weights: str
    config: str
    tokenizer: str
    layer_sizes: tuple[int, ...]
    site: Site
    policies: dict[str, str | int | bool] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    experts: tuple[Experts, ...] = ()

    @property
    def layer_offsets(self) -> NDArray[np.int64]:
        """Start of every layer on the flat neuron axis, and its end: shape (layer + 1,)."""
        return np.array([0, *accumulate(self.layer_sizes)], dtype=np.int64)

    @property
    def imported(self) -> bool:
        """Whether the activations were captured by other programs."""
        return IMPORTED in self.policies

    @property
    def neuron_count(self) -> int:
        """Number of neurons over all layers."""
        return sum(self.layer_sizes)

    def identity(self) -> dict[str, Any]:
        """Everything that two captures must share to be added, as flat JSON-able values."""
        minor = {
            f"version of {name}": ".".join(version.split(".")[:2])
            for name, version in self.versions.items()
        }
        return {
            "architecture": self.architecture,
            "weights": self.weights,
            "configuration": self.config,
            "tokenizer": self.tokenizer,
            "layer sizes": list(self.layer_sizes),
            "site": self.site,
            **({"experts": [list(one) for one in self.experts]} if self.experts else {}),
            **{f"policy {name}": value for name, value in self.policies.items()},
            **minor,
        }

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of ``identity``."""
        text = json.dumps(self.identity(), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON-able values; without ``experts`` where there are none."""
        value = asdict(self) | {"layer_sizes": list(self.layer_sizes)}
        experts = value.pop("experts")
        return value | ({"experts": [list(one) for one in experts]} if experts else {})

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Provenance:
        """Return the record that ``to_json`` wrote."""
        experts = tuple(Experts(*one) for one in value.get("experts", ()))
        sizes = tuple(value["layer_sizes"])
        return cls(**(value | {"layer_sizes": sizes, "experts": experts}))

    def expert_neurons(
        self, layer: NDArray[np.int64], neuron: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the routed expert of some neurons, and their indices within it.

        Parameters
        ----------
        layer, neuron
            Layers, and indices within them, int64 of one shape.

        Returns
        -------
        tuple of ndarray
            Two int64 arrays of that shape; -1 in both where the neuron is of no routed expert.
        """
        shapes = np.array(self.experts or [(0, 0)] * len(self.layer_sizes), dtype=np.int64)
        count, width = shapes[layer].T
        routed = neuron < count * width
        expert, index = np.divmod(neuron, np.maximum(width, 1))
        return np.where(routed, expert, -1), np.where(routed, index, -1)
