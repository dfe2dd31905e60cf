"""Statistics over text and activations of probes: one forward pass without the head."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import numpy as np
import torch

from bridgex.capture.batching import Batch, batches, prompt_rows, record_rows
from bridgex.capture.recorder import first_not_finite, reading
from bridgex.errors import InvalidInputError
from bridgex.schema import NeuronStatistics

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from bridgex.capture.models import CaptureModel
    from bridgex.capture.recorder import Meter
    from bridgex.progress import Progress

# Tokens whose float32 sums are formed before they are added in float64.
_BLOCK_TOKENS = 1024


def collect_statistics(
    model: CaptureModel, records: Sequence[str], *, progress: Progress | None = None
) -> NeuronStatistics:
    """Sum every neuron's activation over the tokens of some records.

    Parameters
    ----------
    model
        The model, with its site and policies.
    records
        Sentences or documents. Each is its own context: no record attends to another. A record
        without a token that counts is in ``record_count`` and adds nothing else.
    progress
        Advanced by the tokens of every batch, special ones included.

    Returns
    -------
    NeuronStatistics
        Over the flat ``(neuron,)`` axis of all layers. Special tokens (by id, the unknown token
        among them) do not count under ``special="exclude"``.

    Raises
    ------
    ModelSupportError
        When a layer was not read exactly once with every token.
    InvalidInputError
        When an activation is NaN, infinite, or too large to be squared in float32.

    Notes
    -----
    The same records, policies, device and library versions give the same bits. The cost is one
    pass through the decoder; the head is never run. Sums are formed in float32 over blocks of
    1,024 tokens of one batch and added in float64; counts are exact.
    """
    rows = record_rows(model, records)
    sums = _Sums(model)
    with reading(model.sites, sums.add) as meter:
        for batch in batches(rows, batch_tokens=model.batch_tokens):
            sums.open(batch)
            run_decoder(model, batch, meter)
            sums.check()
            _advance(progress, batch)
    return sums.result(len(records))


def count_tokens(model: CaptureModel, records: Sequence[str]) -> int:
    """Return the tokens by which ``collect_statistics`` advances its progress over some records."""
    rows = record_rows(model, records)
    return sum(len(row.ids) for row in rows)


class _Sums:
    """Running sums of every layer, on the device (on the CPU where it has no float64)."""

    def __init__(self, model: CaptureModel) -> None:
        self._device = model.device
        where = "cpu" if model.device.type == "mps" else model.device
        widths = [site.width for site in model.sites]
        self.positive = [torch.zeros(w, dtype=torch.int64, device=where) for w in widths]
        self.sum = [torch.zeros(w, dtype=torch.float64, device=where) for w in widths]
        self.squares = [torch.zeros(w, dtype=torch.float64, device=where) for w in widths]
        self.maximum = [torch.full((w,), -torch.inf, device=where) for w in widths]
        self.tokens = 0
        self._blocks: tuple[Tensor, ...] = ()

    def open(self, batch: Batch) -> None:
        """Say which tokens of the coming forward pass count."""
        counted = torch.from_numpy(batch.counted.reshape(-1).nonzero()[0]).to(self._device)
        self.tokens += len(counted)
        self._blocks = torch.split(counted, _BLOCK_TOKENS)

    def add(self, layer: int, values: Tensor) -> None:
        """Add the values (token, neuron) of one layer."""
        for block in self._blocks:
            part = values.index_select(0, block).float()
            self.positive[layer] += (part > 0).sum(0).to(self.positive[layer].device)
            self.sum[layer] += part.sum(0).to(self.sum[layer])
            self.squares[layer] += part.square().sum(0).to(self.squares[layer])
            best = part.amax(0).to(self.maximum[layer])
            self.maximum[layer] = torch.maximum(self.maximum[layer], best)

    def check(self) -> None:
        """Refuse sums that are no numbers. A NaN or infinity shows in the sum of squares."""
        refuse_not_finite(self.squares)

    def result(self, record_count: int) -> NeuronStatistics:
        return NeuronStatistics(
            positive_count=torch.cat(self.positive).cpu().numpy(),
            sum=torch.cat(self.sum).cpu().numpy(),
            sum_squares=torch.cat(self.squares).cpu().numpy(),
            maximum=torch.cat(self.maximum).cpu().numpy(),
            token_count=self.tokens,
            record_count=record_count,
        )


def collect_probes(
    model: CaptureModel,
    prompts: Sequence[str],
    *,
    neurons: Sequence[NDArray[np.int64]] | None = None,
    progress: Progress | None = None,
) -> tuple[NDArray[np.float32], ...]:
    """Return neurons' mean activation over each prompt's own tokens.

    Parameters
    ----------
    model
        The model. Its ``positions`` policy chooses all of the prompt's tokens (``prompt``) or
        only its last one (``last``).
    prompts
        One per sample.
    neurons
        For every layer the indices of the neurons that are wanted, int64 (row,); by default all.
        The others are left on the device. All of them must be finite.
    progress
        Advanced by the prompts of every batch.

    Returns
    -------
    tuple of ndarray
        One float32 (row, sample) array per layer, samples in the order of the prompts.

    Raises
    ------
    InvalidInputError
        When a prompt has no token of its own or does not fit into the model's context, or when
        an activation is NaN or infinite.
    ModelSupportError
        When a layer was not read exactly once with every token.

    Notes
    -----
    Memory: the result, and one layer of it twice. Which neurons are wanted does not change the
    bits of any.
    """
    means = _Means(model, len(prompts), neurons)
    with reading(model.sites, means.add) as meter:
        for batch in batches(prompt_rows(model, prompts), batch_tokens=model.batch_tokens):
            means.open(batch)
            run_decoder(model, batch, meter)
            refuse_not_finite(means.latest)
            if progress is not None:
                progress.advance(len(batch.rows))
    return means.result()


class _Means:
    """Mean activations (sample, row) of every layer."""

    def __init__(
        self, model: CaptureModel, samples: int, neurons: Sequence[NDArray[np.int64]] | None
    ) -> None:
        self._device = model.device
        self._wanted = [torch.from_numpy(rows).to(model.device) for rows in neurons or ()]
        widths = map(len, neurons) if neurons else (site.width for site in model.sites)
        self._values = [np.empty((samples, width), np.float32) for width in widths]
        self.latest = [torch.empty(0) for _ in model.sites]
        self._rows = np.empty(0, dtype=np.int64)
        self._dropped = torch.empty(0)
        self._counts = torch.empty(0)

    def open(self, batch: Batch) -> None:
        """Say which tokens of the coming forward pass count."""
        counted = torch.from_numpy(batch.counted).to(self._device)
        self._rows = batch.rows
        self._dropped = ~counted[:, :, None]
        self._counts = counted.sum(1, keepdim=True)

    def add(self, layer: int, values: Tensor) -> None:
        """Keep the means of one layer's values (token, neuron)."""
        shaped = values.reshape(*self._dropped.shape[:2], -1).float()
        mean = shaped.masked_fill(self._dropped, 0).sum(1) / self._counts
        self.latest[layer] = mean
        if self._wanted:
            # Not before the mean: sums over fewer neurons at once may add up in another order.
            mean = mean.index_select(1, self._wanted[layer])
        self._values[layer][self._rows] = mean.cpu().numpy()

    def result(self) -> tuple[NDArray[np.float32], ...]:
        """Return the means as (row, sample), turned layer by layer in the place of the others."""
        for layer, values in enumerate(self._values):
            self._values[layer] = np.ascontiguousarray(values.T)
        return tuple(self._values)


def run_decoder(model: CaptureModel, batch: Batch, meter: Meter) -> None:
    """Run one batch through the decoder, without cache, mask or head."""
    ids = torch.from_numpy(batch.ids).to(model.device)
    with torch.inference_mode(), meter.forward(ids.numel()):
        model.decoder(input_ids=ids, use_cache=False, **position_arguments(model, ids))


def position_arguments(model: CaptureModel, ids: Tensor) -> dict[str, Tensor | None]:
    """Return the mask and position arguments for rows of equal length (row, token)."""
    arguments: dict[str, Tensor | None] = {"attention_mask": None}
    if "position_ids" in inspect.signature(model.decoder.forward).parameters:
        arguments["position_ids"] = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
    return arguments


def refuse_not_finite(layers: Iterable[Tensor]) -> None:
    """Raise when a layer's tensor (..., neuron) holds a NaN or an infinity."""
    found = first_not_finite(list(layers))
    if found is not None:
        raise InvalidInputError(
            f"finite activations were expected, layer {found[0]}, neuron {found[1]} gave NaN, "
            "an infinity, or a value too large to be squared in float32",
            hint="Load the model with dtype='float32', and check its weights.",
        )


def _advance(progress: Progress | None, batch: Batch) -> None:
    if progress is not None:
        progress.advance(batch.ids.size)
