"""What is kept of activations: sums over text, and means over prompts.

Both are opened for a batch, hear of the values of every layer during its forward pass, and keep
what they heard only when asked to: of a pass that failed nothing is left. Nothing leaves the
device before then.
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

from bridgex.schema import NeuronStatistics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from bridgex.capture.batching import Batch
    from bridgex.capture.sites import SiteModule

# Tokens whose float32 sums are formed before they are added in float64. On a processor a block of
# a layer stays in its cache while it is read several times.
_CPU_BLOCK_TOKENS = 128
_BLOCK_TOKENS = 1024


class Reading(Protocol):
    """What hears of the values of a batch."""

    def open(self, batch: Batch) -> None:
        """Forget the last batch, and learn which tokens of the coming one count."""

    def add(self, layer: int, values: Tensor) -> None:
        """Hear of the values (token, neuron) of one layer."""

    def not_finite(self) -> tuple[int, int] | None:
        """Return (layer, neuron) of the batch's first NaN or infinity, or None."""

    def keep(self) -> None:
        """Add the batch to what is kept."""


class Sums:
    """Running sums of every neuron, on the device (on the CPU where it has no float64)."""

    def __init__(self, sites: Sequence[SiteModule], device: torch.device) -> None:
        widths = [site.width for site in sites]
        total = sum(widths)
        where = torch.device("cpu") if device.type == "mps" else device
        self._device = device
        self._layers = _layer_slices(widths)
        self._block_tokens = _CPU_BLOCK_TOKENS if device.type == "cpu" else _BLOCK_TOKENS
        # Positive count, sum, sum of squares: of all batches, and of the one that is open.
        self._sums = torch.zeros(3, total, dtype=torch.float64, device=where)
        self._maximum = torch.full((total,), -torch.inf, device=where)
        wide = torch.float32 if device.type == "mps" else torch.float64
        self._batch = torch.zeros(3, total, dtype=wide, device=device)
        self._batch_maximum = torch.full((total,), -torch.inf, device=device)
        self._blocks: tuple[Tensor, ...] = ()
        self._tokens = 0

    def open(self, batch: Batch) -> None:
        """Forget the last batch, and learn which tokens of the coming one count."""
        counted = torch.from_numpy(batch.counted.reshape(-1).nonzero()[0]).to(self._device)
        self._blocks = torch.split(counted, self._block_tokens)

    def add(self, layer: int, values: Tensor) -> None:
        """Hear of the values (token, neuron) of one layer."""
        width = values.shape[1]
        most = min(self._block_tokens, len(values))
        parts = values.new_empty((4, len(self._blocks), width), dtype=torch.float32)
        chosen = values.new_empty((most, width))
        scratch = values.new_empty((most, width), dtype=torch.float32)
        for number, block in enumerate(self._blocks):
            rows = slice(len(block))
            torch.index_select(values, 0, block, out=chosen[rows])
            _reduce(chosen[rows].float(), scratch[rows], parts[:, number])
        own = self._layers[layer]
        torch.sum(parts[:3], 1, dtype=self._batch.dtype, out=self._batch[:, own])
        torch.amax(parts[3], 0, out=self._batch_maximum[own])

    def not_finite(self) -> tuple[int, int] | None:
        """Return (layer, neuron) of the batch's first NaN or infinity, or None.

        One shows in the sum of squares, and so does a value too large to be squared in float32.
        """
        return _first_not_finite(self._batch[2], self._layers)

    def keep(self) -> None:
        """Add the batch to what is kept."""
        self._tokens += sum(map(len, self._blocks))
        self._sums += self._batch.to(self._sums)
        self._maximum = torch.maximum(self._maximum, self._batch_maximum.to(self._maximum))

    def result(self, record_count: int) -> NeuronStatistics:
        """Return what was kept."""
        positive, sums, squares = self._sums.cpu().numpy()
        return NeuronStatistics(
            positive_count=positive.astype(np.int64),
            sum=sums,
            sum_squares=squares,
            maximum=self._maximum.cpu().numpy(),
            token_count=self._tokens,
            record_count=record_count,
        )


def _reduce(values: Tensor, scratch: Tensor, out: Tensor) -> None:
    """Write positive count, sum, sum of squares and maximum of values (token, neuron).

    Fresh memory for every block costs as much as the sums: ``scratch`` is used again.
    """
    torch.sum(torch.gt(values, 0, out=scratch), 0, out=out[0])
    torch.sum(values, 0, out=out[1])
    torch.sum(torch.mul(values, values, out=scratch), 0, out=out[2])
    torch.amax(values, 0, out=out[3])


class Means:
    """Mean activations of every prompt (sample, neuron).

    Parameters
    ----------
    sites, device
        What is read, and where the model runs.
    samples
        Number of prompts.
    neurons
        For every layer the neurons that are kept, int64 (row,); by default all.
    """

    def __init__(
        self,
        sites: Sequence[SiteModule],
        device: torch.device,
        samples: int,
        neurons: Sequence[NDArray[np.int64]] | None,
    ) -> None:
        self._device = device
        widths = [site.width for site in sites]
        self._layers = _layer_slices(widths)
        wanted = [np.arange(width) for width in widths] if neurons is None else neurons
        self._wanted = None if neurons is None else _flat(neurons, self._layers).to(device)
        self._values = [np.empty((samples, len(rows)), np.float32) for rows in wanted]
        self._rows = np.empty(0, dtype=np.int64)
        self._dropped = self._counts = self._batch = torch.empty(0)

    def open(self, batch: Batch) -> None:
        """Forget the last batch, and learn which tokens of the coming one count."""
        counted = torch.from_numpy(batch.counted).to(self._device)
        self._rows = batch.rows
        self._dropped = ~counted[:, :, None]
        self._counts = counted.sum(1, keepdim=True)
        total = self._layers[-1].stop
        self._batch = torch.empty(len(batch.rows), total, device=self._device)

    def add(self, layer: int, values: Tensor) -> None:
        """Hear of the values (token, neuron) of one layer."""
        shaped = values.reshape(*self._dropped.shape[:2], -1).float()
        sums = shaped.masked_fill(self._dropped, 0).sum(1)
        torch.div(sums, self._counts, out=self._batch[:, self._layers[layer]])

    def not_finite(self) -> tuple[int, int] | None:
        """Return (layer, neuron) of the batch's first NaN or infinity, or None."""
        return _first_not_finite(self._batch, self._layers)

    def keep(self) -> None:
        """Add the batch to what is kept, in one transfer."""
        # Not before the mean: sums over fewer neurons at once may add up in another order.
        kept = self._batch if self._wanted is None else self._batch.index_select(1, self._wanted)
        ends = list(accumulate(values.shape[1] for values in self._values))
        for values, batch in zip(
            self._values, np.split(kept.cpu().numpy(), ends[:-1], axis=1), strict=True
        ):
            values[self._rows] = batch

    def result(self) -> tuple[NDArray[np.float32], ...]:
        """Return the means as (row, sample), turned layer by layer in the place of the others."""
        for layer, values in enumerate(self._values):
            self._values[layer] = np.ascontiguousarray(values.T)
        return tuple(self._values)


def _layer_slices(widths: Sequence[int]) -> list[slice]:
    """Return where every layer is on the flat neuron axis."""
    ends = list(accumulate(widths))
    return [slice(end - width, end) for end, width in zip(ends, widths, strict=True)]


def _flat(neurons: Sequence[NDArray[np.int64]], layers: Sequence[slice]) -> Tensor:
    """Return layers' neurons as indices on the flat axis."""
    found = [rows + layer.start for rows, layer in zip(neurons, layers, strict=True)]
    return torch.from_numpy(np.concatenate(found))


def _first_not_finite(values: Tensor, layers: Sequence[slice]) -> tuple[int, int] | None:
    """Return (layer, neuron) of the first value (..., neuron) that is no number."""
    finite = values.isfinite()
    if bool(finite.all()):
        return None
    neuron = int((~finite).reshape(-1, values.shape[-1]).any(0).nonzero()[0])
    layer = next(number for number, own in enumerate(layers) if neuron < own.stop)
    return layer, neuron - layers[layer].start
