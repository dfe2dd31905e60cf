"""Files that are either complete or not there."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from bridgex.errors import InvalidInputError


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that it is either complete or not there."""
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                Path(temporary).unlink()
            raise
    except OSError as error:
        raise InvalidInputError(f"cannot write {path}: {error.strerror}") from error
