# ruff: noqa: D102  # what the methods do is said once, in Folder
"""Where a store lives: all that the rest of the store knows of disks and addresses.

Paths inside a store are relative and use ``/``; the store itself is the path ``""``.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from bridgex.errors import InvalidInputError, StoreError
from bridgex.store import arrays, files
from bridgex.store.encoding import PLAIN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from bridgex.store.encoding import Encoding
    from bridgex.store.files import StoredFile


class Entry(NamedTuple):
    """A file of a store: its path, its size in bytes, and when it was written (Unix time)."""

    path: str
    size: int
    modified: float


class Folder(Protocol):
    """A place that holds a store. What it says is there is whole and never changes."""

    def display(self, path: str = "") -> str:
        """Name a file in a message, so that a reader finds it."""
        ...

    def exists(self, path: str = "") -> bool:
        """Say whether there is a file, or a directory that holds something."""
        ...

    def read(self, path: str) -> bytes:
        """Read a file.

        Raises
        ------
        FileNotFoundError
            If there is none.
        """
        ...

    def names(self, path: str = "") -> list[str]:
        """List the files directly in a directory, sorted; none where there is no directory."""
        ...

    def folders(self, path: str = "") -> list[str]:
        """List the directories directly in a directory, sorted."""
        ...

    def walk(self, path: str = "") -> Iterator[Entry]:
        """List every file below a directory, in no order. Files that vanish are left out."""
        ...

    def create_exclusively(self, path: str, content: bytes) -> bool:
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
        ...

    def write_group(
        self,
        path: str,
        values: Mapping[str, NDArray[Any]],
        attributes: dict[str, Any],
        encoding: Encoding = PLAIN,
    ) -> dict[str, StoredFile]:
        """Write a Zarr group of new arrays, durably; nothing of it is left if that fails.

        Parameters
        ----------
        path
            Where the group is created.
        values
            The arrays by name; none of them empty. One is asked for after the other.
        attributes
            JSON-able attributes of the group, kept under ``bridgex``.
        encoding
            How the arrays are compressed.

        Returns
        -------
        dict[str, StoredFile]
            Size and checksum of every file, by its path relative to the group.
        """
        ...

    def attributes(self, path: str) -> dict[str, Any]:
        """Read the attributes of a group.

        Raises
        ------
        StoreError
            If they are missing.
        """
        ...

    def array(self, path: str, shape: tuple[int, ...]) -> NDArray[Any]:
        """Open an array: a memory map where that is exact, a copy elsewhere.

        Raises
        ------
        StoreError
            If a file of the array is missing, or has another shape or size than it should.
        """
        ...

    def rows(self, path: str, shape: tuple[int, int], indices: NDArray[np.intp]) -> NDArray[Any]:
        """Read rows of a matrix, (row, column), in any order.

        Raises
        ------
        StoreError
            As ``array``.
        """
        ...

    def measure(self, path: str) -> StoredFile:
        """Return the size and checksum that a file has now.

        Raises
        ------
        FileNotFoundError
            If there is none.
        """
        ...

    def remove(self, path: str) -> None:
        """Remove a file, if it is there."""
        ...

    def remove_tree(self, path: str) -> None:
        """Remove a directory and all that is in it, as far as that is possible."""
        ...


class LocalFolder:
    """A directory of a file system that this machine has mounted.

    Every method does what it says in ``Folder``.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def path(self) -> Path:
        """The directory."""
        return self._path

    def __str__(self) -> str:
        return str(self._path)

    def display(self, path: str = "") -> str:
        return str(self._path / path)

    def exists(self, path: str = "") -> bool:
        return (self._path / path).exists()

    def read(self, path: str) -> bytes:
        return (self._path / path).read_bytes()

    def names(self, path: str = "") -> list[str]:
        return sorted(entry.name for entry in self._entries(path) if not entry.is_dir())

    def folders(self, path: str = "") -> list[str]:
        return sorted(entry.name for entry in self._entries(path) if entry.is_dir())

    def _entries(self, path: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(self._path / path) as entries:
                return list(entries)
        except (FileNotFoundError, NotADirectoryError):
            return []

    def walk(self, path: str = "") -> Iterator[Entry]:
        for directory, _, names in os.walk(self._path / path):
            parent = Path(directory).relative_to(self._path).as_posix()
            for name in names:
                try:
                    status = os.stat(os.path.join(directory, name))  # noqa: PTH116, PTH118  # many
                except FileNotFoundError:
                    continue
                relative = name if parent == "." else f"{parent}/{name}"
                yield Entry(relative, status.st_size, status.st_mtime)

    def create_exclusively(self, path: str, content: bytes) -> bool:
        return files.create_exclusively(self._path / path, content)

    def write_group(
        self,
        path: str,
        values: Mapping[str, NDArray[Any]],
        attributes: dict[str, Any],
        encoding: Encoding = PLAIN,
    ) -> dict[str, StoredFile]:
        directory = self._path / path
        try:
            files.make_directories(directory.parent)
            arrays.write_group(directory, values, attributes, encoding)
            return files.seal(directory)
        except BaseException:
            self.remove_tree(path)
            raise

    def attributes(self, path: str) -> dict[str, Any]:
        return arrays.read_attributes(self._path / path)

    def array(self, path: str, shape: tuple[int, ...]) -> NDArray[Any]:
        return arrays.read_array(self._path / path, shape)

    def rows(self, path: str, shape: tuple[int, int], indices: NDArray[np.intp]) -> NDArray[Any]:
        return arrays.read_rows(self._path / path, shape, indices)

    def measure(self, path: str) -> StoredFile:
        return files.measure(self._path / path)

    def remove(self, path: str) -> None:
        (self._path / path).unlink(missing_ok=True)

    def remove_tree(self, path: str) -> None:
        shutil.rmtree(self._path / path, ignore_errors=True)


def open_folder(location: str | os.PathLike[str]) -> LocalFolder:
    """Return the place that a path names, refusing addresses and files."""
    if "://" in os.fspath(location):
        raise InvalidInputError(
            f"expected a directory for the store, got the address {os.fspath(location)}",
            hint="Use a local path.",
        )
    path = Path(location)
    if path.exists() and not path.is_dir():
        raise StoreError(
            f"expected a directory for the store, but {path} is a file",
            hint="Choose another path.",
        )
    return LocalFolder(path)
