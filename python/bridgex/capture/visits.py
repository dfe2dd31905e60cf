"""A batch through one layer, or in parts where memory runs out for all of its rows."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import torch

from bridgex.capture.not_finite import not_finite_error, shown_text
from bridgex.capture.passes import decoder_pass
from bridgex.capture.recording import Call, Recorded, Shared, call_of_rows, record
from bridgex.capture.skeleton import SURROUNDINGS
from bridgex.errors import ModelSupportError

if TYPE_CHECKING:
    from torch import Tensor

    from bridgex.capture.batching import Batch
    from bridgex.capture.memory import Halving
    from bridgex.capture.models import CaptureModel
    from bridgex.capture.recorder import Meter
    from bridgex.capture.skeleton import Skeleton
    from bridgex.capture.sums import Reading
    from bridgex.errors import InvalidInputError


class Waiting(NamedTuple):
    """A batch and where it is on its way."""

    batch: Batch
    recorded: Recorded


class Visit(NamedTuple):
    """What happens to batches in one layer.

    Attributes
    ----------
    model, layer
        Where they pass.
    halving
        Counts those that did not fit.
    read
        What hears of the layer's values, and what checks that it does; None where nobody does.
    """

    model: CaptureModel
    layer: int
    halving: Halving
    read: tuple[Reading, Meter] | None

    def run(self, waiting: Waiting) -> None:
        """Replace the hidden states of a batch by those after the layer, and keep what is read.

        Raises
        ------
        InvalidInputError
            When an activation is no number, or memory does not suffice for a single row.
        """
        rows, tokens = waiting.batch.ids.shape
        self.halving.run(rows, tokens, partial(self._run_part, waiting))

    def _run_part(self, waiting: Waiting, part: slice) -> None:
        after, found = self._forward(waiting, part)
        if found is not None:
            raise self._not_finite(waiting, part, found)
        if self.read is not None:
            self.read[0].keep()
        waiting.recorded.hidden[part].copy_(after)

    def _forward(self, waiting: Waiting, part: slice) -> tuple[Tensor, tuple[int, int] | None]:
        """Run some rows; return their states and (layer, neuron) of what is no number."""
        batch = waiting.batch.part(part)
        call = self._call(waiting, batch, part)
        hidden = waiting.recorded.hidden[part]
        # Not in inference mode, where torch does not count what is written.
        with torch.no_grad():
            if self.read is None:
                return self._call_layer(call, hidden), None
            into, meter = self.read
            into.open(batch)
            with meter.forward(batch.ids.size):
                after = self._call_layer(call, hidden)
            return after, into.not_finite()

    def _call(self, waiting: Waiting, batch: Batch, part: slice) -> Call:
        """Return how the layer is called with some rows of a batch."""
        call = waiting.recorded.calls[self.layer]
        if len(batch.rows) == len(waiting.batch.rows):
            return call
        assert self.model.skeleton is not None
        alike = record_without_parameters(self.model.skeleton, batch)
        return call_of_rows(call, part, alike=alike.calls[self.layer])

    def _call_layer(self, call: Call, hidden: Tensor) -> Tensor:
        assert self.model.skeleton is not None
        writes = hidden._version  # noqa: SLF001  (torch's own count)
        try:
            after = call.run(self.model.skeleton.layers[self.layer], hidden)
        except (MemoryError, RuntimeError) as error:
            if hidden._version != writes:  # noqa: SLF001
                raise ModelSupportError(
                    f"layer {self.layer} was expected to leave what it is given as it is, it wrote "
                    "to it before it failed",
                    hint="Use a smaller --batch-tokens, or --mode resident.",
                ) from error
            raise
        if (after.shape, after.dtype) != (hidden.shape, hidden.dtype):
            raise ModelSupportError(
                f"layer {self.layer} was expected to return states {tuple(hidden.shape)} of "
                f"{hidden.dtype}, it returned {tuple(after.shape)} of {after.dtype}",
                hint="This model's layers cannot be run one at a time: use --mode resident.",
            )
        return after

    def _not_finite(
        self, waiting: Waiting, part: slice, found: tuple[int, int]
    ) -> InvalidInputError:
        """Return the error for some rows, with the text of the one that is to blame.

        Rows are run again one by one. Where none of them fails alone, their sum was too large.
        """
        where = f"in a batch of {part.stop - part.start} texts"
        for row in range(part.start, part.stop):
            _, alone = self._forward(waiting, slice(row, row + 1))
            if alone is not None:
                found = alone
                where = f"on {shown_text(self.model, waiting.batch.ids[row])!r}"
                break
        return not_finite_error(self.model, found, where)


def record_without_parameters(skeleton: Skeleton, batch: Batch) -> Recorded:
    """Record what layers are given, with zeros for the embeddings: for the shapes alone."""
    run = decoder_pass(skeleton.decoder, batch.ids, skeleton.device)
    with skeleton.pretended(SURROUNDINGS):
        return record(skeleton.layers, run, Shared())
