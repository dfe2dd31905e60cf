"""Places where writing or reading fails: a full disk, a read-only one, somebody else's files."""

from __future__ import annotations

import os
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODY = 65534


@contextmanager
def mounted(place: Path, *arguments: str) -> Iterator[None]:
    """Mount something at a place; skips the test where that is not permitted."""
    done = subprocess.run(
        ["mount", *arguments, str(place)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"mounting is not permitted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@contextmanager
def small_disk(place: Path, options: str) -> Iterator[None]:
    """Let a place be a file system of its own in memory, with options such as ``size=64k``."""
    with mounted(place, "-t", "tmpfs", "-o", options, "tmpfs"):
        yield


@contextmanager
def read_only(place: Path) -> Iterator[None]:
    """Let nothing be written below a place: root may write whatever the permissions say."""
    with mounted(place, "--bind", str(place)):
        subprocess.run(["mount", "-o", "remount,bind,ro", str(place)], check=True)
        yield


@contextmanager
def unprivileged() -> Iterator[None]:
    """Give up the rights of root for a while. What is to be imported has to be before."""
    if os.geteuid():
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@contextmanager
def open_place() -> Iterator[Path]:
    """Make a directory that everybody may enter, unlike those that pytest makes."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)
