"""Sums over the tokens of text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bridgex.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

_MAY_BE_UNKNOWN = {"sum": np.float64, "sum_squares": np.float64, "maximum": np.float32}


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
