"""Answers: one set of values, written as a table for people or in a format for programs."""

from __future__ import annotations

import errno
import json
import math
import re
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bridgex.cli.exits import NobodyReadsError
from bridgex.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Format = Literal["table", "json", "ndjson", "csv", "parquet"]
Cell = str | int | float | bool | None

NOT_ESTIMABLE = "–"


@dataclass(frozen=True)
class Table:
    """A table for people. The first column is left-aligned, numbers stand to the right."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Answer:
    """What a command found.

    Attributes
    ----------
    schema
        Name and version of the form of ``meta`` and ``rows``, for example ``bridgex.overlap/1``.
    rows
        The values in long form: one dictionary for each, all with the same keys.
    tables
        The same for people, rounded.
    meta
        What holds for all rows.
    columns
        Keys of the rows, where there may be none.
    """

    schema: str
    rows: Sequence[dict[str, Any]]
    tables: Sequence[Table]
    meta: dict[str, Any] = field(default_factory=dict)
    columns: Sequence[str] = ()


def emit(answer: Answer, *, format_: Format, output: Path | None = None) -> None:
    """Write an answer to stdout, or to a file that appears only when it is complete."""
    if output is None:
        if sys.stdout is None:
            raise OSError(errno.EBADF, "there is nowhere to write the answer to", "standard output")
        try:
            _print(answer, format_)
        except BrokenPipeError as error:
            # Click would make an error of it.
            raise NobodyReadsError from error
        return
    content = _parquet(answer) if format_ == "parquet" else _text(answer, format_).encode()
    write_atomically(output, content)


def _text(answer: Answer, format_: Format) -> str:
    if format_ == "json":
        document = {"schema": answer.schema, **answer.meta, "rows": list(answer.rows)}
        return json.dumps(_plain(document), ensure_ascii=False, indent=1, allow_nan=False) + "\n"
    if format_ == "ndjson":
        lines = [
            json.dumps(_plain(row), ensure_ascii=False, allow_nan=False) for row in answer.rows
        ]
        return "".join(f"{line}\n" for line in lines)
    if format_ == "csv":
        text: str = _frame(answer).write_csv()
        return text
    return _rendered(answer.tables)


def _parquet(answer: Answer) -> bytes:
    import io

    buffer = io.BytesIO()
    _frame(answer).write_parquet(buffer)
    return buffer.getvalue()


def _frame(answer: Answer) -> Any:
    import polars as pl

    if not answer.rows:
        return pl.DataFrame({name: [] for name in answer.columns})
    return pl.DataFrame(_plain(list(answer.rows)), infer_schema_length=None)


def _plain(value: Any) -> Any:
    """Return JSON-able values; not-a-number becomes null."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, np.generic | np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _print(answer: Answer, format_: Format) -> None:
    texts = (
        (_rendered([table]) for table in answer.tables)
        if format_ == "table"
        else [_text(answer, format_)]
    )
    for text in texts:
        sys.stdout.write(text)
        sys.stdout.flush()


def _rendered(tables: Sequence[Table]) -> str:
    """Return tables as text, as wide as their content needs."""
    import io

    from rich.console import Console

    buffer = io.StringIO()
    console = Console(file=buffer, width=10_000, highlight=False, markup=False)
    for table in tables:
        console.print(table.title)
        console.print(_rich(table))
        for note in table.notes:
            console.print(f"  {note}")
        console.print()
    text = "".join(f"{line.rstrip()}\n" for line in buffer.getvalue().splitlines())
    return re.sub(r"\n{3,}", "\n\n", text)


def _rich(table: Table) -> Any:
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    named = any(table.columns)
    result = RichTable(box=box.SIMPLE_HEAD if named else box.SIMPLE, show_header=named)
    for number, column in enumerate(table.columns):
        left = number == 0 or any(isinstance(row[number], str) for row in table.rows)
        result.add_column(Text(column), justify="left" if left else "right", no_wrap=True)
    for row in table.rows:
        result.add_row(*(Text(_cell(value)) for value in row))
    return result


def _cell(value: Cell) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return NOT_ESTIMABLE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4f}"
    return value
