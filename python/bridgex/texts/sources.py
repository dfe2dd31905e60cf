"""Where text comes from: one file, a directory, standard input, or a dataset on the Hub."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from bridgex.errors import InvalidInputError, NotFoundError
from bridgex.texts.files import KNOWN_SUFFIXES, TextFile, forms_of
from bridgex.texts.records import read_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from bridgex.texts.files import TextFormat
    from bridgex.texts.records import Records

STANDARD_INPUT = "-"
HUB = "hf://"


@dataclass(frozen=True)
class TextSource:
    """Text that can be read again and again: iterate over its records.

    Attributes
    ----------
    files
        The files, in order.
    field
        Where the text is in files with fields.
    records
        What a record of a text file is.
    limit
        Largest number of records that are read.
    spooled
        What keeps a copy of standard input or of a pipe until the source has gone.
    """

    files: tuple[TextFile, ...]
    field: str = "text"
    records: Records = "line"
    limit: int | None = None
    spooled: Any = None

    def __iter__(self) -> Iterator[str]:
        """Read from the first record. One record is in memory at a time (Parquet: row groups).

        Raises
        ------
        NotFoundError
            A file has gone, or the Hub does not have it.
        InvalidInputError
            A file cannot be read, is not of its format, lacks the field somewhere, has something
            else than text in it, or holds no record.
        """
        every = chain.from_iterable(
            read_file(file, field=self.field, records=self.records) for file in self.files
        )
        return islice(every, self.limit)


def open_text(
    location: str | os.PathLike[str],
    *,
    format: TextFormat | None = None,  # noqa: A002  the word that users know
    field: str = "text",
    records: Records = "line",
    limit: int | None = None,
) -> TextSource:
    """Find the files of a text. Nothing of them is read yet, but for what can be read only once.

    The same records are the same text, whatever file they lie in: the parts that they make, and
    the digests of these, are equal. A record that is blank is left out.

    Parameters
    ----------
    location
        A file; a directory, for all files below it of known kinds, in the byte order of their
        paths relative to it; ``-`` for standard input; or ``hf://datasets/OWNER/NAME/PATH`` for
        files of a dataset on the Hub, with ``@REVISION`` after the name if wanted. Files and
        directories whose name begins with a dot are left out. Standard input and pipes are copied
        once to a temporary file, since a text is read more than once.
    format
        What is in the files; by default the ends of their names say it. Of a directory all files
        are taken then. Compression is always told by ``.gz`` and ``.zst``.
    field
        JSON lines, Parquet, CSV and TSV: the field or column with the text; dots lead into fields
        of fields (JSON lines and Parquet).
    records
        Text: a record is a line, or a document, which ends at a blank line or with its file.
    limit
        Largest number of records that are read.

    Raises
    ------
    NotFoundError
        There is no such file or dataset.
    InvalidInputError
        The name does not say what is in the file, the directory has no file of a known kind or
        a pipe among its files, or the limit is not positive.
    """
    if limit is not None and limit < 1:
        raise InvalidInputError(f"a limit is at least 1 record, not {limit}")
    name = os.fspath(location)
    spooled = None
    if name == STANDARD_INPUT:
        if sys.stdin is None:
            raise InvalidInputError("expected a text on standard input, and it is closed")
        files, spooled = _spool(sys.stdin.fileno(), "standard input", format)
    elif name.startswith(HUB):
        from bridgex.texts.hub import hub_files

        files = hub_files(name, format)
    elif not (path := Path(name)).exists():
        raise NotFoundError(f"there is no text file {name}", hint="Check the path.")
    elif path.is_dir():
        files = _below(path, format)
    elif path.is_file():
        files = choose(name, [(name, lambda: path, None)], format)
    else:
        files, spooled = _spool(path, name, format)
    return TextSource(files, field, records, limit, spooled)


def choose(
    location: str,
    named: Iterable[tuple[str, Callable[[], Path], Callable[[], BinaryIO] | None]],
    format_: TextFormat | None,
) -> tuple[TextFile, ...]:
    """Return the files whose names say what is in them.

    Parameters
    ----------
    location
        What the user named.
    named
        Of every file the name, and how it is fetched and streamed, as ``TextFile`` has it.
    format_
        The format of all, whatever their names say.

    Raises
    ------
    InvalidInputError
        If there is no such file.
    """
    found, others = [], []
    for name, fetch, stream in named:
        forms = forms_of(name, format_)
        if forms is None:
            others.append(name)
        else:
            found.append(TextFile(name, *forms, fetch, stream))
    if not found:
        raise InvalidInputError(
            f"expected text in {location}, in files that end in {KNOWN_SUFFIXES}; there "
            + (f"is {_some(others)}" if others else "are no files"),
            hint="Say what is in them with --text-format, for example --text-format text."
            if others
            else "Check the path.",
        )
    return tuple(found)


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"  # noqa: PLR2004


def _below(directory: Path, format_: TextFormat | None) -> tuple[TextFile, ...]:
    def refuse(error: OSError) -> None:
        raise InvalidInputError(f"cannot read {error.filename}: {error.strerror}") from error

    found: list[Path] = []
    for folder, folders, names in os.walk(directory, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(folder, name) for name in names if not name.startswith(".")]
    found.sort(key=lambda path: os.fsencode(path.relative_to(directory).as_posix()))
    named = [(str(path), partial(Path, path), None) for path in found]
    files = choose(str(directory), named, format_)
    for file in files:
        if _is_special(Path(file.name)):
            raise InvalidInputError(
                f"expected files in {directory}, but {file.name} is a pipe, a socket or a device",
                hint="Give a pipe as a text of its own: it is copied once.",
            )
    return files


def _is_special(path: Path) -> bool:
    with suppress(OSError):  # What cannot be looked at is refused when it is opened.
        return not stat.S_ISREG(path.stat().st_mode)
    return False


def _spool(
    pipe: Path | int, name: str, format_: TextFormat | None
) -> tuple[tuple[TextFile, ...], Any]:
    # What keeps the file is the source itself: no block could end with it.
    copy = tempfile.NamedTemporaryFile(prefix="bridgex-")  # noqa: SIM115
    try:
        with open(pipe, "rb", closefd=pipe != 0) as stream:
            shutil.copyfileobj(stream, copy)
        copy.flush()
    except OSError as error:
        raise InvalidInputError(f"cannot copy {name} to {copy.name}: {error.strerror}") from error
    return (TextFile(name, format_ or "text", None, partial(Path, copy.name)),), copy
