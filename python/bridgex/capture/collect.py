"""Statistics over text and activations of probes: one forward pass without the head."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch

from bridgex.capture.batching import Batch, batches, prompt_rows, record_rows
from bridgex.capture.memory import Halving
from bridgex.capture.not_finite import not_finite_error, shown_text
from bridgex.capture.passes import decoder_pass
from bridgex.capture.recorder import reading
from bridgex.capture.sums import Means, Sums
from bridgex.capture.sweep import sweep_probes, sweep_statistics

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from bridgex.capture.batching import Row
    from bridgex.capture.models import CaptureModel
    from bridgex.capture.recorder import Meter
    from bridgex.capture.sums import Reading
    from bridgex.errors import InvalidInputError
    from bridgex.progress import Progress
    from bridgex.schema import NeuronStatistics


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
    if model.skeleton is not None:
        return sweep_statistics(model, [records], progress=progress)[0]
    sums = Sums(model.sites, model.device)

    def advance(batch: Batch) -> None:
        if progress is not None:
            progress.advance(batch.ids.size)

    _read(model, record_rows(model, records), sums, advance)
    return sums.result(len(records))


def collect_statistics_of(
    model: CaptureModel, parts: Sequence[Sequence[str]], *, progress: Progress | None = None
) -> list[NeuronStatistics]:
    """Return what ``collect_statistics`` gives of each of several parts of text.

    A model that is read layer by layer is read once for all of them.
    """
    if model.skeleton is not None:
        return sweep_statistics(model, parts, progress=progress)
    return [collect_statistics(model, records, progress=progress) for records in parts]


def count_tokens(model: CaptureModel, records: Sequence[str]) -> int:
    """Return the tokens by which ``collect_statistics`` advances its progress over some records."""
    rows = record_rows(model, records)
    return sum(len(row.ids) for row in rows)


def count_work(model: CaptureModel, records: Sequence[str]) -> tuple[int, int]:
    """Return the tokens of some records, and the forward passes that read them."""
    rows = record_rows(model, records)
    passes = sum(1 for _ in batches(rows, batch_tokens=model.batch_tokens))
    return sum(len(row.ids) for row in rows), passes


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
        One float32 (row, sample) array per layer, samples in the order of the prompts. Neurons of
        a routed expert: the mean over the tokens that were routed to it, 0 where none was.

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
    if model.skeleton is not None:
        return sweep_probes(model, [prompts], neurons=neurons, progress=progress)[0]
    means = Means(
        model.sites,
        range(len(model.provenance.layer_sizes)),
        model.device,
        len(prompts),
        neurons,
    )

    def advance(batch: Batch) -> None:
        if progress is not None:
            progress.advance(len(batch.rows))

    _read(model, prompt_rows(model, prompts), means, advance)
    return means.result()


def collect_probes_of(
    model: CaptureModel,
    parts: Sequence[Sequence[str]],
    *,
    neurons: Sequence[NDArray[np.int64]] | None = None,
    progress: Progress | None = None,
) -> list[tuple[NDArray[np.float32], ...]]:
    """Return what ``collect_probes`` gives of each of several lists of prompts.

    A model that is read layer by layer is read once for all of them.
    """
    if model.skeleton is not None:
        return sweep_probes(model, parts, neurons=neurons, progress=progress)
    return [collect_probes(model, prompts, neurons=neurons, progress=progress) for prompts in parts]


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
            where = f"on {shown_text(model, batch.ids[row])!r}"
            break
    return not_finite_error(model, found, where)


def run_decoder(model: CaptureModel, batch: Batch, meter: Meter) -> None:
    """Run one batch through the decoder, without cache, mask or head."""
    with torch.inference_mode(), meter.forward(batch.ids.size):
        decoder_pass(model.decoder, batch.ids, model.device)()
