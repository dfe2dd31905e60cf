"""Where a store lives: all that the rest of the store knows of disks and addresses.

Paths inside a store are relative and use ``/``; the store itself is the path ``""``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from bridgex.store import arrays
from bridgex.store.arrays import damaged
from bridgex.store.encoding import PLAIN
from bridgex.store.files import checksum

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from bridgex.store.encoding import Encoding
    from bridgex.store.files import StoredFile


Item = TypeVar("Item")
Result = TypeVar("Result")


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

    @abstractmethod
    def check_exclusive(self) -> None:
        """Check that ``create_exclusively`` can be relied on here, before work is done for it.

        Raises
        ------
        StoreError
            If not.
        """

    def each(self, read: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """Read something for each item: some at once where a single answer takes long."""
        return [read(item) for item in items]

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
            contents = self.each(self.read, [f"{path}/{name}" for name in files])
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
