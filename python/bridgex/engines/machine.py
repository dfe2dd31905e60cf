"""The machine that work would run on: memory, processors, and how fast a directory's disk is."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from bridgex.errors import InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from pathlib import Path

_BLOCK = 4 << 20


@dataclass(frozen=True)
class Disk:
    """How fast a directory's disk is, in bytes a second.

    Attributes
    ----------
    write
        Until the data are on the disk.
    read
        Without what the system still holds in memory, where it can be asked to drop that
        (``cold``).
    cold
        Whether it could.
    """

    write: float
    read: float
    cold: bool


def measure_disk(directory: Path, *, size: int) -> Disk:
    """Write a file of so many random bytes into a directory, read it back, and remove it.

    Raises
    ------
    NotFoundError
        When there is no such directory.
    InvalidInputError
        When it cannot be written to, or is full.
    """
    if not directory.is_dir():
        raise NotFoundError(f"there is no directory {directory}", hint="Check the path.")
    block = os.urandom(_BLOCK)
    blocks = max(1, size // _BLOCK)
    try:
        with TemporaryFile(dir=directory, prefix="bridgex-", buffering=0) as file:
            started = time.perf_counter()
            for _ in range(blocks):
                file.write(block)
            os.fsync(file.fileno())
            written = time.perf_counter()
            cold = _forget(file.fileno())
            file.seek(0)
            ready = time.perf_counter()
            while file.read(_BLOCK):
                pass
            read = time.perf_counter()
    except OSError as error:
        raise InvalidInputError(
            f"the disk of {directory} could not be tried: {error.strerror}",
            hint="Name a directory that can be written to and has room for "
            f"{blocks * _BLOCK >> 20} MiB.",
        ) from error
    total = blocks * _BLOCK
    return Disk(write=total / (written - started), read=total / (read - ready), cold=cold)


def _forget(descriptor: int) -> bool:
    """Ask the system to drop what it holds of a file in memory."""
    if not hasattr(os, "posix_fadvise"):
        return False
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    return True


def memory() -> tuple[int, int | None]:
    """Return the machine's memory in bytes, and how much of it is free to use, where known."""
    page = os.sysconf("SC_PAGE_SIZE")
    total = page * os.sysconf("SC_PHYS_PAGES")
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:  # noqa: PTH123  (no file on a disk)
            found = dict(line.split(":", maxsplit=1) for line in lines)
        return total, int(found["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError):
        return total, None


def system() -> str:
    """Return the operating system, the processor's kind, and how many there are."""
    return f"{platform.system()} {platform.release()}, {platform.machine()}, {os.cpu_count()} cores"
