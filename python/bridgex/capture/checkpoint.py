"""The tensors of a safetensors checkpoint, by name and size, and read one by one.

Tensors are read into memory of their own. A memory map would keep every page that was touched
resident until the whole file is closed.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open

from bridgex.capture.digests import weight_files
from bridgex.errors import InvalidInputError, ModelSupportError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

_DTYPE_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1}
_FLOATS = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
_DTYPE_BYTES |= {"U8": 1, "BOOL": 1}


class StoredTensor(NamedTuple):
    """A tensor of a checkpoint: its file, its shape, and the name of its dtype."""

    file: Path
    shape: tuple[int, ...]
    dtype: str

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def bytes(self) -> int:
        """Bytes in the file."""
        return self.size * _DTYPE_BYTES[self.dtype]


@dataclass(frozen=True)
class Checkpoint:
    """What a model's safetensors files hold.

    Attributes
    ----------
    tensors
        Every tensor by its name in the files.
    """

    tensors: Mapping[str, StoredTensor]

    @property
    def bytes(self) -> int:
        """Bytes of all tensors in the files."""
        return sum(tensor.bytes for tensor in self.tensors.values())

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the first tensor of floating-point numbers."""
        names = (tensor.dtype for tensor in self.tensors.values() if tensor.dtype in _FLOATS)
        return _FLOATS[next(names)]

    @contextmanager
    def slices(self, names: Iterable[str]) -> Iterator[dict[str, Any]]:
        """Give tensors by name that are read when they are indexed with ``[...]``."""
        with ExitStack() as stack:
            files: dict[Path, Any] = {}
            slices = {}
            for name in names:
                file = self.tensors[name].file
                if file not in files:
                    files[file] = stack.enter_context(_open(file))
                slices[name] = files[file].get_slice(name)
            yield slices


def open_checkpoint(directory: Path) -> Checkpoint:
    """Return what the safetensors files of a directory hold; no tensor is read.

    Raises
    ------
    ModelSupportError
        When the parameters are in ``.bin`` files, or are quantised.
    InvalidInputError
        When a file is damaged.
    """
    tensors: dict[str, StoredTensor] = {}
    for file in weight_files(directory):
        if file.suffix != ".safetensors":
            raise ModelSupportError(
                f"safetensors files are needed to read a model in pieces, {directory} has "
                f"{file.name}",
                hint="Use --mode resident, or save the model once more: AutoModelForCausalLM."
                "from_pretrained(old).save_pretrained(new).",
            )
        tensors |= _read_index(file)
    return Checkpoint(tensors)


def _read_index(file: Path) -> dict[str, StoredTensor]:
    found = {}
    with _open(file) as opened:
        for name in opened.keys():  # noqa: SIM118  (it is no dictionary)
            part = opened.get_slice(name)
            found[name] = StoredTensor(file, tuple(part.get_shape()), part.get_dtype())
    strange = sorted({tensor.dtype for tensor in found.values()} - _DTYPE_BYTES.keys())
    if strange:
        raise ModelSupportError(
            f"tensors of plain numbers are needed to read a model in pieces, {file} holds "
            f"{', '.join(strange)}",
            hint="Use the model's unquantised weights, or --mode resident.",
        )
    return found


def _open(file: Path) -> Any:
    try:
        return safe_open(file, framework="pt", backend="pread")
    except (SafetensorError, OSError) as error:
        raise InvalidInputError(
            f"the weights in {file} could not be loaded: {error}",
            hint="Download the model again.",
        ) from error
