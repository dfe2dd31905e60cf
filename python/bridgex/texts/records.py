"""The records of a file, by its format. Every format gives what is in it, blank records too."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any, Literal, get_args

from bridgex.errors import InvalidInputError
from bridgex.texts.files import lines_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bridgex.texts.files import TextFile

Records = Literal["line", "document"]
"""What a record of a text file is: a line, or the lines up to a blank one."""

RECORDS: tuple[Records, ...] = get_args(Records)


def read_file(file: TextFile, *, field: str, records: Records) -> Iterator[str]:
    """Yield the records of a file, those that are blank left out.

    Parameters
    ----------
    file
        The file.
    field
        Of formats with fields: which one holds the text; dots lead into fields of fields.
    records
        Of text: what a record is.

    Raises
    ------
    NotFoundError
        If the file has gone.
    InvalidInputError
        If the file cannot be read, is not of its format, lacks the field somewhere, has something
        else than text in it, or holds no record.
    """
    empty = True
    for record in _records(file, field, records):
        if record.strip():
            empty = False
            yield record
    if empty:
        raise InvalidInputError(
            f"{file.name} holds no text: it is empty, or all its records are blank",
            hint="Give a file with one sentence or document per record.",
        )


def _records(file: TextFile, field: str, records: Records) -> Iterator[str]:
    match file.format:
        case "text":
            lines = _text_lines(file)
            return lines if records == "line" else _documents(lines)
        case "jsonl":
            return _json_records(file, field.split("."))
        case "parquet":
            from bridgex.texts.parquet import parquet_records

            return parquet_records(file, field.split("."))
        case "csv" | "tsv":
            return _table_records(file, field)


def _text_lines(file: TextFile) -> Iterator[str]:
    for number, line in enumerate(lines_of(file), start=1):
        yield _decode(line, number, file).rstrip("\r\n")


def _decode(line: bytes, number: int, file: TextFile) -> str:
    try:
        return line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        byte = error.start + 1 + (len(line) - len(error.object))
        raise InvalidInputError(
            f"{file.name} is not UTF-8: line {number}, byte {byte} is "
            f"0x{error.object[error.start]:02x}",
            hint="Convert the file to UTF-8, for example with iconv.",
        ) from error


def _documents(lines: Iterator[str]) -> Iterator[str]:
    held: list[str] = []
    for line in lines:
        if line.strip():
            held.append(line)
        elif held:
            yield "\n".join(held)
            held = []
    if held:
        yield "\n".join(held)


def _json_records(file: TextFile, path: Sequence[str]) -> Iterator[str]:
    for number, line in enumerate(lines_of(file), start=1):
        text = _decode(line, number, file)
        if text.strip():
            yield _json_text(text, path, f"line {number} of {file.name}")


def _json_text(text: str, path: Sequence[str], where: str) -> str:
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(
            f"{where} is not JSON: {error}", hint="Every line must be a JSON object of its own."
        ) from error
    for depth, name in enumerate(path):
        if not isinstance(found, dict):
            holder = f"field {'.'.join(path[:depth])!r}" if depth else "it"
            raise InvalidInputError(
                f"{where}: expected a JSON object with a field {name!r}, but {holder} is "
                f"{_kind(found)}"
            )
        if name not in found:
            raise InvalidInputError(
                f"{where} has no field {'.'.join(path[: depth + 1])!r}; its fields are: "
                f"{', '.join(found) or 'none'}",
                hint="Say which one holds the text: --field NAME.",
            )
        found = found[name]
    if not isinstance(found, str):
        raise InvalidInputError(
            f"{where}: expected text in field {'.'.join(path)!r}, but it is {_kind(found)}",
            hint="Leave such lines out of the file, or name another field with --field.",
        )
    return _whole_text(found, where)


def _whole_text(text: str, where: str) -> str:
    """Refuse halves of characters, which JSON can escape and UTF-8 cannot hold."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInputError(
            f"{where}: character {error.start + 1} of the text is half of a surrogate pair, "
            f"\\u{ord(text[error.start]):04x}"
        ) from error
    return text


def _kind(value: object) -> str:
    names = {dict: "an object", list: "an array", str: "a string", bool: "true or false"}
    return "null" if value is None else names.get(type(value), "a number")


def _table_records(file: TextFile, field: str) -> Iterator[str]:
    rows = _rows(file)
    header = next(rows, (0, []))[1]
    if not header:
        return
    if header.count(field) != 1:
        raise InvalidInputError(
            f"expected one column {field!r} in the first line of {file.name}; its columns are: "
            f"{', '.join(header)}",
            hint="Say which one holds the text: --field NAME.",
        )
    column = header.index(field)
    for number, row in rows:
        if row and len(row) != len(header):
            raise InvalidInputError(
                f"expected {len(header)} cells as in the first line, but line {number} of "
                f"{file.name} has {len(row)}"
            )
        if row:
            yield row[column]


def _rows(file: TextFile) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a table, and the number of the line on which each ends."""
    lines = (_decode(line, number, file) for number, line in enumerate(lines_of(file), start=1))
    if file.format == "tsv":
        for number, line in enumerate(lines, start=1):
            text = line.rstrip("\r\n")
            yield number, text.split("\t") if text else []
        return
    reader = csv.reader(lines, strict=True)
    try:
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise InvalidInputError(
            f"line {reader.line_num} of {file.name} is not CSV: {error}",
            hint="Convert the file to JSON lines or Parquet.",
        ) from error
