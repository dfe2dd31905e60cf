"""Statistics over text and activations of probes: one forward pass without the head."""

from __future__ import annotations

import inspect
from functools import partial
from typing import TYPE_CHECKING

import torch

from bridgex.capture.batching import Batch, batches, prompt_rows, record_rows
from bridgex.capture.memory import Halving
from bridgex.capture.recorder import reading
from bridgex.capture.sums import Means, Sums
from bridgex.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from bridgex.capture.batching import Row
    from bridgex.capture.models import CaptureModel
    from bridgex.capture.recorder import Meter
    from bridgex.capture.sums import Reading
    from bridgex.progress import Progress
    from bridgex.schema import NeuronStatistics

# Characters of a text that an error shows.
_SHOWN = 60


def collect_statistics(
    model: CaptureModel, records: Sequence[str], *, progress: Progress | None = None
) -> NeuronStatistics:
    """Sum every neuron's activation over the tokens of some records.

    Parameters
    ----------
    model
        The model, with its site and policies.
    records
        Sentences or documents. Each is its own context, unless the model's ``packing`` joins them.
        A record without a token that counts is in ``record_count`` and adds nothing else.
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
        When an activation is NaN, infinite, or too large to be squared in float32: with the layer,
        the neuron and the text; or when memory does not suffice for a single row.

    Notes
    -----
    The same records, policies, device and library versions give the same bits, as long as memory
    suffices: where it runs out, a batch is read in halves, and the model's ``reporter`` is told.
    The cost is one pass through the decoder; the head is never run. Sums are formed in
    float32 over blocks of at most 1,024 tokens of one batch and added in float64; counts are
    exact. They stay on the device until all records are read.
    """
    sums = Sums(model.sites, model.device)

    def advance(batch: Batch) -> None:
        if progress is not None:
            progress.advance(batch.ids.size)

    _read(model, record_rows(model, records), sums, advance)
    return sums.result(len(records))


def count_tokens(model: CaptureModel, records: Sequence[str]) -> int:
    """Return the tokens by which ``collect_statistics`` advances its progress over some records."""
    rows = record_rows(model, records)
    return sum(len(row.ids) for row in rows)


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
        The model. Its ``positions`` policy chooses the prompt's tokens that enter the mean: all of
        its own (``prompt``), only its last one (``last``), or special ones too (``all``).
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
        When a prompt has no token of its own or does not fit into the model's context or into
        memory, or when an activation is NaN or infinite.
    ModelSupportError
        When a layer was not read exactly once with every token.

    Notes
    -----
    Memory: the result, one layer of it twice, and the means of one batch. Which neurons are wanted
    does not change the bits of any.
    """
    means = Means(model.sites, model.device, len(prompts), neurons)

    def advance(batch: Batch) -> None:
        if progress is not None:
            progress.advance(len(batch.rows))

    _read(model, prompt_rows(model, prompts), means, advance)
    return means.result()


def _read(
    model: CaptureModel, rows: Sequence[Row], into: Reading, advance: Callable[[Batch], None]
) -> None:
    """Run rows through the decoder, batch by batch, and keep what is read of them."""
    halving = Halving()
    with reading(model.sites, into.add) as meter:
        for batch in batches(rows, batch_tokens=model.batch_tokens):
            halving.run(
                len(batch.rows), batch.ids.shape[1], partial(_read_part, model, batch, into, meter)
            )
            advance(batch)
    halving.tell(model.reporter)


def _read_part(model: CaptureModel, batch: Batch, into: Reading, meter: Meter, part: slice) -> None:
    """Run some rows of a batch through the decoder, and keep what is read if all is well."""
    rows = batch.part(part)
    found = _forward(model, rows, into, meter)
    if found is not None:
        raise _not_finite(model, rows, into, meter, found)
    into.keep()


def _forward(
    model: CaptureModel, batch: Batch, into: Reading, meter: Meter
) -> tuple[int, int] | None:
    """Run a batch, and return (layer, neuron) of the first value that is no number, or None."""
    into.open(batch)
    run_decoder(model, batch, meter)
    return into.not_finite()


def _not_finite(
    model: CaptureModel, batch: Batch, into: Reading, meter: Meter, found: tuple[int, int]
) -> InvalidInputError:
    """Return the error for a batch, with the text of the row that is to blame.

    Rows are run again one by one. Where none of them fails alone, their sum was too large.
    """
    where = f"in a batch of {len(batch.rows)} texts"
    for row in range(len(batch.rows)):
        alone = _forward(model, batch.part(slice(row, row + 1)), into, meter)
        if alone is not None:
            found = alone
            where = f"on {_text(model, batch.ids[row])!r}"
            break
    return InvalidInputError(
        f"finite activations were expected, layer {found[0]}, neuron {found[1]} gave NaN, "
        f"an infinity, or a value too large to be squared in float32 {where}",
        hint="Load the model with dtype='float32', and check its weights.",
    )


def _text(model: CaptureModel, ids: NDArray[np.int64]) -> str:
    """Return the beginning of a row's text."""
    text = model.tokenizer.decode(ids[~model.is_special(ids)].tolist())
    assert isinstance(text, str)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


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
