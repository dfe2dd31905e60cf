"""What the benches measure on: rows like real activations, and the sizes of real questions.

Tiny by default, so that the benches can run with the tests; ``BRIDGEX_BENCH=full`` takes the
sizes of the published experiments and of a model with 32 layers of 14,336 neurons.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rows = NDArray[np.float32]

FULL = os.environ.get("BRIDGEX_BENCH") == "full"

NEURONS, SAMPLES = (100, 1000) if FULL else (6, 64)
BLOCK = 500 if FULL else 12

# The top 1 % of a layer of 14,336; thirteen candidates of as many, who share most of them.
LAYERS, MIDDLE = (32, range(10, 21)) if FULL else (3, range(1, 2))
OWN, UNION, CANDIDATES = (143, 500, 13) if FULL else (4, 10, 3)
LANGUAGES = 15 if FULL else 3
PERMUTATIONS = 1000 if FULL else 10


@dataclass(frozen=True)
class Spectrum:
    """All layers of a pair of languages: the arguments of ``spectrum_scores``."""

    pair: list[Rows]
    bridge: list[Rows]
    members: list[list[NDArray[np.int64]]]

    def layers(self, which: range) -> Spectrum:
        """Return some of the layers."""
        return Spectrum(
            [self.pair[layer] for layer in which],
            [self.bridge[layer] for layer in which],
            [self.members[layer] for layer in which],
        )


def rows(rng: np.random.Generator, count: int, samples: int = SAMPLES) -> Rows:
    """Return rows with tails as in real models: kurtosis about 6, and in few rows about 100.

    A row is Student's t with a few degrees of freedom, and in part a concept that others share.
    """
    freedom = rng.uniform(3.5, 6.0, size=(count, 1))
    own = rng.standard_t(freedom, size=(count, samples))
    concepts = rng.standard_t(5.0, size=(max(1, count // 8), samples))
    share = rng.uniform(0.0, 0.3, size=(count, 1))
    mixed = own + share * concepts[rng.integers(len(concepts), size=count)]
    return mixed.astype(np.float32)


def kurtosis(values: Rows) -> NDArray[np.float64]:
    """Return the kurtosis of every row; 3 is that of the normal distribution."""
    z = values - values.mean(axis=1, dtype=np.float64, keepdims=True)
    result: NDArray[np.float64] = (z**4).mean(axis=1) / (z**2).mean(axis=1) ** 2
    return result


def two_sets(neurons: int = NEURONS, samples: int = SAMPLES, seed: int = 0) -> tuple[Rows, Rows]:
    """Return two sets; half of the second depends on the first, and not by its correlation."""
    rng = np.random.default_rng(seed)
    x, y = rows(rng, neurons, samples), rows(rng, neurons, samples)
    y[::2] += np.abs(x[::2])
    return x, y


def spectrum(layers: int = LAYERS, seed: int = 0) -> Spectrum:
    """Return what one pair of languages and its candidates are measured on."""
    rng = np.random.default_rng(seed)
    pair, bridge, members = [], [], []
    for _ in range(layers):
        pair.append(rows(rng, OWN))
        bridge.append(rows(rng, UNION))
        members.append([rng.choice(UNION, size=OWN, replace=False) for _ in range(CANDIDATES)])
    return Spectrum(pair, bridge, members)
