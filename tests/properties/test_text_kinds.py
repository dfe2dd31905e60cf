"""The same records are the same text, whatever file they lie in."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tempfile
from pathlib import Path

import polars as pl
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from bridgex.corpora import split_parts
from bridgex.texts import open_text

CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\ufeff")
LINES = st.lists(st.text(CHARACTERS, min_size=1).filter(str.strip), min_size=1, max_size=12)
DOCUMENTS = st.lists(
    st.lists(st.text(CHARACTERS, min_size=1).filter(str.strip), min_size=1, max_size=3).map(
        "\n".join
    ),
    min_size=1,
    max_size=8,
)


def table(records: list[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([["id", "text"], *enumerate(records)])
    return text.getvalue().encode()


def write_all(directory: Path, records: list[str], between: str) -> list[Path]:
    """Write the records as files of every kind, and as a directory of several of them."""
    text = between.join(records).encode()
    rows = "\n".join(json.dumps({"id": 1, "text": record}) for record in records).encode()
    half = len(records) // 2
    contents = {"a.txt": text, "a.txt.zst": zstd.compress(text), "a.jsonl": rows}
    contents |= {"a.jsonl.gz": gzip.compress(rows), "a.csv": table(records)}
    for name, content in contents.items():
        (directory / name).write_bytes(content)
    frame = pl.DataFrame({"id": range(len(records)), "text": records})
    frame.write_parquet(directory / "a.parquet", row_group_size=3)
    several = directory / "several"
    several.mkdir()
    if half:
        (several / "a.txt").write_bytes(between.join(records[:half]).encode())
    frame[half:].write_parquet(several / "b.parquet")
    return [*(directory / name for name in contents), directory / "a.parquet", several]


@settings(max_examples=40, deadline=None)
@given(LINES, st.integers(1, 60))
def test_lines_are_the_same_parts_in_every_kind_of_file(records: list[str], size: int) -> None:
    expected = list(split_parts(records, language="sw", part_bytes=size))
    with tempfile.TemporaryDirectory() as directory:
        for path in write_all(Path(directory), records, "\n"):
            source = open_text(path)
            assert list(split_parts(source, language="sw", part_bytes=size)) == expected, path


@settings(max_examples=40, deadline=None)
@given(DOCUMENTS, st.integers(1, 10))
def test_documents_are_the_same_records_in_every_kind_of_file(
    records: list[str], limit: int
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        for path in write_all(Path(directory), records, "\n\n"):
            found = list(open_text(path, records="document", limit=limit))
            assert found == records[:limit], path
