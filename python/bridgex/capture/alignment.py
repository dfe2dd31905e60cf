"""Where parameters begin in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

_BYTES = 64  # where torch's own allocator begins on a CPU


def align(tensors: Iterable[Tensor]) -> None:
    """Move tensors that begin elsewhere to a multiple of 64 bytes, on a CPU.

    The product of a matrix and one vector takes another order of additions where the matrix is not
    aligned: without this, bits would depend on where a file holds a tensor, and on how it was read.
    Memory: the largest tensor twice for a moment.
    """
    for tensor in tensors:
        if tensor.device.type == "cpu" and tensor.data_ptr() % _BYTES:
            tensor.data = tensor.data.clone()
