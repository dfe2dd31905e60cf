"""Activations on word pairs, and what is kept of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bridgex.schema.names import ProbeDtype, WordPair


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
