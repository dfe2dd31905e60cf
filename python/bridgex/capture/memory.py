"""What to do where a batch does not fit into memory: halve it for that pass, and say so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from bridgex.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridgex.progress import Reporter

# How torch's allocators, CUDA's and the processor's, put it.
_MESSAGES = ("out of memory", "can't allocate memory", "not enough memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error says that memory ran out."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _MESSAGES)


class Halving:
    """Runs batches, and the two halves of those for which memory runs out.

    Attributes
    ----------
    passes
        Batches that were run, each counted once.
    split
        How many of them did not fit as a whole.
    """

    def __init__(self) -> None:
        self.passes = 0
        self.split = 0

    def run(self, rows: int, tokens: int, forward: Callable[[slice], None]) -> None:
        """Call ``forward`` with all rows of a batch, or part by part with as many as fit.

        Parameters
        ----------
        rows, tokens
            Size of the batch: its rows, and the tokens of each.
        forward
            Called with consecutive slices of the rows. Where it raises for want of memory it must
            leave nothing behind.

        Raises
        ------
        InvalidInputError
            When memory does not suffice for a single row.
        """
        self.passes += 1
        waiting = [slice(0, rows)]
        while waiting:
            part = waiting.pop()
            if _fits(forward, part):
                continue
            if part.stop - part.start == 1:
                raise InvalidInputError(
                    f"a row of {tokens:,} tokens was expected to fit into memory, it does not",
                    hint=f"Use a smaller model or precision, or --max-tokens below {tokens}.",
                )
            middle = (part.start + part.stop) // 2
            waiting += [slice(middle, part.stop), slice(part.start, middle)]
        self.split += part != slice(0, rows)

    def tell(self, reporter: Reporter) -> None:
        """Say how many batches were split, if any was."""
        if self.split:
            reporter.note(
                f"memory ran out in {self.split:,} of {self.passes:,} forward passes: their "
                "batches were read in parts, whose numbers may round differently"
            )


def _fits(forward: Callable[[slice], None], part: slice) -> bool:
    """Call, and tell whether memory sufficed. What the call held is free when this returns."""
    try:
        forward(part)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
    else:
        return True
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return False
