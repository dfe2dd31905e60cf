"""Arrays on disk: written by zarr, read by memory map where that is exact, by zarr elsewhere.

An array is one uncompressed chunk, so its chunk file is the array in little-endian C order. A
chunk that is missing is an error here: zarr alone would read the fill value in its place.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from zarr.codecs import BytesCodec

from bridgex.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_MAPPABLE = {
    "int64": "<i8",
    "uint64": "<u8",
    "float64": "<f8",
    "float32": "<f4",
    "float16": "<f2",
}
_PLAIN_CODECS = [{"name": "bytes", "configuration": {"endian": "little"}}]


def write_group(
    directory: Path, arrays: dict[str, NDArray[Any]], attributes: dict[str, Any]
) -> None:
    """Write a Zarr group whose arrays have one uncompressed chunk each.

    Parameters
    ----------
    directory
        Where the group is created.
    arrays
        The arrays by name; none of them empty.
    attributes
        JSON-able attributes of the group, kept under ``bridgex``.
    """
    zarr.create_group(str(directory), attributes={"bridgex": attributes}, zarr_format=3)
    for name, values in arrays.items():
        # Created by its own path: by way of its group, zarr would need hard links, which not every
        # file system has.
        array = zarr.create_array(
            str(directory / name),
            shape=values.shape,
            chunks=values.shape,
            dtype=values.dtype,
            filters=None,
            compressors=None,
            serializer=BytesCodec(endian="little"),
            # Never a stored value: a reader that does not check sees that a chunk is missing.
            fill_value=math.nan if values.dtype.kind == "f" else 0,
            zarr_format=3,
            config={"write_empty_chunks": True},
        )
        array[...] = values


def read_attributes(directory: Path) -> dict[str, Any]:
    """Read the attributes that ``write_group`` kept."""
    attributes: dict[str, Any] = _read_metadata(directory)["attributes"]["bridgex"]
    return attributes


def read_array(directory: Path) -> NDArray[Any]:
    """Open an array: a memory map where its chunk is the plain array, a copy elsewhere.

    Parameters
    ----------
    directory
        The array's directory.

    Returns
    -------
    NDArray
        Read-only where it is a memory map.

    Raises
    ------
    StoreError
        If the metadata or the chunk is missing, or the chunk has another size than the array.
    """
    metadata = _read_metadata(directory)
    mapped = _map(directory, metadata)
    return read_by_zarr(directory) if mapped is None else mapped


def read_by_zarr(directory: Path) -> NDArray[Any]:
    """Read a whole array through zarr."""
    array = zarr.open_array(str(directory), mode="r")
    if array.nchunks_initialized < array.nchunks:
        raise _damaged(directory, f"{array.nchunks - array.nchunks_initialized} chunks are missing")
    return np.asarray(array[...])


def _map(directory: Path, metadata: dict[str, Any]) -> NDArray[Any] | None:
    shape = tuple(metadata["shape"])
    dtype = _MAPPABLE.get(str(metadata["data_type"]))
    chunks = metadata["chunk_grid"]["configuration"].get("chunk_shape")
    if dtype is None or metadata["codecs"] != _PLAIN_CODECS or list(shape) != chunks:
        return None
    separator = metadata["chunk_key_encoding"]["configuration"].get("separator")
    if metadata["chunk_key_encoding"]["name"] != "default" or separator != "/":
        return None
    path = directory.joinpath("c", *["0"] * len(shape))
    expected = math.prod(shape) * np.dtype(dtype).itemsize
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise _damaged(path, "the file is missing") from None
    if size != expected:
        raise _damaged(path, f"expected {expected} bytes, the file has {size}")
    return np.memmap(path, dtype=dtype, mode="r", shape=shape)


def _read_metadata(directory: Path) -> dict[str, Any]:
    path = directory / "zarr.json"
    try:
        metadata: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise _damaged(path, "the file is missing") from None
    except ValueError as error:
        raise _damaged(path, str(error)) from error
    return metadata


def _damaged(path: Path, what: str) -> StoreError:
    return StoreError(
        f"the store is damaged at {path}: {what}",
        hint="Restore the file from a copy; or delete the part's marker below commits/ (its name "
        "begins with the same id) and ingest the same text again.",
    )
