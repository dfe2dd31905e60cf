"""Reading texts of every kind: which files, which records, and what is refused."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import threading
import tracemalloc
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from backports import zstd
from tests.faults.places import open_place, unprivileged

from bridgex.corpora import split_parts
from bridgex.errors import InvalidInputError, NotFoundError
from bridgex.texts import open_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def made(directory: Path, name: str, content: str | bytes) -> Path:
    path = directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_a_record_is_a_line_that_is_not_blank(tmp_path: Path) -> None:
    path = made(tmp_path, "a.txt", "\ufeffhabari\r\n\n  \t\n dunia \u2028x\nmwisho")
    assert list(open_text(path)) == ["habari", " dunia \u2028x", "mwisho"]


def test_a_document_ends_at_a_blank_line_or_with_its_file(tmp_path: Path) -> None:
    made(tmp_path, "a.txt", "\n\none\r\n two\n \n\nthree\n")
    made(tmp_path, "b.txt", "four")
    found = list(open_text(tmp_path, records="document"))
    assert found == ["one\n two", "three", "four"]


def test_a_text_is_read_again_and_again(tmp_path: Path) -> None:
    source = open_text(made(tmp_path, "a.txt", "one\ntwo\nthree\n"), limit=2)
    assert list(source) == list(source) == ["one", "two"]


def test_fields_lie_within_fields(tmp_path: Path) -> None:
    rows = [{"meta": {"body": {"text": text}}} for text in ("one", "two")]
    made(tmp_path, "a.jsonl", "\n".join(map(json.dumps, rows)))
    pl.DataFrame(rows).write_parquet(tmp_path / "a.parquet")
    for name in ("a.jsonl", "a.parquet"):
        assert list(open_text(tmp_path / name, field="meta.body.text")) == ["one", "two"]


def test_cells_of_csv_may_hold_line_ends_and_those_of_tsv_quotes(tmp_path: Path) -> None:
    path = made(tmp_path, "a.csv", 'id,text\n1,"one\nstill, one"\n\n2,two\n')
    assert list(open_text(path)) == ["one\nstill, one", "two"]
    path = made(tmp_path, "a.tsv", 'text\tid\nsay "one\t1\n\ntwo\t2\r\n')
    assert list(open_text(path)) == ['say "one', "two"]


def test_several_gzip_members_and_zstd_frames_are_one_text(tmp_path: Path) -> None:
    for name, compress in (("a.txt.gz", gzip.compress), ("a.txt.zst", zstd.compress)):
        path = made(tmp_path, name, compress(b"one\ntw") + compress(b"o\n"))
        assert list(open_text(path)) == ["one", "two"]


def test_a_directory_is_read_in_byte_order_of_relative_paths(tmp_path: Path) -> None:
    names = ["b/1.txt", "b-1.txt", "a.txt", "Z.txt", "é.txt", "b/10.txt", "b/9.jsonl"]
    for name in names:
        text = json.dumps({"text": name}) if name.endswith("jsonl") else name
        made(tmp_path, name, text)
    for name in ("README.md", ".hidden.txt", ".git/x.txt", "b/a.log"):
        made(tmp_path, name, "not text")
    assert list(open_text(tmp_path)) == sorted(names, key=str.encode)


def test_a_forced_format_takes_every_file(tmp_path: Path) -> None:
    made(tmp_path, "part-0", '{"text": "one"}')
    made(tmp_path, "part-1.json.gz", gzip.compress(b'{"text": "two"}'))
    assert list(open_text(tmp_path, format="jsonl")) == ["one", "two"]


def test_a_pipe_is_copied_once_and_read_twice(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_text, args=("one\ntwo\n",))
    writer.start()
    source = open_text(path)
    writer.join()
    copy = source.files[0].fetch()
    assert list(source) == list(source) == ["one", "two"]
    del source
    assert not copy.exists()


def test_a_pipe_among_the_files_of_a_directory_is_refused_and_not_waited_for(
    tmp_path: Path,
) -> None:
    made(tmp_path, "a.txt", "one")
    os.mkfifo(tmp_path / "b.log")
    assert list(open_text(tmp_path)) == ["one"]
    os.mkfifo(tmp_path / "b.txt")
    with pytest.raises(InvalidInputError, match=r"(?s)b\.txt is a pipe, .*a text of its own"):
        open_text(tmp_path)


def test_standard_input_is_read_twice() -> None:
    code = (
        "from bridgex.texts import open_text\n"
        "source = open_text('-', format='jsonl')\n"
        "print([*source, *source])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input='{"text": "one"}', capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert done.stdout == "['one', 'one']\n"


def test_a_closed_standard_input_is_refused() -> None:
    code = "import os, sys\nfrom bridgex.cli import main\nmain(sys.argv[1:])"
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", sys.executable, "-c", code,
         "ingest", "corpus", "model", "store", "--text", "sw=-"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, "it is closed" in done.stderr) == (1, True), done.stderr


def test_zstd_windows_of_any_size_are_read(tmp_path: Path) -> None:
    writer = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 30})
    # Where the size is not known from the start, the frame asks for the whole window.
    content = writer.compress(b"one\n") + writer.flush()
    assert list(open_text(made(tmp_path, "a.txt.zst", content))) == ["one"]


NOT_TEXT: list[tuple[str, str | bytes, str]] = [
    ("a.txt", b"one\ntwo\nna\xefve\n", "a.txt is not UTF-8: line 3, byte 3 is 0xef"),
    ("a.txt", b"\xef\xbb\xbfna\xefve\n", "line 1, byte 6 is 0xef"),
    ("a.txt", "", "holds no text"),
    ("a.txt", " \t\r\n\n", "holds no text"),
    ("a.jsonl", '{"text": " "}\n', "holds no text"),
    ("a.csv", "", "holds no text"),
    ("a.csv", "text\n", "holds no text"),
    ("a.txt.gz", b"", "holds no text"),
    ("a.txt.gz", b"plain", "does not hold gzip data"),
    ("a.txt.zst", b"plain text", "does not hold zstd data"),
    ("a.txt.gz", gzip.compress(b"one\n" * 99)[:-3], "ends before its gzip data does"),
    ("a.txt.zst", zstd.compress(b"one\n" * 99)[:-3], "ends before its zstd data does"),
    ("a.txt.zst", b"", "ends before its zstd data does"),
    ("a.jsonl", '{"text": "a"}\n\n{"text"\n', r"line 3 of .*a.jsonl is not JSON"),
    ("a.jsonl", "[" * 99_999, "line 1 of .* is not JSON"),
    ("a.jsonl", '["a"]', "line 1 .* expected a JSON object .*'text', but it is an array"),
    ("a.jsonl", '{"body": 1, "id": 2}', r"line 1 .* no field 'text'; its fields are: body, id"),
    ("a.jsonl", '{"text": null}', r"line 1 .* expected text in field 'text', but it is null"),
    ("a.jsonl", '{"text": 1.5}', "but it is a number"),
    ("a.jsonl", '{"text": "x\\ud800"}', r"line 1 .* character 2 .* surrogate pair, .ud800"),
    ("a.csv", "id,body\n1,2\n", "expected one column 'text' .*; its columns are: id, body"),
    ("a.csv", "text,text\n1,2\n", "expected one column 'text'"),
    ("a.csv", 'text,id\n"a\nb",1\nc\n', "expected 2 cells .* line 4 of .*a.csv has 1"),
    ("a.csv", 'text\n"never closed\n', "line 2 of .*a.csv is not CSV"),
    ("a.csv", b"text\n\xff\n", "not UTF-8: line 2, byte 1"),
    ("a.tsv", "text\tid\na\n", "expected 2 cells .* line 2 of .* has 1"),
    ("a.parquet", b"no Parquet at all", "cannot read .*a.parquet as Parquet"),
    ("a.parquet", b"", "cannot read .*a.parquet as Parquet"),
]


@pytest.mark.parametrize(("name", "content", "message"), NOT_TEXT)
def test_what_is_not_text_is_named(
    tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    with pytest.raises(InvalidInputError, match=message):
        list(open_text(made(tmp_path, name, content)))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"body": ["a"], "id": [1]}, "no column 'text'; there are: body, id"),
        ({"text": [1, 2]}, "expected text in column 'text' of .*, but it holds Int64"),
        ({"text": ["a", " ", None]}, r"row 3 of .*a\.parquet: expected text .* it is null"),
        ({"text": ["a"] * 5000 + [None]}, "row 5001 of"),
        ({"text": pl.Series([], dtype=pl.String)}, "holds no text"),
    ],
)
def test_what_is_no_column_of_text_is_named(tmp_path: Path, rows: Any, message: str) -> None:
    pl.DataFrame(rows).write_parquet(tmp_path / "a.parquet", row_group_size=1000)
    with pytest.raises(InvalidInputError, match=message):
        list(open_text(tmp_path / "a.parquet"))


def test_a_parquet_file_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pl.DataFrame({"text": ["a", "b"]}).write_parquet(path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InvalidInputError, match=r"cannot read .*a\.parquet as Parquet"):
        list(open_text(path))


DAMAGE = """
import sys
from pathlib import Path
from bridgex.errors import InvalidInputError
from bridgex.texts import open_text

path = Path(sys.argv[1])
content = path.read_bytes()
footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
refused = 0
for place in range(footer, len(content) - 8, 3):
    path.write_bytes(content[:place] + bytes([content[place] ^ 0x11]) + content[place + 1 :])
    try:
        list(open_text(path))
    except InvalidInputError:
        refused += 1
print(refused)
"""


def test_parquet_that_is_damaged_within_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pl.DataFrame({"text": [f"row {number}" for number in range(500)]}).write_parquet(path)
    done = subprocess.run(
        [sys.executable, "-c", DAMAGE, path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 10


def test_one_empty_file_of_a_directory_is_named(tmp_path: Path) -> None:
    made(tmp_path, "a.txt", "one")
    made(tmp_path, "b.txt", "")
    with pytest.raises(InvalidInputError, match=r"b\.txt holds no text"):
        list(open_text(tmp_path))


def test_what_is_not_there_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"no text file .*absent\.txt"):
        open_text(tmp_path / "absent.txt")
    path = made(tmp_path, "a.txt", "one")
    source = open_text(path)
    path.unlink()
    with pytest.raises(NotFoundError, match=r"no text file .*a\.txt"):
        list(source)


@pytest.mark.parametrize("name", ["a.docx", "a", "a.gz", "a.parquet.gz", "a.json"])
def test_a_name_that_does_not_say_what_is_in_it_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInputError, match=rf"(?s)files that end in \.txt.*{name}.*--text-f"):
        open_text(made(tmp_path, name, "one"))


def test_a_directory_without_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="there are no files"):
        open_text(tmp_path)
    for number in range(5):
        made(tmp_path, f"{number}.log", "one")
    with pytest.raises(InvalidInputError, match=r"there is .*0\.log, .*2\.log and 2 more"):
        open_text(tmp_path)


def test_a_limit_below_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="at least 1 record, not 0"):
        open_text(made(tmp_path, "a.txt", "one"), limit=0)


def test_what_may_not_be_read_is_refused() -> None:
    with open_place() as place:
        path = made(place, "texts/a.txt", "one\n")
        path.chmod(0)
        with unprivileged(), pytest.raises(InvalidInputError, match="Permission denied"):
            list(open_text(path))
        path.parent.chmod(0o100)
        with unprivileged(), pytest.raises(InvalidInputError, match=r"texts: Permission denied"):
            open_text(path.parent)


@pytest.mark.parametrize("ending", ["txt", "txt.gz", "txt.zst", "jsonl.gz", "csv"])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, ending: str) -> None:
    line = '{"text": "a sentence of some length"}\n' if "json" in ending else "a sentence\n"
    content = (("text\n" if ending == "csv" else "") + line * 50_000).encode()
    compressions: dict[str, Callable[[bytes], bytes]]
    compressions = {"gz": gzip.compress, "zst": zstd.compress}
    compress = compressions.get(ending.rpartition(".")[2], bytes)
    path = made(tmp_path, f"a.{ending}", compress(content))
    tracemalloc.start()
    try:
        parts = split_parts(open_text(path), language="sw", part_bytes=16_384)
        count = sum(len(part.records) for part in parts)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 50_000
    assert peak < 500_000 < len(content)


MEASURE = """
import sys
from bridgex.texts import open_text
def anonymous():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024
peak = 0
for number, record in enumerate(open_text(sys.argv[1])):
    if number % 1000 == 0:
        peak = max(peak, anonymous())
print(peak)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_a_parquet_file(tmp_path: Path) -> None:
    peaks = []
    for rows in (20_000, 160_000):
        path = tmp_path / f"{rows}.parquet"
        texts = [f"{number:09} " * 100 for number in range(rows)]
        pl.DataFrame({"text": texts}).write_parquet(path, row_group_size=2_000)
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, path], capture_output=True, text=True, check=True
        )
        peaks.append(float(done.stdout))
    assert peaks[1] - peaks[0] < 40, "of 140 MB more text"
