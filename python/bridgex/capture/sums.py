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
    from bridgex.capture.experts import Routing
    from bridgex.capture.sites import SiteModule

# Tokens whose float32 sums are formed before they are added in float64. On a processor a block of
# a layer stays in its cache while it is read several times.
_CPU_BLOCK_TOKENS = 128
_BLOCK_TOKENS = 1024


class Reading(Protocol):
    """What hears of the values of a batch."""

    def open(self, batch: Batch) -> None:
        """Forget the last batch, and learn which tokens of the coming one count."""

    def add(self, number: int, values: Tensor, routing: Routing | None = None) -> None:
        """Hear of the values (token, neuron) of one site, or of the rows of routed experts."""

    def not_finite(self) -> tuple[int, int] | None:
        """Return (layer, neuron) of the batch's first NaN or infinity, or None."""

    def keep(self) -> None:
        """Add the batch to what is kept."""


class Sums:
    """Running sums of every neuron, on the device (on the CPU where it has no float64)."""

    def __init__(self, sites: Sequence[SiteModule], device: torch.device) -> None:
        widths = [site.width for site in sites]
        total = sum(widths)
        where = _with_float64(device)
        self._device = device
        self._sites = sites
        self._places = _slices(widths)
        self._block_tokens = _CPU_BLOCK_TOKENS if device.type == "cpu" else _BLOCK_TOKENS
        # Positive count, sum, sum of squares: of all batches, and of the one that is open.
        self._sums = torch.zeros(3, total, dtype=torch.float64, device=where)
        self._maximum = torch.full((total,), -torch.inf, device=where)
        wide = torch.float32 if device.type == "mps" else torch.float64
        self._batch = torch.zeros(3, total, dtype=wide, device=device)
        self._batch_maximum = torch.full((total,), -torch.inf, device=device)
        self._blocks: tuple[Tensor, ...] = ()
        self._counted = torch.empty(0)
        self._tokens = 0
        routed = any(site.experts for site in sites)
        self._routed = np.zeros(total if routed else 0, dtype=np.int64)
        self._batch_routed = self._routed.copy()

    def open(self, batch: Batch) -> None:
        """Forget the last batch, and learn which tokens of the coming one count."""
        counted = torch.from_numpy(batch.counted.reshape(-1).nonzero()[0]).to(self._device)
        self._blocks = torch.split(counted, self._block_tokens)
        self._counted = torch.from_numpy(batch.counted.reshape(-1)).to(self._device)
        self._batch_routed[:] = len(counted)

    def add(self, number: int, values: Tensor, routing: Routing | None = None) -> None:
        """Hear of the values (token, neuron) of one site, or of the rows of routed experts."""
        own = self._places[number]
        if routing is None:
            self._add(own, values, self._blocks)
            return
        rows, given = routing.counted(self._counted)
        width = values.shape[1]
        for expert, part in enumerate(torch.split(rows, given.counts.tolist())):
            start = own.start + expert * width
            blocks = torch.split(part, self._block_tokens) if len(part) else ()
            self._add(slice(start, start + width), values, blocks)
            self._batch_routed[start : start + width] = len(part)

    def _add(self, own: slice, values: Tensor, blocks: Sequence[Tensor]) -> None:
        """Add up the values (row, neuron) of some neurons, over blocks of rows."""
        width = values.shape[1]
        most = min(self._block_tokens, len(values))
        parts = values.new_empty((4, len(blocks), width), dtype=torch.float32)
        chosen = values.new_empty((most, width))
        scratch = values.new_empty((most, width), dtype=torch.float32)
        for number, block in enumerate(blocks):
            rows = slice(len(block))
            torch.index_select(values, 0, block, out=chosen[rows])
            _reduce(chosen[rows].float(), scratch[rows], parts[:, number])
        torch.sum(parts[:3], 1, dtype=self._batch.dtype, out=self._batch[:, own])
        if blocks:
            torch.amax(parts[3], 0, out=self._batch_maximum[own])
        else:
            self._batch_maximum[own] = -torch.inf

    def not_finite(self) -> tuple[int, int] | None:
        """Return (layer, neuron) of the batch's first NaN or infinity, or None.

        One shows in the sum of squares, and so does a value too large to be squared in float32.
        """
        return _first_not_finite(self._batch[2], self._sites, self._places)

    def keep(self) -> None:
        """Add the batch to what is kept."""
        self._tokens += sum(map(len, self._blocks))
        self._routed += self._batch_routed
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
            routed_count=self._routed if self._routed.size else None,
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
    sites, layers, device
        What is read, the layers whose sites these are, and where the model runs.
    samples
        Number of prompts.
    neurons
        For every layer of the model the neurons that are kept, int64 (row,); by default all.
    """

    def __init__(
        self,
        sites: Sequence[SiteModule],
        layers: Sequence[int],
        device: torch.device,
        samples: int,
        neurons: Sequence[NDArray[np.int64]] | None,
    ) -> None:
        self._device = device
        self._sites = sites
        self._places = _slices([site.width for site in sites])
        self._total = sum(site.width for site in sites)
        sizes = _layer_widths(sites, layers)
        wanted = None if neurons is None else [neurons[layer] for layer in layers]
        starts = accumulate(sizes, initial=0)
        self._wanted: Tensor | None = None
        if wanted is not None:
            flat = [rows + start for rows, start in zip(wanted, starts, strict=False)]
            self._wanted = torch.from_numpy(np.concatenate(flat)).to(device)
            sizes = [len(rows) for rows in wanted]
        self._values = [np.empty((samples, size), np.float32) for size in sizes]
        self._rows = np.empty(0, dtype=np.int64)
        self._counted = self._counts = self._batch = torch.empty(0)

    def open(self, batch: Batch) -> None:
        """Forget the last batch, and learn which tokens of the coming one count."""
        self._rows = batch.rows
        self._counted = torch.from_numpy(batch.counted).to(self._device)
        self._counts = self._counted.sum(1, keepdim=True)
        self._batch = torch.empty(len(batch.rows), self._total, device=self._device)

    def add(self, number: int, values: Tensor, routing: Routing | None = None) -> None:
        """Hear of the values (token, neuron) of one site, or of the rows of routed experts."""
        means = self._batch[:, self._places[number]]
        if routing is not None:
            _routed_means(values, routing, self._counted, means)
            return
        shaped = values.reshape(*self._counted.shape, -1).float()
        sums = shaped.masked_fill(~self._counted[:, :, None], 0).sum(1)
        torch.div(sums, self._counts, out=means)

    def not_finite(self) -> tuple[int, int] | None:
        """Return (layer, neuron) of the batch's first NaN or infinity, or None."""
        return _first_not_finite(self._batch, self._sites, self._places)

    def keep(self) -> None:
        """Add the batch to what is kept, in one transfer."""
        # Not before the mean: sums over fewer neurons at once may add up in another order.
        kept = self._batch if self._wanted is None else self._batch.index_select(1, self._wanted)
        host = kept.cpu().numpy()
        places = _slices([values.shape[1] for values in self._values])
        for values, own in zip(self._values, places, strict=True):
            values[self._rows] = host[:, own]

    def result(self) -> tuple[NDArray[np.float32], ...]:
        """Return the means as (row, sample), turned layer by layer in the place of the others."""
        for layer, values in enumerate(self._values):
            self._values[layer] = np.ascontiguousarray(values.T)
        return tuple(self._values)


def _routed_means(values: Tensor, routing: Routing, counted: Tensor, out: Tensor) -> None:
    """Write the experts' means (sample, neuron) over the tokens that each got; 0 where it got none.

    In float64 the sum of the few float32 values of a prompt has the same bits in any order.
    """
    rows, given = routing.counted(counted.reshape(-1))
    where = _with_float64(values.device)
    samples = (given.tokens // counted.shape[1]).to(where)
    counts = given.counts.tolist()
    width = values.shape[1]
    total = torch.empty(len(counted), width, dtype=torch.float64, device=where)
    parts = zip(torch.split(rows, counts), torch.split(samples, counts), strict=True)
    for expert, (part, of) in enumerate(parts):
        total.zero_().index_add_(0, of, values[part].to(total))
        tokens = torch.bincount(of, minlength=len(counted)).clamp(min=1)
        out[:, expert * width : (expert + 1) * width] = total.div_(tokens[:, None])


def _with_float64(device: torch.device) -> torch.device:
    return torch.device("cpu") if device.type == "mps" else device


def _slices(widths: Sequence[int]) -> list[slice]:
    """Return where widths are on the axis of all of them."""
    ends = list(accumulate(widths))
    return [slice(end - width, end) for end, width in zip(ends, widths, strict=True)]


def _layer_widths(sites: Sequence[SiteModule], layers: Sequence[int]) -> list[int]:
    """Return the number of neurons of every layer."""
    return [sum(site.width for site in sites if site.layer == layer) for layer in layers]


def _first_not_finite(
    values: Tensor, sites: Sequence[SiteModule], places: Sequence[slice]
) -> tuple[int, int] | None:
    """Return (layer, neuron) of the first value (..., neuron) that is no number."""
    # A sum tells nearly always, and costs less than a look at every value.
    if bool(values.sum().isfinite()):
        return None
    finite = values.isfinite()
    if bool(finite.all()):
        return None
    neuron = int((~finite).reshape(-1, values.shape[-1]).any(0).nonzero()[0])
    site, own = next(found for found in zip(sites, places, strict=True) if neuron < found[1].stop)
    return site.layer, site.start + neuron - own.start
