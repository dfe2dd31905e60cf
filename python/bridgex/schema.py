"""What passes from one room of the house to the next: small frozen records of named arrays.

Axis names: ``neuron`` is the flat axis over all layers, layer after layer, or the axis of one
layer where an array belongs to a layer; ``sample`` is the axis over probe prompts.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from bridgex.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

Site = Literal["act", "post"]
GoldFilter = Literal["keep", "off"]
ProbeDtype = Literal["f32", "f16"]
Neurons = Literal["all", "top"]
FindingState = Literal["ok", "wrong", "note"]

IMPORTED = "imported from"
"""Policy of activations that were captured by other programs: which."""

MINIMUM_SAMPLES = 32
"""Probe samples below which a pair is refused: dependence estimated from fewer would be noise."""


_MAY_BE_UNKNOWN = {"sum": np.float64, "sum_squares": np.float64, "maximum": np.float32}


class WordPair(NamedTuple):
    """One line of a lexicon: a source word and every accepted translation, in file order."""

    source: str
    targets: tuple[str, ...]


class Pair(NamedTuple):
    """Source and target language codes of a translation direction."""

    source: str
    target: str

    def __str__(self) -> str:
        return f"{self.source}-{self.target}"


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


@dataclass(frozen=True)
class NeuronStatistics:
    """Sums over the tokens of some text, per neuron. A commutative monoid under ``merge``.

    What is not known of statistics that were made elsewhere (``sum``, ``sum_squares`` or
    ``maximum``) is NaN at every neuron, and so is what it is merged into.

    Attributes
    ----------
    positive_count
        Tokens at which the activation is positive, int64 (neuron,).
    sum, sum_squares
        Sum of the activation and of its square over the tokens, float64 (neuron,).
    maximum
        Largest activation, float32 (neuron,); minus infinity where no token was counted.
    token_count, record_count
        Tokens that were counted, and records (sentences, documents) that were read.
    routed_count
        Of a mixture of experts: the tokens among them that were routed to the neuron's expert,
        int64 (neuron,); ``token_count`` for neurons of dense layers and shared experts. None where
        all neurons see every token.
    """

    positive_count: NDArray[np.int64]
    sum: NDArray[np.float64]
    sum_squares: NDArray[np.float64]
    maximum: NDArray[np.float32]
    token_count: int
    record_count: int
    routed_count: NDArray[np.int64] | None = None

    @classmethod
    def zeros(cls, neuron_count: int) -> NeuronStatistics:
        """Return the neutral element of ``merge``."""
        return cls(
            positive_count=np.zeros(neuron_count, dtype=np.int64),
            sum=np.zeros(neuron_count),
            sum_squares=np.zeros(neuron_count),
            maximum=np.full(neuron_count, -np.inf, dtype=np.float32),
            token_count=0,
            record_count=0,
        )

    @classmethod
    def of_layers(cls, layers: Sequence[NeuronStatistics]) -> NeuronStatistics:
        """Return the statistics of all layers, given those of each over the same text."""
        routed = any(layer.routed_count is not None for layer in layers)
        return cls(
            positive_count=np.concatenate([layer.positive_count for layer in layers]),
            sum=np.concatenate([layer.sum for layer in layers]),
            sum_squares=np.concatenate([layer.sum_squares for layer in layers]),
            maximum=np.concatenate([layer.maximum for layer in layers]),
            token_count=layers[0].token_count,
            record_count=layers[0].record_count,
            routed_count=np.concatenate([layer.seen for layer in layers]) if routed else None,
        )

    @classmethod
    def of_known(
        cls, arrays: Mapping[str, NDArray[Any]], *, token_count: int, record_count: int
    ) -> NeuronStatistics:
        """Return statistics of which only ``positive_count`` and some others are known."""
        count = arrays["positive_count"].size
        unknown: dict[str, NDArray[Any]] = {
            name: np.full(count, np.nan, dtype)
            for name, dtype in _MAY_BE_UNKNOWN.items()
            if name not in arrays
        }
        return cls(**arrays, **unknown, token_count=token_count, record_count=record_count)

    def merge(self, other: NeuronStatistics) -> NeuronStatistics:
        """Return the statistics of both texts together."""
        if self.positive_count.shape != other.positive_count.shape:
            raise InvalidInputError(
                f"statistics of {self.positive_count.size} neurons cannot be added to statistics "
                f"of {other.positive_count.size} neurons"
            )
        return NeuronStatistics(
            positive_count=self.positive_count + other.positive_count,
            sum=self.sum + other.sum,
            sum_squares=self.sum_squares + other.sum_squares,
            maximum=np.maximum(self.maximum, other.maximum),
            token_count=self.token_count + other.token_count,
            record_count=self.record_count + other.record_count,
            routed_count=self._routed_with(other),
        )

    def _routed_with(self, other: NeuronStatistics) -> NDArray[np.int64] | None:
        if self.routed_count is None and other.routed_count is None:
            return None
        return self.seen + other.seen

    @property
    def seen(self) -> NDArray[np.int64]:
        """Tokens that could make the neuron positive, int64 (neuron,): its denominator."""
        if self.routed_count is not None:
            return self.routed_count
        return np.broadcast_to(np.int64(self.token_count), self.positive_count.shape)

    @property
    def unknown(self) -> tuple[str, ...]:
        """Names of the statistics that are not known."""
        return tuple(name for name in _MAY_BE_UNKNOWN if np.isnan(getattr(self, name)[:1]).any())

    def known(self) -> dict[str, NDArray[Any]]:
        """Return the statistics that are known, by name."""
        found = {} if self.routed_count is None else {"routed_count": self.routed_count}
        names = ("positive_count", *_MAY_BE_UNKNOWN)
        return found | {name: getattr(self, name) for name in names if name not in self.unknown}

    @property
    def activation_probability(self) -> NDArray[np.float64]:
        """``positive_count / seen``, float64 (neuron,); 0 where no token was routed."""
        if self.token_count == 0:
            raise InvalidInputError("no token was counted, so no probability is defined")
        return self.per_token(self.positive_count)

    @property
    def mean(self) -> NDArray[np.float64]:
        """``sum / seen``, float64 (neuron,); 0 where no token was routed."""
        if self.token_count == 0:
            raise InvalidInputError("no token was counted, so no mean is defined")
        if "sum" in self.unknown:
            raise InvalidInputError(
                "the mean of the activations is needed, to order neurons that are on as often, and "
                "is not known of statistics that were imported without it",
                hint="Choose what does without: --preset paper, --select lape or threshold.",
            )
        return self.per_token(self.sum)

    def per_token(self, total: NDArray[Any]) -> NDArray[np.float64]:
        """Divide sums (neuron,) by the tokens that each neuron saw; 0 where it saw none."""
        if self.routed_count is None:
            return total / self.token_count
        return total / np.maximum(self.routed_count, 1)


@dataclass(frozen=True)
class Finding:
    """What came of a check of an installation, a machine or a model.

    Attributes
    ----------
    check
        What was looked at.
    state
        ``ok``, ``wrong``, or ``note`` for what is only said.
    detail
        What was found.
    """

    check: str
    state: FindingState
    detail: str


@dataclass(frozen=True, eq=False)
class ProbeForm:
    """What the probes of a pair keep: the same for all of them, however its word list grows.

    Attributes
    ----------
    dtype
        Precision of the activations, ``f32`` or ``f16``.
    neurons
        The neurons whose activations are kept, ascending on the flat axis, int64 (row,); None:
        all.
    percent, languages
        How ``neurons`` were chosen: the size of a language's set in percent of a layer, and the
        languages that had statistics.
    """

    dtype: ProbeDtype = "f32"
    neurons: NDArray[np.int64] | None = None
    percent: float | None = None
    languages: tuple[str, ...] = ()

    @property
    def digest(self) -> str | None:
        """SHA-256 (hex) of the neurons, or None for all."""
        if self.neurons is None:
            return None
        return hashlib.sha256(self.neurons.astype("<i8").tobytes()).hexdigest()

    def layer_neurons(self, layer_sizes: tuple[int, ...]) -> tuple[NDArray[np.int64], ...] | None:
        """Return the neurons as indices within every layer, or None for all."""
        if self.neurons is None:
            return None
        ends = list(accumulate(layer_sizes))
        layers = np.split(self.neurons, np.searchsorted(self.neurons, ends[:-1]))
        return tuple(rows - start for rows, start in zip(layers, [0, *ends], strict=False))

    def row_counts(self, layer_sizes: tuple[int, ...]) -> tuple[int, ...]:
        """Return how many neurons of every layer are kept."""
        kept = self.layer_neurons(layer_sizes)
        return layer_sizes if kept is None else tuple(len(rows) for rows in kept)

    def describe(self) -> str:
        """Say what is kept, as in a message."""
        if self.percent is None:
            return f"all neurons as {self.dtype}"
        by = f" by the statistics of {', '.join(self.languages)}" if self.languages else ""
        return f"the top {self.percent:g} % of neurons{by} as {self.dtype}"


FULL_PROBES = ProbeForm()
"""All neurons, in the precision in which they are captured."""


@dataclass(frozen=True)
class ProbeBlock:
    """Probe activations of some word pairs of one translation direction.

    Attributes
    ----------
    words
        The word pair of every sample, in sample order.
    activations
        One float32 (neuron, sample) array per layer: mean activation over the prompt's tokens, of
        the neurons that the pair's ``ProbeForm`` keeps.
    considered
        Number of word pairs that were looked at; ``len(words)`` of them passed the gold filter.
    """

    words: tuple[WordPair, ...]
    activations: tuple[NDArray[np.float32], ...]
    considered: int

    @property
    def sample_count(self) -> int:
        """Number of samples."""
        return len(self.words)
