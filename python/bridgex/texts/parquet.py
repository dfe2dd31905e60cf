"""A column of a Parquet file as records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl
from polars.exceptions import PanicException, PolarsError

from bridgex.errors import InvalidInputError
from bridgex.texts.files import readable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bridgex.texts.files import TextFile

BATCH_ROWS = 1024
"""Rows that are handed over at a time."""


def parquet_records(file: TextFile, path: Sequence[str]) -> Iterator[str]:
    """Yield the texts of a column, or of a field of it.

    Parameters
    ----------
    file
        A Parquet file.
    path
        Name of the column, and of fields within it.

    Raises
    ------
    InvalidInputError
        If the file is not Parquet or damaged, has no such column, or something else than text in
        it: the row is named, counted from 1.

    Notes
    -----
    Memory: the column in the row groups that are read ahead, not in the file.
    """
    try:
        with readable(file):
            frame = pl.scan_parquet(file.fetch(), glob=False, low_memory=True)
            column = _column(file, frame.collect_schema(), path)
            row = 0
            for batch in frame.select(column).collect_batches(
                chunk_size=BATCH_ROWS, maintain_order=True, lazy=True, engine="streaming"
            ):
                texts = batch.to_series()
                _check_nulls(file, texts, row, ".".join(path))
                yield from texts
                row += len(texts)
    except (PolarsError, PanicException) as error:
        raise InvalidInputError(
            f"cannot read {file.name} as Parquet: {error}",
            hint="Copy or download it again; or give it the ending of what it is.",
        ) from error


def _column(file: TextFile, schema: pl.Schema, path: Sequence[str]) -> pl.Expr:
    fields: dict[str, Any] = dict(schema)
    expression, found = pl.col(path[0]), None
    for depth, name in enumerate(path):
        if name not in fields:
            raise InvalidInputError(
                f"{file.name} has no column {'.'.join(path[: depth + 1])!r}; there are: "
                f"{', '.join(fields) or 'none'}",
                hint="Say which one holds the text: --field NAME.",
            )
        found = fields[name]
        if depth:
            expression = expression.struct.field(name)
        fields = found.to_schema() if isinstance(found, pl.Struct) else {}
    if found != pl.String:
        raise InvalidInputError(
            f"expected text in column {'.'.join(path)!r} of {file.name}, but it holds {found}",
            hint="Name another column with --field.",
        )
    return expression


def _check_nulls(file: TextFile, texts: pl.Series, row: int, name: str) -> None:
    if texts.null_count():
        first = row + 1 + int(texts.is_null().arg_true()[0])
        raise InvalidInputError(
            f"row {first} of {file.name}: expected text in column {name!r}, but it is null",
            hint="Leave such rows out of the file, or name another column with --field.",
        )
