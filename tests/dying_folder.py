"""A place for stores whose process dies between two things that it does, or halfway through one.

Dying is an exception that nothing catches, after which the place does nothing any more: what a
process would tidy up when it fails stays as it is, as when it is killed.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridgex.store.layout import TEMPORARY_PREFIX
from bridgex.store.local import LocalFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Died(BaseException):
    """The process is no more."""


def scratch() -> tempfile.TemporaryDirectory[str]:
    """A directory in memory where there is one: flushing to a disk is not what is tested here."""
    memory = Path("/dev/shm")  # noqa: S108  # the name of a file system, not of a file
    return tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None)


class DyingFolder(LocalFolder):
    """A directory whose process dies at the n-th change that it makes (the first is 0).

    ``halfway`` says whether it dies in the middle of that change, or before it.
    """

    def __init__(self, path: Path, changes: int, *, halfway: bool) -> None:
        super().__init__(path)
        self._left = changes
        self._halfway = halfway

    def _change(self, whole: Callable[[], Any], half: Callable[[], object]) -> Any:
        self._left -= 1
        if self._left >= 0:
            return whole()
        if self._left == -1 and self._halfway:
            half()
        raise Died

    def create_exclusively(self, path: str, content: bytes) -> bool:
        def half() -> None:
            file = self.path / path
            file.parent.mkdir(parents=True, exist_ok=True)
            (file.parent / f"{TEMPORARY_PREFIX}half.tmp").write_bytes(content[: len(content) // 2])

        created: bool = self._change(
            lambda: super(DyingFolder, self).create_exclusively(path, content), half
        )
        return created

    def write_files(self, path: str, contents: Any) -> Any:
        def half() -> None:
            super(DyingFolder, self).write_files(path, contents)
            self._halve(path)

        return self._change(lambda: super(DyingFolder, self).write_files(path, contents), half)

    def remove(self, paths: Sequence[str]) -> None:
        self._change(
            lambda: super(DyingFolder, self).remove(paths),
            lambda: super(DyingFolder, self).remove(paths[: len(paths) // 2]),
        )

    def remove_empty(self, path: str) -> None:
        self._change(lambda: super(DyingFolder, self).remove_empty(path), lambda: None)

    def remove_tree(self, path: str) -> None:
        self._change(lambda: super(DyingFolder, self).remove_tree(path), lambda: self._halve(path))

    def _halve(self, path: str) -> None:
        """Remove every other file of a directory, and cut one short."""
        files = sorted(file for file in (self.path / path).rglob("*") if file.is_file())
        for file in files[::2]:
            file.unlink()
        for file in files[1:2]:
            file.write_bytes(file.read_bytes()[:-1])
