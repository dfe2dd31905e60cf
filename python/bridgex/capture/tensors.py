"""Tensors that other programs saved with ``torch.save``, as arrays and without running anything."""

from __future__ import annotations

import re
import zipfile
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import torch

from bridgex.errors import InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_GLOBAL = re.compile(r"GLOBAL (\S+)")


def load_tensors(path: Path) -> NDArray[Any] | dict[str, NDArray[Any]]:
    """Read a tensor, or a dictionary of tensors and numbers, from a file that torch saved.

    Nothing but tensors, numbers, text, lists and dictionaries is unpickled, so nothing that is in
    the file runs.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    The tensor, or what of the dictionary is a tensor or a number, by name. Tensors of half
    precision become float32. Memory-mapped where torch can: what is not used is not read.

    Raises
    ------
    NotFoundError
        There is no such file.
    InvalidInputError
        The file was not saved by torch, is cut short, or holds something else.
    """
    found = _load(path)
    if isinstance(found, torch.Tensor):
        return _array(found, path)
    if not isinstance(found, dict):
        raise InvalidInputError(
            f"expected a tensor or a dictionary of tensors in {path}, found {type(found).__name__}"
        )
    return {
        str(name): _array(torch.as_tensor(value), path)
        for name, value in found.items()
        if isinstance(value, torch.Tensor | int | float)
    }


def _load(path: Path) -> Any:
    if not path.is_file():
        raise NotFoundError(f"there is no file {path}", hint="Check the path.")
    try:
        return torch.load(
            path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
        )
    except UnpicklingError as error:
        raise _refusal(path, error) from error
    except Exception as error:  # what a damaged file raises depends on where it is damaged
        raise InvalidInputError(
            f"expected a file that torch.save wrote, but {path} cannot be read as one: "
            f"{str(error).partition(chr(10))[0] or type(error).__name__}",
            hint="Check that it was copied completely.",
        ) from error


def _refusal(path: Path, error: UnpicklingError) -> InvalidInputError:
    wanted = _GLOBAL.search(str(error))
    if wanted is None:
        return InvalidInputError(
            f"expected a file that torch.save wrote, but {path} is none, or is damaged",
            hint="Check that it was copied completely.",
        )
    return InvalidInputError(
        f"expected tensors and numbers in {path}, but it holds {wanted[1]}, which is made by "
        "running code: refused, and nothing of it was run",
        hint="Save plain tensors and numbers: torch.save({'n': int, 'over_zero': tensor}, file).",
    )


def _array(tensor: torch.Tensor, path: Path) -> NDArray[Any]:
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_complex():
        raise InvalidInputError(f"expected plain tensors in {path}, found {tensor.type()}")
    plain = tensor.detach()
    array: NDArray[Any] = (
        plain.float() if plain.dtype in (torch.bfloat16, torch.float16) else plain
    ).numpy()
    return array
