# ruff: noqa: D102  # what the methods do is said once, in Folder
"""Where a store lives: all that the rest of the store knows of disks and addresses.

Paths inside a store are relative and use ``/``; the store itself is the path ``""``.
"""

from __future__ import annotations

import errno
import os
import shutil
from abc import ABC, abstractmethod
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bridgex.errors import InvalidInputError, StoreError
from bridgex.store import arrays, files
from bridgex.store.arrays import damaged
from bridgex.store.encoding import PLAIN
from bridgex.store.files import checksum

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from bridgex.store.encoding import Encoding
    from bridgex.store.files import StoredFile


class Entry(NamedTuple):
    """A file of a store: its path, its size in bytes, and when it was written (Unix time)."""

    path: str
    size: int
    modified: float


class Folder(ABC):
    """A place that holds a store. What it says is there is whole and never changes."""

    @abstractmethod
    def display(self, path: str = "") -> str:
        """Name a file in a message, so that a reader finds it."""

    def __str__(self) -> str:
        return self.display()

    @abstractmethod
    def exists(self, path: str = "") -> bool:
        """Say whether a file exists; of the store itself, whether there is anything at all."""

    @abstractmethod
    def read(self, path: str) -> bytes:
        """Read a file.

        Raises
        ------
        FileNotFoundError
            If there is none.
        """

    @abstractmethod
    def names(self, path: str = "") -> list[str]:
        """List the files directly in a directory, sorted; none where there is no directory."""

    @abstractmethod
    def folders(self, path: str = "") -> list[str]:
        """List the directories directly in a directory, sorted."""

    @abstractmethod
    def walk(self, path: str = "") -> Iterator[Entry]:
        """List every file below a directory, or a file alone, in no order.

        Files that vanish are left out.
        """

    @abstractmethod
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

    @abstractmethod
    def write_files(
        self, path: str, contents: Iterable[tuple[str, NDArray[np.uint8]]]
    ) -> dict[str, StoredFile]:
        """Write new files below a new directory, durably; nothing of it is left if that fails.

        Parameters
        ----------
        path
            The directory.
        contents
            Path of every file relative to the directory, and its bytes. One is asked for after the
            other.

        Returns
        -------
        dict[str, StoredFile]
            Size and checksum of every file, by its path relative to the directory.
        """

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
        return self.write_files(path, arrays.encoded_group(values, attributes, encoding))

    def read_all(self, paths: Sequence[str]) -> list[bytes]:
        """Read some files. Raises as ``read``."""
        return [self.read(path) for path in paths]

    def committed(self, path: str, files: Mapping[str, StoredFile]) -> dict[str, bytes]:
        """Read files that were committed, and check that they are what they were.

        Parameters
        ----------
        path
            A directory.
        files
            Size and checksum of some files, by their paths relative to it.

        Raises
        ------
        StoreError
            If one is missing, or is not what was committed.
        """
        try:
            contents = self.read_all([f"{path}/{name}" for name in files])
        except FileNotFoundError as error:
            raise damaged(error.filename, "the file is missing") from None
        for (name, file), content in zip(files.items(), contents, strict=True):
            if len(content) != file.size:
                what = f"expected {file.size} bytes, the file has {len(content)}"
                raise damaged(self.display(f"{path}/{name}"), what)
            if checksum(content) != file.crc32c:
                raise damaged(self.display(f"{path}/{name}"), "it is not what was committed")
        return dict(zip(files, contents, strict=True))

    def array(
        self, path: str, shape: tuple[int, ...], files: Mapping[str, StoredFile]
    ) -> NDArray[Any]:
        """Read an array.

        Parameters
        ----------
        path
            The array's directory.
        shape
            The shape that it must have.
        files
            All its files as they were committed, by their paths relative to it.

        Returns
        -------
        NDArray
            Read-only, and not read before it is used, where a local file is the array itself. The
            size of that file is checked, but not its checksum: that would read all of it.

        Raises
        ------
        StoreError
            If a file is missing, or is not what was committed, or has another shape.
        """
        return arrays.decoded(self.committed(path, files), shape, self.display(path))

    def rows(
        self,
        path: str,
        shape: tuple[int, int],
        files: Mapping[str, StoredFile],
        indices: NDArray[np.intp],
    ) -> NDArray[Any]:
        """Read rows of a matrix, (row, column), in any order. Otherwise as ``array``."""
        return arrays.decoded(self.committed(path, files), shape, self.display(path), indices)

    @abstractmethod
    def measure(self, path: str) -> StoredFile:
        """Return the size and checksum that a file has now.

        Raises
        ------
        FileNotFoundError
            If there is none.
        """

    @abstractmethod
    def newest(self, path: str) -> float | None:
        """Return when a file, or something in a directory, was written last (Unix time), or None.

        None says that there is no such thing, or that it is a link to something else.
        """

    @abstractmethod
    def remove(self, paths: Sequence[str]) -> None:
        """Remove files. A file that is not there is none to remove.

        Raises
        ------
        StoreError
            If a file cannot be removed.
        """

    @abstractmethod
    def flush(self, path: str) -> None:
        """Make sure that what was removed from a directory stays removed when the power fails."""

    @abstractmethod
    def remove_empty(self, path: str) -> None:
        """Remove the directories at and below a path that hold no file."""

    @abstractmethod
    def remove_tree(self, path: str) -> None:
        """Remove a directory and all that is in it, as far as that is possible."""


class LocalFolder(Folder):
    """A directory of a file system that this machine has mounted.

    Every method does what it says in ``Folder``.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def path(self) -> Path:
        """The directory."""
        return self._path

    def display(self, path: str = "") -> str:
        return str(self._path / path)

    def exists(self, path: str = "") -> bool:
        there = self._path / path
        with self._explained(path):
            try:
                return there.is_file() if path else there.exists()
            except OSError as error:
                if error.errno != errno.ENAMETOOLONG:
                    raise
                return False

    def read(self, path: str) -> bytes:
        with self._explained(path):
            return (self._path / path).read_bytes()

    def names(self, path: str = "") -> list[str]:
        return sorted(entry.name for entry in self._entries(path) if not _is_directory(entry))

    def folders(self, path: str = "") -> list[str]:
        return sorted(entry.name for entry in self._entries(path) if _is_directory(entry))

    def _entries(self, path: str) -> list[os.DirEntry[str]]:
        try:
            with self._explained(path), os.scandir(self._path / path) as entries:
                return list(entries)
        except FileNotFoundError:
            return []

    @contextmanager
    def _explained(self, path: str) -> Iterator[None]:
        """Turn what the file system refuses into an error that says what to do."""
        try:
            yield
        except (FileNotFoundError, StoreError):
            raise
        except OSError as error:
            raise StoreError(
                f"cannot read {error.filename or self.display(path)}: {error.strerror or error}",
                hint="Permit reading it."
                if isinstance(error, PermissionError)
                else "Restore it from a copy; bridgex store verify lists all that is damaged.",
            ) from error

    def walk(self, path: str = "") -> Iterator[Entry]:
        top = self._path / path
        if top.is_file() and (status := _status(str(top))):
            yield Entry(path, status.st_size, status.st_mtime)
            return
        for directory, names in self._directories(path):
            parent = Path(directory).relative_to(self._path).as_posix()
            for name in names:
                status = _status(os.path.join(directory, name))  # noqa: PTH118  # there are many
                if status:
                    relative = name if parent == "." else f"{parent}/{name}"
                    yield Entry(relative, status.st_size, status.st_mtime)

    def _directories(self, path: str) -> Iterator[tuple[str, list[str]]]:
        """List directories, and the files in each; links to directories are not followed."""

        def refuse(error: OSError) -> None:
            if not isinstance(error, FileNotFoundError):
                raise error

        with self._explained(path):
            for directory, _, names in os.walk(self._path / path, onerror=refuse):
                yield directory, names

    def newest(self, path: str) -> float | None:
        top = self._path / path
        if top.is_symlink():
            return None
        if not top.exists():
            return None
        written = [entry.modified for entry in self.walk(path)]
        directories = self._directories(path) if top.is_dir() else ()
        statuses = (_status(directory) for directory, _ in directories)
        return max([*written, *(status.st_mtime for status in statuses if status)], default=None)

    def create_exclusively(self, path: str, content: bytes) -> bool:
        return files.create_exclusively(self._path / path, content)

    def write_files(
        self, path: str, contents: Iterable[tuple[str, NDArray[np.uint8]]]
    ) -> dict[str, StoredFile]:
        try:
            return files.write_all(self._path / path, contents)
        except BaseException:
            self.remove_tree(path)
            raise

    def array(
        self, path: str, shape: tuple[int, ...], files: Mapping[str, StoredFile]
    ) -> NDArray[Any]:
        mapped = self._mapped(path, shape)
        return super().array(path, shape, files) if mapped is None else mapped

    def rows(
        self,
        path: str,
        shape: tuple[int, int],
        files: Mapping[str, StoredFile],
        indices: NDArray[np.intp],
    ) -> NDArray[Any]:
        mapped = self._mapped(path, shape)
        return super().rows(path, shape, files, indices) if mapped is None else mapped[indices]

    def _mapped(self, path: str, shape: tuple[int, ...]) -> NDArray[Any] | None:
        with self._explained(path):
            return arrays.mapped(self._path / path, shape)

    def measure(self, path: str) -> StoredFile:
        with self._explained(path):
            return files.measure(self._path / path)

    def remove(self, paths: Sequence[str]) -> None:
        try:
            for path in paths:
                (self._path / path).unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(
                f"cannot remove {error.filename}: {error.strerror}",
                hint="Permit writing there, then give the same command again.",
            ) from error

    def flush(self, path: str) -> None:
        files.sync(self._path / path)

    def remove_empty(self, path: str) -> None:
        for directory, _, _ in os.walk(self._path / path, topdown=False):
            with suppress(OSError):  # it is not empty, or somebody else was faster
                Path(directory).rmdir()

    def remove_tree(self, path: str) -> None:
        shutil.rmtree(self._path / path, ignore_errors=True)


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads nowhere
        return False


def _status(path: str) -> os.stat_result | None:
    """Return the status of a file, of a link that leads nowhere, or None if there is neither."""
    for follow in (True, False):
        with suppress(OSError):
            return os.stat(path, follow_symlinks=follow)  # noqa: PTH116  # a Path for each is slow
    return None


def open_folder(location: str | os.PathLike[str]) -> LocalFolder:
    """Return the place that a path names, refusing addresses and files."""
    if "://" in os.fspath(location):
        raise InvalidInputError(
            f"expected a directory for the store, got the address {os.fspath(location)}",
            hint="Use a local path.",
        )
    path = Path(location)
    folder = LocalFolder(path)
    if folder.exists() and not path.is_dir():
        raise StoreError(
            f"expected a directory for the store, but {path} is a file",
            hint="Choose another path.",
        )
    return folder
