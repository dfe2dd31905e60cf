"""Committing one part: write, flush, then create its marker, which only one writer can."""

from __future__ import annotations

import errno
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bridgex.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from bridgex.store.files import StoredFile
    from bridgex.store.folder import Folder
    from bridgex.store.markers import Marker

_REFUSALS = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.ENAMETOOLONG),
    *(errno.EACCES, errno.EPERM, errno.EROFS),
}
"""Errors after which a marker that is not there will not come, unlike after a lost connection."""


def new_attempt() -> str:
    """Return a name that no other attempt has."""
    return secrets.token_hex(8)


def commit(
    folder: Folder,
    marker: Marker,
    path: str,
    *,
    arrays: Mapping[str, NDArray[Any]],
    attributes: dict[str, Any],
    check: Callable[[Marker], None] | None = None,
) -> bool:
    """Write the arrays of a part and make it exist.

    Parameters
    ----------
    folder
        The store.
    marker
        What to commit, with a fresh attempt; its ``files`` are filled in here.
    path
        Of the marker.
    arrays, attributes
        What the part's group holds; the marker says how it is compressed.
    check
        Called with the marker when all is written, before the part exists: an error keeps it from
        existing.

    Returns
    -------
    bool
        False if another writer committed the part first; nothing of this attempt is left then.

    Raises
    ------
    StoreError
        If the part cannot be written. Nothing is committed then.
    """

    def write() -> dict[str, StoredFile]:
        return folder.write_group(marker.directory, arrays, attributes, marker.encoding)

    return _commit(folder, marker, path, write, check)


def commit_files(
    folder: Folder,
    marker: Marker,
    path: str,
    *,
    contents: Iterable[tuple[str, NDArray[np.uint8]]],
) -> bool:
    """Write the files of a part and make it exist. As ``commit``, with files for arrays.

    Parameters
    ----------
    folder, marker, path
        As for ``commit``.
    contents
        Path of every file relative to the part's directory, and its bytes.
    """

    def write() -> dict[str, StoredFile]:
        return folder.write_files(marker.directory, contents)

    return _commit(folder, marker, path, write, None)


def _commit(
    folder: Folder,
    marker: Marker,
    path: str,
    write: Callable[[], dict[str, StoredFile]],
    check: Callable[[Marker], None] | None,
) -> bool:
    try:
        files = write()
        marker = replace(marker, files=files)
        if check:
            _checked(folder, marker, check)
        # From here on only a lost race may remove the attempt: an error or an interrupt can come
        # after the marker was created.
        won = folder.create_exclusively(path, marker.to_bytes())
    except StoreError:
        raise
    except OSError as error:
        if error.errno in _REFUSALS and not folder.exists(path):
            folder.remove_tree(marker.directory)
        place = error.filename or folder.display(marker.directory)
        raise StoreError(
            f"cannot write to {place}: {error.strerror or error}",
            hint="Make room or permit writing there, then give the same command again: "
            "what was committed is kept.",
        ) from error
    if not won:
        folder.remove_tree(marker.directory)
    return won


def _checked(folder: Folder, marker: Marker, check: Callable[[Marker], None]) -> None:
    try:
        check(marker)
    except BaseException:
        folder.remove_tree(marker.directory)
        raise
