"""A file of text: what its name says of it, and its lines whatever they are compressed with."""

from __future__ import annotations

import gzip
import sys
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, BinaryIO, Literal, cast, get_args

from bridgex.errors import InvalidInputError, NotFoundError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TextFormat = Literal["text", "jsonl", "parquet", "csv", "tsv"]
Compression = Literal["gzip", "zstd"]

TEXT_FORMATS: tuple[TextFormat, ...] = get_args(TextFormat)

_FORMATS: dict[str, TextFormat] = {
    ".txt": "text",
    ".text": "text",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".csv": "csv",
    ".tsv": "tsv",
}
_COMPRESSIONS: dict[str, Compression] = {".gz": "gzip", ".zst": "zstd"}

# Large dumps are compressed with windows (``zstd --long``) that are refused by default.
_ANY_WINDOW = {
    int(zstd.DecompressionParameter.window_log_max): (
        zstd.DecompressionParameter.window_log_max.bounds()[1]
    )
}

KNOWN_SUFFIXES = f"{', '.join(_FORMATS)}, and all but Parquet also with .gz or .zst"


@dataclass(frozen=True)
class TextFile:
    """A file of text.

    Attributes
    ----------
    name
        What errors call it.
    format, compression
        What is in it.
    fetch
        Returns where it is on a disk, and brings it there if need be.
    stream
        Opens it where it lies, if it is not to be fetched for what can be read from its beginning.
    """

    name: str
    format: TextFormat
    compression: Compression | None
    fetch: Callable[[], Path]
    stream: Callable[[], BinaryIO] | None = None


def forms_of(
    name: str, forced: TextFormat | None = None
) -> tuple[TextFormat, Compression | None] | None:
    """Return what a file's name says of its content, or None where it does not.

    Parameters
    ----------
    name
        The file's name or path.
    forced
        The format, whatever the name says. Compression is always told by the name.
    """
    path = PurePath(name.lower())
    compression = _COMPRESSIONS.get(path.suffix)
    if compression is not None:
        path = path.with_suffix("")
    found = forced or _FORMATS.get(path.suffix)
    if found is None or (found == "parquet" and compression is not None):
        return None
    return found, compression


def lines_of(file: TextFile) -> Iterator[bytes]:
    """Yield the lines of a file with their ends, decompressed, one in memory at a time.

    Raises
    ------
    NotFoundError
        If the file has gone, or the Hub does not give it.
    InvalidInputError
        If it cannot be read, or not be decompressed to its end.
    """
    with readable(file):
        stored = file.stream() if file.stream else file.fetch().open("rb")
        with stored, _decompressed(stored, file.compression) as lines:
            yield from lines


def _decompressed(stored: BinaryIO, compression: Compression | None) -> BinaryIO:
    if compression == "gzip":
        return cast("BinaryIO", gzip.open(stored))
    if compression == "zstd":
        return cast("BinaryIO", zstd.open(stored, options=_ANY_WINDOW))
    return stored


@contextmanager
def readable(file: TextFile) -> Iterator[None]:
    """Say of which file it is that reading fails."""
    try:
        yield
    except EOFError as error:
        raise InvalidInputError(
            f"{file.name} ends before its {file.compression} data does",
            hint="Copy or download it again: it is cut off.",
        ) from error
    except (gzip.BadGzipFile, zlib.error, zstd.ZstdError) as error:
        raise InvalidInputError(
            f"{file.name} does not hold {file.compression} data throughout: {error}",
            hint="Copy or download it again; or give it the ending of what it is.",
        ) from error
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no text file {file.name}", hint="Check the path.") from error
    except OSError as error:
        raise InvalidInputError(f"cannot read {file.name}: {error.strerror or error}") from error
