"""Activations of neurons whose dependence is known, for the calibration study."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]

LATENT = 12
LAYERS = 3
SIGNAL = 0.6
"""Share of a neuron's variance that comes from the latent features."""
ALIKE = 0.8
"""Share of the latent features that probes of a word have in common."""


def gelu(values: Matrix) -> Matrix:
    """Return what a feed-forward neuron makes of its input, nearly."""
    activation: Matrix = values / (1 + np.exp(-1.702 * values))
    return activation


def heavy(rng: np.random.Generator, *shape: int) -> Matrix:
    """Return numbers with heavy tails and variance 1."""
    numbers: Matrix = rng.standard_t(5, shape) * math.sqrt(3 / 5)
    return numbers


class Sample(NamedTuple):
    """Activations of the pair's and the candidates' neurons by layer, and the samples' words."""

    pair: list[Matrix]
    bridge: list[Matrix]
    members: list[list[NDArray[np.int64]]]
    words: NDArray[np.int64]


@dataclass(frozen=True)
class Population:
    """Neurons of a pair and of some candidates, in every layer.

    Attributes
    ----------
    pair, bridge
        By layer, weights of the latent features, (neuron, latent).
    members
        Rows of the candidates.
    strength
        For every candidate, how much of the pair's latent features is in its own: 0 for
        independence, 1 for the same.
    """

    pair: list[Matrix]
    bridge: list[Matrix]
    members: list[NDArray[np.int64]]
    strength: Matrix

    @classmethod
    def draw(
        cls, rng: np.random.Generator, pair: int, sizes: Sequence[int], strength: Sequence[float]
    ) -> Population:
        """Draw neurons: so many of the pair, and of every candidate."""
        ends = np.cumsum([0, *sizes])
        return cls(
            pair=[_weights(rng, pair) for _ in range(LAYERS)],
            bridge=[_weights(rng, sum(sizes)) for _ in range(LAYERS)],
            members=[np.arange(low, high) for low, high in pairwise(ends)],
            strength=np.repeat(strength, sizes),
        )

    def sample(self, rng: np.random.Generator, words: int, probes: int = 1) -> Sample:
        """Draw words with one to ``probes`` probes each."""
        counts = rng.integers(1, probes + 1, words)
        labels = np.repeat(np.arange(words), counts)
        of_pair, of_bridge = (_latent(rng, labels) for _ in range(2))
        s = self.strength[:, None]
        pair, bridge = [], []
        for of_pair_rows, of_bridge_rows in zip(self.pair, self.bridge, strict=True):
            pair.append(_activations(rng, of_pair_rows @ of_pair))
            mixed = np.sqrt(s) * (of_bridge_rows @ of_pair)
            mixed += np.sqrt(1 - s) * (of_bridge_rows @ of_bridge)
            bridge.append(_activations(rng, mixed))
        return Sample(pair, bridge, [self.members] * LAYERS, labels)


def _weights(rng: np.random.Generator, count: int) -> Matrix:
    weights = rng.normal(size=(count, LATENT))
    weights /= np.linalg.norm(weights, axis=1, keepdims=True)
    result: Matrix = weights
    return result


def _latent(rng: np.random.Generator, labels: NDArray[np.int64]) -> Matrix:
    of_words = heavy(rng, LATENT, int(labels.max()) + 1)[:, labels]
    return math.sqrt(ALIKE) * of_words + math.sqrt(1 - ALIKE) * heavy(rng, LATENT, labels.size)


def _activations(rng: np.random.Generator, features: Matrix) -> Matrix:
    inputs = math.sqrt(SIGNAL) * features + math.sqrt(1 - SIGNAL) * heavy(rng, *features.shape)
    return gelu(1.2 * inputs - 0.5)
