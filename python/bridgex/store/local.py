# ruff: noqa: D102  # what the methods do is said once, in Folder
"""Stores in a directory, and which place a path or an address names."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridgex.errors import StoreError
from bridgex.store import arrays, files
from bridgex.store.folder import Entry, Folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from bridgex.store.files import StoredFile


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

    def check_exclusive(self) -> None:
        """Do nothing: file systems create exclusively."""

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
            return arrays.mapped(f"{self._path}/{path}", shape)

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


def open_folder(location: str | os.PathLike[str]) -> Folder:
    """Return the place that a path or an address (``s3://...``) names.

    Raises
    ------
    InvalidInputError
        If it is not the address of an object store.
    MissingDependencyError
        If it is an address, and the package for it is not installed.
    StoreError
        If it is a file.
    """
    if "://" in os.fspath(location):
        from bridgex.store.objects import open_objects

        return open_objects(os.fspath(location))
    path = Path(location)
    folder = LocalFolder(path)
    if folder.exists() and not path.is_dir():
        raise StoreError(
            f"expected a directory for the store, but {path} is a file",
            hint="Choose another path.",
        )
    return folder
