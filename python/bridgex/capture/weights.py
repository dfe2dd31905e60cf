"""Which files hold a model's parameters: those that transformers reads, in its order."""

from __future__ import annotations

import hashlib
import json
from pathlib import PurePath
from typing import TYPE_CHECKING

from bridgex.capture.digests import file_digest
from bridgex.errors import InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from pathlib import Path

SAFETENSORS = ("model.safetensors", "model.safetensors.index.json")
PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json")
"""The file of all parameters, and the index of those that are in shards."""


def weight_files(directory: Path) -> list[Path]:
    """Return the files of a model directory that hold its parameters.

    These are the files that transformers reads, and no others that lie beside them. Where there
    are none of their names, they are all ``*.safetensors``, else all ``*.bin``.

    Raises
    ------
    NotFoundError
        When there is none, or some of those that an index names are absent.
    InvalidInputError
        When an index cannot be read.
    """
    for names in (SAFETENSORS, PICKLED):
        if files := named_files(directory, names):
            return _complete(files)
    for pattern in ("*.safetensors", "*.bin"):
        files = sorted(directory.glob(pattern))
        if files:
            return files
    raise NotFoundError(
        f"a model directory with *.safetensors or *.bin files was expected, {directory} has none",
        hint="Download the weights too, or name the directory that holds them.",
    )


def named_files(directory: Path, names: tuple[str, str]) -> list[Path]:
    """Return the files that have to be there in one format, none where it has neither name.

    Parameters
    ----------
    directory
        Of a model.
    names
        ``SAFETENSORS`` or ``PICKLED``.
    """
    single, index = (directory / name for name in names)
    if single.is_file():
        return [single]
    return [directory / name for name in shards(index)] if index.is_file() else []


def shards(index: Path) -> list[str]:
    """Return the names of the files among which an index divides the parameters, sorted.

    Raises
    ------
    InvalidInputError
        When it is no index.
    """
    try:
        named = json.loads(index.read_bytes())["weight_map"].values()
        return sorted({PurePath(name).name for name in named})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidInputError(
            f"an index of a model's weights was expected in {index}: {error!r}",
            hint="Download the model again.",
        ) from error


def _complete(files: list[Path]) -> list[Path]:
    absent = [file for file in files if not file.is_file()]
    if absent:
        raise NotFoundError(
            f"{len(files)} files of weights were expected in {absent[0].parent}, {len(absent)} of "
            f"them are not there, {absent[0].name} among them",
            hint="Download the model to its end.",
        )
    return files


def weights_digest(directory: Path) -> str:
    """Return the digest (hex) of a directory's weight files, whatever their names and order.

    Every file is sampled as ``file_digest`` says.
    """
    digests = sorted(file_digest(path) for path in weight_files(directory))
    return hashlib.sha256("".join(digests).encode()).hexdigest()
