"""A folder whose directories hold what no store ever wrote: named in an error, or left alone."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from bridgex.errors import StoreError
from bridgex.store.local import LocalFolder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> LocalFolder:
    (tmp_path / "parts/one").mkdir(parents=True)
    (tmp_path / "parts/one/file").write_bytes(b"12345")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "linked").symlink_to("parts")
    return LocalFolder(tmp_path)


def test_links_are_listed_and_never_followed_in_a_walk(folder: LocalFolder) -> None:
    assert folder.names() == ["dangling", "loop"]
    assert folder.folders() == ["linked", "parts"]
    walked = {entry.path: entry.size for entry in folder.walk()}
    assert walked.keys() == {"dangling", "loop", "parts/one/file"}
    assert walked["parts/one/file"] == 5


READERS: list[Callable[[LocalFolder, str], object]] = [
    LocalFolder.read,
    LocalFolder.measure,
    lambda folder, path: folder.array(path, (1,), {}),
]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("path", ["loop", "parts/one/file/below"])
def test_what_cannot_be_read_is_named(
    folder: LocalFolder, reader: Callable[[LocalFolder, str], object], path: str
) -> None:
    with pytest.raises(StoreError, match="cannot read") as error:
        reader(folder, path)
    assert folder.display(path) in error.value.message
    assert error.value.hint is not None


def test_a_directory_is_not_read_as_a_file(folder: LocalFolder) -> None:
    for reader in (LocalFolder.read, LocalFolder.measure):
        with pytest.raises(StoreError, match=r"parts/one: Is a directory"):
            reader(folder, "parts/one")


def test_a_file_is_not_listed_as_a_directory(folder: LocalFolder) -> None:
    with pytest.raises(StoreError, match=r"parts/one/file: Not a directory"):
        folder.names("parts/one/file")
    assert folder.names("parts/two") == folder.folders("parts/two") == []


def test_a_name_that_is_too_long_is_no_traceback(folder: LocalFolder) -> None:
    name = "x" * 300
    for reader in READERS[:2]:
        with pytest.raises(StoreError, match=os.strerror(errno.ENAMETOOLONG)):
            reader(folder, name)


def test_the_newest_is_that_of_files_and_directories(folder: LocalFolder) -> None:
    for path, time in (("parts/one/file", 100), ("parts/one", 300), ("parts", 200)):
        os.utime(folder.path / path, (time, time))
    assert folder.newest("parts") == folder.newest("parts/one") == 300
    os.utime(folder.path / "parts/one/file", (400, 400))
    assert folder.newest("parts") == 400
    assert folder.newest("linked") is folder.newest("nothing") is folder.newest("loop") is None


def test_removing_leaves_what_is_not_asked_for(folder: LocalFolder) -> None:
    (folder.path / "parts/one/more").mkdir()
    folder.remove(["parts/one/absent", "parts/one/file"])
    assert folder.names("parts/one") == []
    (folder.path / "parts/two").mkdir()
    (folder.path / "parts/two/mine").touch()
    folder.remove_empty("parts")
    assert folder.folders("parts") == ["two"]
    with pytest.raises(StoreError, match=r"cannot remove .*parts/two"):
        folder.remove(["parts/two"])
