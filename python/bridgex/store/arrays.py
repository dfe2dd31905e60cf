"""Arrays as files: encoded and decoded by zarr in memory, mapped where a file is the array itself.

An array is one uncompressed chunk, so its chunk file is the array in little-endian C order; only
compaction compresses, see ``compression``. A chunk that is missing is an error here: zarr alone
would read the fill value in its place.
"""

from __future__ import annotations

import json
import math
import mmap
import os
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from zarr.core.buffer import default_buffer_prototype
from zarr.storage import MemoryStore

from bridgex.errors import StoreError
from bridgex.store.compression import layout, quietly, require_codecs
from bridgex.store.encoding import PLAIN
from bridgex.store.layout import DIGESTS_ARRAY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray
    from zarr.core.metadata import ArrayV3Metadata

    from bridgex.store.encoding import Encoding

METADATA = "zarr.json"

_MAPPABLE = {
    "int64": "<i8",
    "uint64": "<u8",
    "float64": "<f8",
    "float32": "<f4",
    "float16": "<f2",
}
_PLAIN_KEYS = {"name": "default", "configuration": {"separator": "/"}}
_PLAIN_CODECS = [{"name": "bytes", "configuration": {"endian": "little"}}]


def encoded_group(
    arrays: Mapping[str, NDArray[Any]], attributes: dict[str, Any], encoding: Encoding = PLAIN
) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Yield the files of a Zarr group.

    Parameters
    ----------
    arrays
        The arrays by name; none of them empty. One is in memory at a time if the mapping makes
        them when they are asked for.
    attributes
        JSON-able attributes of the group, kept under ``bridgex``.
    encoding
        The codec. Record digests, which are as good as random, are never compressed.

    Yields
    ------
    str
        Path of the file, relative to the group.
    NDArray[np.uint8]
        Its bytes; those of an array itself where that needs no copy.
    """
    group: dict[str, Any] = {}
    zarr.create_group(MemoryStore(group), attributes={"bridgex": attributes}, zarr_format=3)
    yield from ((name, content.as_numpy_array()) for name, content in group.items())
    for name, values in arrays.items():
        chosen = PLAIN if name == DIGESTS_ARRAY else encoding
        files = _plainly(values) if chosen.codec == "none" else _by_codec(values, chosen)
        yield from ((f"{name}/{file}", content) for file, content in files.items())


def _plainly(values: NDArray[Any]) -> dict[str, NDArray[np.uint8]]:
    """Return the files of an array whose only chunk is the array itself."""
    plain = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    return {
        METADATA: _plain_metadata(values.shape, values.dtype),
        _chunk(values.shape): plain.reshape(-1).view(np.uint8),
    }


@lru_cache(maxsize=64)
def _plain_metadata(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[np.uint8]:
    """Let zarr describe an array; the layers of a model have few shapes."""
    files: dict[str, Any] = {}
    _create(files, np.broadcast_to(np.zeros((), dtype), shape), PLAIN)
    metadata: NDArray[np.uint8] = files[METADATA].as_numpy_array()
    return metadata


def _by_codec(values: NDArray[Any], encoding: Encoding) -> dict[str, NDArray[np.uint8]]:
    files: dict[str, Any] = {}
    with quietly():
        _create(files, values, encoding)[...] = values
    return {file: content.as_numpy_array() for file, content in files.items()}


def _create(
    files: dict[str, Any], values: NDArray[Any], encoding: Encoding
) -> zarr.Array[ArrayV3Metadata]:
    return zarr.create_array(
        MemoryStore(files),
        shape=values.shape,
        dtype=values.dtype,
        **layout(values, encoding),
        # Never a stored value: a reader that does not check sees that a chunk is missing.
        fill_value=math.nan if values.dtype.kind == "f" else 0,
        zarr_format=3,
        config={"write_empty_chunks": True},
    )


def decoded(
    files: Mapping[str, bytes],
    shape: tuple[int, ...],
    shown: str,
    rows: NDArray[np.intp] | None = None,
) -> NDArray[Any]:
    """Return the array that some files are, whatever its chunks and codecs, or rows of it.

    Parameters
    ----------
    files
        All files of the array, by their paths relative to it.
    shape
        The shape that it must have.
    shown
        What messages call the array.
    rows
        Indices of rows, integer (row,), in any order; all rows by default. Only the chunks that
        hold them are decoded.

    Raises
    ------
    MissingDependencyError
        If the package of its codec is not installed.
    StoreError
        If it has another shape, a chunk is missing, or one cannot be decoded.
    """
    if METADATA not in files:
        raise damaged(f"{shown}/{METADATA}", "the file is missing")
    dtype = _plain_dtype(files[METADATA], shape, f"{shown}/{METADATA}")
    values = _by_zarr(files, shown, rows) if dtype is None else _plain(files, shape, dtype, shown)
    return values if rows is None or dtype is None else values[rows]


def _by_zarr(files: Mapping[str, bytes], shown: str, rows: NDArray[np.intp] | None) -> NDArray[Any]:
    require_codecs(_parsed(files[METADATA]))
    buffer = default_buffer_prototype().buffer
    content = {name: buffer.from_bytes(content) for name, content in files.items()}
    try:
        with quietly():
            array = zarr.open_array(MemoryStore(content, read_only=True), mode="r", zarr_format=3)
            missing = array.nchunks - array.nchunks_initialized
            values = np.asarray(array[...] if rows is None else array.oindex[rows])
    except Exception as error:  # each codec raises errors of its own
        raise damaged(shown, repr(error)) from error
    if missing:
        raise damaged(shown, f"{missing} of {array.nchunks} chunks are missing")
    return values


def _plain(
    files: Mapping[str, bytes], shape: tuple[int, ...], dtype: np.dtype[Any], shown: str
) -> NDArray[Any]:
    chunk = _chunk(shape)
    if chunk not in files:
        raise damaged(f"{shown}/{chunk}", "the file is missing")
    if len(files[chunk]) != math.prod(shape) * dtype.itemsize:
        raise _other_size(f"{shown}/{chunk}", shape, dtype, len(files[chunk]))
    return np.frombuffer(files[chunk], dtype).reshape(shape)


def mapped(directory: str, shape: tuple[int, ...]) -> NDArray[Any] | None:
    """Map an array into memory, read-only, if its chunk file is the array itself.

    Parameters
    ----------
    directory
        The array's directory.
    shape
        The shape that it must have.

    Returns
    -------
    NDArray or None
        None if the array has other chunks or codecs: then its files must be decoded.

    Raises
    ------
    StoreError
        If the metadata or the chunk is missing, or has another shape or size than it should.
    """
    metadata = f"{directory}/{METADATA}"
    with _opened(metadata) as file:
        content = os.read(file, os.fstat(file).st_size)
    dtype = _plain_dtype(content, shape, metadata)
    return None if dtype is None else _map(f"{directory}/{_chunk(shape)}", shape, dtype)


def _map(path: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    with _opened(path) as file:
        size = os.fstat(file).st_size
        if size != math.prod(shape) * dtype.itemsize:
            raise _other_size(path, shape, dtype, size)
        return np.ndarray(shape, dtype, mmap.mmap(file, size, access=mmap.ACCESS_READ))


@contextmanager
def _opened(path: str) -> Iterator[int]:
    """Open a file by its descriptor: Python's file objects cost more than what is read here."""
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        raise damaged(path, "the file is missing") from None
    try:
        yield file
    finally:
        os.close(file)


def _plain_dtype(content: bytes, shape: tuple[int, ...], shown: str) -> np.dtype[Any] | None:
    """Return the dtype of an array whose only chunk is the array itself."""
    try:
        found, dtype = _layout(content)
    except ValueError as error:
        raise damaged(shown, str(error)) from error
    if found != list(shape):
        raise _other_shape(shown, shape, found)
    return dtype


@lru_cache(maxsize=1024)
def _layout(content: bytes) -> tuple[Any, np.dtype[Any] | None]:
    """Return the shape of an array, and its dtype if its only chunk is the array itself."""
    metadata = _parsed(content)
    shape = metadata.get("shape")
    plain = (
        str(metadata.get("data_type")) in _MAPPABLE
        and metadata.get("codecs") == _PLAIN_CODECS
        and metadata.get("chunk_grid", {}).get("configuration") == {"chunk_shape": shape}
        and metadata.get("chunk_key_encoding") == _PLAIN_KEYS
        and not metadata.get("storage_transformers")
    )
    return shape, np.dtype(_MAPPABLE[metadata["data_type"]]) if plain else None


def group_attributes(content: bytes, shown: str) -> dict[str, Any]:
    """Return the attributes that ``encoded_group`` kept, from the metadata file of a group.

    Raises
    ------
    StoreError
        If they are missing.
    """
    try:
        attributes = _parsed(content).get("attributes")
    except ValueError as error:
        raise damaged(shown, str(error)) from error
    if not isinstance(attributes, dict) or not isinstance(attributes.get("bridgex"), dict):
        raise damaged(shown, "the attributes are missing")
    kept: dict[str, Any] = attributes["bridgex"]
    return kept


def _parsed(content: bytes) -> dict[str, Any]:
    metadata = json.loads(content)
    if not isinstance(metadata, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004  # as damaged JSON is
    return metadata


def _chunk(shape: tuple[int, ...]) -> str:
    """Return the path of the only chunk of an array."""
    return "/".join(["c", *["0"] * len(shape)])


def _other_size(path: str, shape: tuple[int, ...], dtype: np.dtype[Any], size: int) -> StoreError:
    expected = math.prod(shape) * dtype.itemsize
    return damaged(path, f"expected {expected} bytes, the file has {size}")


def _other_shape(path: str, expected: tuple[int, ...], found: Any) -> StoreError:
    shape = list(found) if isinstance(found, tuple) else found
    return damaged(path, f"expected an array of shape {list(expected)}, found {shape}")


def damaged(path: str, what: str) -> StoreError:
    """Return the error that says that a file of a part is not as it was committed."""
    return StoreError(
        f"the store is damaged at {path}: {what}",
        hint="Restore the file from a copy; or delete the part's marker below commits/ (its name "
        "begins with the same id) and ingest the same text again.",
    )
