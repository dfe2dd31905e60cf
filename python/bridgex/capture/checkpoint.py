"""The tensors of a safetensors checkpoint, by name and size, and read one by one.

Tensors are read into memory of their own, as torch aligns it. A memory map would keep every page
that was touched resident until the whole file is closed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open

from bridgex.capture.weights import weight_files
from bridgex.errors import InvalidInputError, ModelSupportError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path
    from types import EllipsisType

    from torch import Tensor

_FLOATS = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
_DTYPES = _FLOATS | {"I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8}
_DTYPES |= {"U8": torch.uint8, "BOOL": torch.bool}


class StoredTensor(NamedTuple):
    """A tensor of a checkpoint: its file, where it begins there, its shape and its dtype's name."""

    file: Path
    start: int
    shape: tuple[int, ...]
    dtype: str

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def torch_dtype(self) -> torch.dtype:
        """What torch calls the dtype."""
        return _DTYPES[self.dtype]

    @property
    def bytes(self) -> int:
        """Bytes in the file."""
        return self.size * self.torch_dtype.itemsize

    def read(self) -> Tensor:
        """Read the numbers.

        Raises
        ------
        OSError
            When the file cannot be read, or has become shorter.
        """
        found = torch.empty(self.shape, dtype=self.torch_dtype)
        left = found.reshape(-1).view(torch.uint8).numpy().data
        with self.file.open("rb", buffering=0) as file:
            file.seek(self.start)
            while left:
                count = file.readinto(left)
                if not count:
                    raise OSError(f"{self.file} has become shorter")
                left = left[count:]
        return found


class Slice:
    """A tensor that is read when it is indexed with ``[...]``, as safetensors' own are."""

    def __init__(self, stored: StoredTensor) -> None:
        self._stored = stored

    def __getitem__(self, index: EllipsisType) -> Tensor:
        """Read all of it."""
        return self._stored.read()


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

    def slices(self, names: Iterable[str]) -> dict[str, Slice]:
        """Return what reads tensors, by name."""
        return {name: Slice(self.tensors[name]) for name in names}


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
    begin, header = _read_header(file)
    for name, told in header.items():
        start = begin + told["data_offsets"][0]
        found[name] = StoredTensor(file, start, tuple(told["shape"]), told["dtype"])
    check_dtypes(found, file)
    return found


def check_dtypes(tensors: Mapping[str, StoredTensor], place: object) -> None:
    """Refuse tensors that hold other than plain numbers.

    Raises
    ------
    ModelSupportError
        If there are some: with the place that holds them.
    """
    strange = sorted({tensor.dtype for tensor in tensors.values()} - _DTYPES.keys())
    if strange:
        raise ModelSupportError(
            f"tensors of plain numbers are needed to read a model in pieces, {place} holds "
            f"{', '.join(strange)}",
            hint="Use the model's unquantised weights, or --mode resident.",
        )


def _read_header(file: Path) -> tuple[int, dict[str, Any]]:
    """Return where the numbers of a file begin, and what it says of its tensors.

    Opening the file with safetensors checks that both are consistent.
    """
    try:
        with safe_open(file, framework="pt"), file.open("rb") as opened:
            size = int.from_bytes(opened.read(8), "little")
            header: dict[str, Any] = json.loads(opened.read(size))
    except (SafetensorError, OSError) as error:
        raise InvalidInputError(
            f"the weights in {file} could not be loaded: {error}",
            hint="Download the model again.",
        ) from error
    header.pop("__metadata__", None)
    return 8 + size, header
