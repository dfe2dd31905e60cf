"""Files that last: creation that one writer wins, flushing to the disk, checksums.

Nothing here ever replaces a file. Locks are not used: network file systems may ignore them.
"""

from __future__ import annotations

import errno
import os
import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import google_crc32c
import numpy as np

from bridgex.store.layout import TEMPORARY_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray

_READ_BYTES = 1 << 20
_NO_LINKS = {errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
_SYNC_THREADS = 8
"""A file system flushes files that wait together in about the time of one."""


class StoredFile(NamedTuple):
    """Size in bytes and CRC-32C of a file."""

    size: int
    crc32c: int


def create_exclusively(path: Path, content: bytes) -> bool:
    """Create a file with its whole content, durably, unless it exists.

    Parameters
    ----------
    path
        The file. Missing directories above it are created.
    content
        What it holds. Two writers must never write the same content.

    Returns
    -------
    bool
        Whether this call created the file.
    """
    make_directories(path.parent)
    temporary = path.parent / f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}.tmp"
    try:
        _write(temporary, content)
        won = _link(temporary, path) or path.read_bytes() == content
    finally:
        temporary.unlink(missing_ok=True)
    if won:
        sync(path.parent)
    return won


def _link(temporary: Path, path: Path) -> bool:
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError as error:
        # A network file system may report failure after success: the link count tells.
        if temporary.stat().st_nlink > 1:
            return True
        if error.errno in _NO_LINKS:
            return _write_in_place(path, temporary.read_bytes())
        raise
    return True


def _write_in_place(path: Path, content: bytes) -> bool:
    try:
        _write(path, content)
    except FileExistsError:
        return False
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return True


def _write(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def make_directories(path: Path) -> None:
    """Create a directory and those above it, durably."""
    missing = [path]
    while not missing[-1].exists() and missing[-1] != missing[-1].parent:
        missing.append(missing[-1].parent)
    # Whoever made the last one that is there may not have flushed it yet; those above it are.
    with suppress(PermissionError):  # a directory that may only be passed was not made just now
        sync(missing[-1].parent)
    for directory in reversed(missing[:-1]):
        directory.mkdir(exist_ok=True)
        sync(directory.parent)


def sync(path: Path) -> None:
    """Flush a file, or the entries of a directory, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(
    directory: Path, contents: Iterable[tuple[str, NDArray[np.uint8]]]
) -> dict[str, StoredFile]:
    """Write new files below a new directory and flush them to the disk.

    Parameters
    ----------
    directory
        Is created, with those above it.
    contents
        Path of every file relative to the directory, and its bytes.

    Returns
    -------
    dict[str, StoredFile]
        Size and checksum of every file, by its path relative to the directory.
    """
    make_directories(directory.parent)
    written: dict[str, StoredFile] = {}
    for name, content in contents:
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            file.write(content.data)
        written[name] = StoredFile(len(content), checksum(content))
    pieces = [name.split("/") for name in written]
    within = {"/".join(path[:depth]) for path in pieces for depth in range(len(path))}
    with ThreadPoolExecutor(_SYNC_THREADS) as pool:
        inside = [directory / name for name in (*written, *within)]
        list(pool.map(sync, [*inside, directory.parent]))
    return written


def measure(path: Path) -> StoredFile:
    """Return the size and checksum that a file has now."""
    size = crc = 0
    with path.open("rb") as file:
        while block := file.read(_READ_BYTES):
            crc = google_crc32c.extend(crc, block)
            size += len(block)
    return StoredFile(size, crc)


def checksum(content: bytes | NDArray[Any]) -> int:
    """Return the CRC-32C of some bytes, or of those of an array in C order."""
    whole = content if isinstance(content, bytes) else np.ascontiguousarray(content)
    return int(google_crc32c.value(whole))
