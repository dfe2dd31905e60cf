"""Committing one part: write, flush, then create its marker, which only one writer can."""

from __future__ import annotations

import secrets
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bridgex.errors import StoreError
from bridgex.store.arrays import write_group
from bridgex.store.files import create_exclusively, make_directories, seal
from bridgex.store.layout import MARKER_SUFFIX

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from bridgex.store.files import StoredFile
    from bridgex.store.markers import Marker


def new_attempt() -> str:
    """Return a name that no other attempt has."""
    return secrets.token_hex(8)


def commit(
    root: Path,
    marker: Marker,
    commits: Path,
    *,
    arrays: dict[str, NDArray[Any]],
    attributes: dict[str, Any],
) -> bool:
    """Write the arrays of a part and make it exist.

    Parameters
    ----------
    root
        The store.
    marker
        What to commit, with a fresh attempt; its ``files`` are filled in here.
    commits
        Directory of the marker.
    arrays, attributes
        What the part's group holds.

    Returns
    -------
    bool
        False if another writer committed the part first; nothing of this attempt is left then.

    Raises
    ------
    StoreError
        If the part cannot be written. Nothing is committed then.
    """
    directory = root / marker.directory
    try:
        files = _write(directory, arrays, attributes)
        # From here on only a lost race may remove the attempt: an error or an interrupt can come
        # after the marker was created.
        content = replace(marker, files=files).to_bytes()
        won = create_exclusively(commits / f"{marker.part}{MARKER_SUFFIX}", content)
    except OSError as error:
        raise StoreError(
            f"cannot write to {error.filename or directory}: {error.strerror or error}",
            hint="Make room or permit writing there, then give the same command again: "
            "what was committed is kept.",
        ) from error
    if not won:
        shutil.rmtree(directory, ignore_errors=True)
    return won


def _write(
    directory: Path, arrays: dict[str, NDArray[Any]], attributes: dict[str, Any]
) -> dict[str, StoredFile]:
    try:
        make_directories(directory.parent)
        write_group(directory, arrays, attributes)
        return seal(directory)
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise
