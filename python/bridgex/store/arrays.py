"""Arrays on disk: written by zarr, read by memory map where that is exact, by zarr elsewhere.

An array is one uncompressed chunk, so its chunk file is the array in little-endian C order; only
compaction compresses, see ``compression``. A chunk that is missing is an error here: zarr alone
would read the fill value in its place.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from bridgex.errors import StoreError
from bridgex.store.compression import layout, quietly, require_codecs
from bridgex.store.encoding import PLAIN
from bridgex.store.layout import DIGESTS_ARRAY

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from bridgex.store.encoding import Encoding

_MAPPABLE = {
    "int64": "<i8",
    "uint64": "<u8",
    "float64": "<f8",
    "float32": "<f4",
    "float16": "<f2",
}
_METADATA = "zarr.json"
_PLAIN_KEYS = {"name": "default", "configuration": {"separator": "/"}}
_PLAIN_CODECS = [{"name": "bytes", "configuration": {"endian": "little"}}]


def write_group(
    directory: Path,
    arrays: Mapping[str, NDArray[Any]],
    attributes: dict[str, Any],
    encoding: Encoding = PLAIN,
) -> None:
    """Write a Zarr group whose arrays are one file each.

    Parameters
    ----------
    directory
        Where the group is created.
    arrays
        The arrays by name; none of them empty. One is in memory at a time if the mapping makes
        them when they are asked for.
    attributes
        JSON-able attributes of the group, kept under ``bridgex``.
    encoding
        The codec. Record digests, which are as good as random, are never compressed.
    """
    zarr.create_group(str(directory), attributes={"bridgex": attributes}, zarr_format=3)
    for name, values in arrays.items():
        # Created by its own path: by way of its group, zarr would need hard links, which not every
        # file system has.
        with quietly():
            array = zarr.create_array(
                str(directory / name),
                shape=values.shape,
                dtype=values.dtype,
                **layout(values, PLAIN if name == DIGESTS_ARRAY else encoding),
                # Never a stored value: a reader that does not check sees that a chunk is missing.
                fill_value=math.nan if values.dtype.kind == "f" else 0,
                zarr_format=3,
                config={"write_empty_chunks": True},
            )
            array[...] = values


def read_attributes(directory: Path) -> dict[str, Any]:
    """Read the attributes that ``write_group`` kept.

    Raises
    ------
    StoreError
        If they are missing.
    """
    attributes = _read_metadata(directory).get("attributes")
    if not isinstance(attributes, dict) or not isinstance(attributes.get("bridgex"), dict):
        raise damaged(directory / _METADATA, "the attributes are missing")
    kept: dict[str, Any] = attributes["bridgex"]
    return kept


def read_array(directory: Path, shape: tuple[int, ...]) -> NDArray[Any]:
    """Open an array: a memory map where its chunk is the plain array, a copy elsewhere.

    Parameters
    ----------
    directory
        The array's directory.
    shape
        The shape that it must have.

    Returns
    -------
    NDArray
        Read-only where it is a memory map.

    Raises
    ------
    StoreError
        If the metadata or a chunk is missing, or has another shape or size than it should.
    """
    mapped = _mapped(directory, shape)
    return read_by_zarr(directory) if mapped is None else mapped


def read_rows(directory: Path, shape: tuple[int, int], rows: NDArray[np.intp]) -> NDArray[Any]:
    """Read rows of a matrix, (row, column): only them where it is mapped, else their chunks.

    Parameters
    ----------
    directory
        The array's directory.
    shape
        The shape that it must have.
    rows
        Indices of rows, integer (row,), in any order.

    Raises
    ------
    StoreError
        As ``read_array``.
    """
    mapped = _mapped(directory, shape)
    return read_by_zarr(directory, rows) if mapped is None else mapped[rows]


def read_by_zarr(directory: Path, rows: NDArray[np.intp] | None = None) -> NDArray[Any]:
    """Read a whole array through zarr, or the chunks that hold some rows.

    Raises
    ------
    MissingDependencyError
        If the package of its codec is not installed.
    StoreError
        If a chunk is missing or cannot be decoded.
    """
    require_codecs(_read_metadata(directory))
    try:
        with quietly():
            array = zarr.open_array(str(directory), mode="r")
            missing = array.nchunks - array.nchunks_initialized
            values = np.asarray(array[...] if rows is None else array.oindex[rows])
    except Exception as error:  # each codec raises errors of its own
        raise damaged(directory, repr(error)) from error
    if missing:
        raise damaged(directory, f"{missing} chunks are missing")
    return values


def _mapped(directory: Path, shape: tuple[int, ...]) -> NDArray[Any] | None:
    """Map an array into memory if its only chunk is the plain array."""
    metadata = _read_metadata(directory)
    if metadata.get("shape") != list(shape):
        raise damaged(
            directory / _METADATA,
            f"expected an array of shape {list(shape)}, found {metadata.get('shape')}",
        )
    if not _is_plain(metadata, shape):
        return None
    return _map(directory, shape, np.dtype(_MAPPABLE[metadata["data_type"]]))


def _is_plain(metadata: dict[str, Any], shape: tuple[int, ...]) -> bool:
    """Say whether the only chunk is the array in little-endian C order."""
    return (
        str(metadata.get("data_type")) in _MAPPABLE
        and metadata.get("codecs") == _PLAIN_CODECS
        and metadata.get("chunk_grid", {}).get("configuration") == {"chunk_shape": list(shape)}
        and metadata.get("chunk_key_encoding") == _PLAIN_KEYS
        and not metadata.get("storage_transformers")
    )


def _map(directory: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    path = directory.joinpath("c", *["0"] * len(shape))
    expected = math.prod(shape) * dtype.itemsize
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise damaged(path, "the file is missing") from None
    if size != expected:
        raise damaged(path, f"expected {expected} bytes, the file has {size}")
    return np.memmap(path, dtype=dtype, mode="r", shape=shape)


def _read_metadata(directory: Path) -> dict[str, Any]:
    path = directory / _METADATA
    try:
        metadata = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise damaged(path, "the file is missing") from None
    except ValueError as error:
        raise damaged(path, str(error)) from error
    if not isinstance(metadata, dict):
        raise damaged(path, "it is not a JSON object")
    return metadata


def damaged(path: Path | str, what: str) -> StoreError:
    """Return the error that says that a file of a part is not as it was committed."""
    return StoreError(
        f"the store is damaged at {path}: {what}",
        hint="Restore the file from a copy; or delete the part's marker below commits/ (its name "
        "begins with the same id) and ingest the same text again.",
    )
