"""Datasets on a Hub: which files a place stands for, what is fetched of them, what is refused."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
from itertools import chain
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from backports import zstd
from tests.hub_server import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.hub_server import Hub

READ = """
import json, os, sys
from bridgex.errors import BridgexError
from bridgex.texts import hub, open_text, ranges
import time

hub.STREAMED_FROM = int(os.environ.get("STREAMED_FROM", hub.STREAMED_FROM))
ranges.BLOCK = int(os.environ.get("BLOCK", ranges.BLOCK))
sleep = time.sleep
time.sleep = lambda seconds: sleep(min(float(seconds), 0.01))
found = []
for place, options in json.loads(sys.argv[1]):
    try:
        source = open_text(place, **options)
        found.append([[file.name for file in source.files], list(source)])
    except BridgexError as error:
        found.append([type(error).__name__, str(error)])
json.dump(found, sys.stdout)
"""
"""Read places one after the other; the client waits little between tries."""

STREAMED = {"STREAMED_FROM": "1", "BLOCK": "1000"}
"""Of small files, what holds for large ones."""


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving() as found:
        yield found


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def read(hub: Hub, home: Path, *places: object, **environment: str) -> list[tuple[Any, Any]]:
    """Read places in a process that asks this Hub: names of files and records, or an error."""
    asked = [place if isinstance(place, tuple) else (place, {}) for place in places]
    done = subprocess.run(
        [sys.executable, "-c", READ, json.dumps(asked)],
        env=os.environ | {"HF_ENDPOINT": hub.url, "HF_HOME": str(home)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [(what, found) for what, found in json.loads(done.stdout)]


def rows(*texts: str) -> bytes:
    return "".join(json.dumps({"text": text}) + "\n" for text in texts).encode()


def parquet(*texts: str) -> bytes:
    held = io.BytesIO()
    pl.DataFrame({"text": texts}).write_parquet(held)
    return held.getvalue()


FILES = {
    "README.md": b"# Words\n",
    ".hidden/h.txt": b"hidden\n",
    "z.txt": b"z\n",
    "data/b.jsonl.gz": gzip.compress(rows("b")),
    "data/a.parquet": parquet("a", "a2"),
    "data/c.jsonl.zst": zstd.compress(rows("c")),
    "data/deep/d.txt": b"d\n",
    "data/deep/.e.txt": b"hidden\n",
    "data-2/\u00e9 [1].txt": "\u00e9\n".encode(),
}
EVERYTHING = ["\u00e9", "a", "a2", "b", "c", "d", "z"]


PLACES = [
    ("", EVERYTHING),
    ("/", EVERYTHING),
    ("/data", ["a", "a2", "b", "c", "d"]),
    ("/data/", ["a", "a2", "b", "c", "d"]),
    ("/data/*", ["a", "a2", "b", "c"]),
    ("/data/**", ["a", "a2", "b", "c", "d"]),
    ("/data/**/*.txt", ["d"]),
    ("/**/*.txt", ["\u00e9", "d", "z"]),
    ("/*/[ab].*", ["a", "a2", "b"]),
    ("/data/deep/.*", ["hidden"]),
    ("/data/c.jsonl.zst", ["c"]),
    ("/data-2/\u00e9 [1].txt", ["\u00e9"]),
]


def test_a_place_stands_for_files_in_the_byte_order_of_their_paths(hub: Hub, home: Path) -> None:
    words = hub.add("dataset", "owner/words", FILES)
    start = "hf://datasets/owner/words"
    found = read(hub, home, *(f"{start}{path}" for path, _ in PLACES))
    for (names, records), (_, expected) in zip(found, PLACES, strict=True):
        assert records == expected
        assert all(name.startswith(f"{start}@{words.names['main']}/") for name in names)


def test_only_the_folder_is_listed(hub: Hub, home: Path) -> None:
    many = {f"other/{number}.txt": b"no\n" for number in range(60)}
    hub.add("dataset", "owner/words", FILES | many)
    read(hub, home, "hf://datasets/owner/words/data/*.txt.*", "hf://datasets/owner/words/z.txt")
    listings = [one.path for one in hub.asked if "/tree/" in one.path]
    assert len(listings) == 2
    assert all(path.endswith("/data") for path in listings)


def test_a_revision_is_a_branch_a_tag_or_a_commit(hub: Hub, home: Path) -> None:
    words = hub.add("dataset", "owner/words", {"a.txt": b"first\n"})
    first = words.names["main"]
    words.commit({"a.txt": b"second\n"})
    words.commit({"a.txt": b"third\n"}, "feature/x")
    words.commit({"a.parquet": parquet("fourth")}, "refs/convert/parquet")
    words.names["v1"] = first
    start = "hf://datasets/owner/words"
    found = read(
        hub, home, start, f"{start}@{first}", f"{start}@v1/a.txt", f"{start}@feature%2Fx",
        f"{start}@refs/convert/parquet/a.parquet",
    )  # fmt: skip
    assert [records for _, records in found] == [
        ["second"], ["first"], ["first"], ["third"], ["fourth"]
    ]  # fmt: skip


def test_a_limit_leaves_files_where_they_are_and_a_second_reading_is_from_the_cache(
    hub: Hub, home: Path
) -> None:
    files = {f"{number}.txt": b"one\ntwo %d\n" % number for number in range(4)}
    hub.add("dataset", "owner/words", files)
    place = "hf://datasets/owner/words"
    limited = (place, {"limit": 3})
    assert [len(found[1]) for found in read(hub, home, limited, limited)] == [3, 3]
    assert hub.sent() == {"0.txt": 10, "1.txt": 10}
    assert len(read(hub, home, place)[0][1]) == 8
    assert hub.sent() == dict.fromkeys(files, 10)


def test_a_change_on_the_hub_does_not_reach_a_text_that_is_open(hub: Hub, home: Path) -> None:
    words = hub.add("dataset", "owner/words", {"a.txt": b"old\n"})
    code = (
        "import sys; from bridgex.texts import open_text\n"
        "source = open_text('hf://datasets/owner/words')\n"
        "print('open', flush=True); input(); print(*source, *source)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"HF_ENDPOINT": hub.url, "HF_HOME": str(home)},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        words.commit({"a.txt": b"new\n"})
        out, _ = process.communicate("\n")
    assert out == "old old\n"


def test_a_transfer_that_breaks_off_is_taken_up_again(hub: Hub, home: Path) -> None:
    content = b"".join(b"line %d\n" % number for number in range(5000))
    hub.add("dataset", "owner/words", {"a.txt": content})
    hub.cuts["a.txt"] = [10, 20_000]
    ((_, records),) = read(hub, home, "hf://datasets/owner/words")
    assert hub.cuts["a.txt"] == []
    assert "\n".join([*records, ""]).encode() == content


def test_a_transfer_that_stays_broken_is_refused_and_not_taken_for_the_end(
    hub: Hub, home: Path
) -> None:
    hub.add("dataset", "owner/words", {"a.txt": b"one\n" * 2000})
    hub.cuts["a.txt"] = [4000] * 20
    place = "hf://datasets/owner/words"
    ((kind, message),) = read(hub, home, place)
    assert kind == "NotFoundError"
    assert "the Hub cannot be reached for a.txt of the dataset owner/words: " in message
    assert "give the same command again" in message
    hub.cuts.clear()
    assert len(read(hub, home, place)[0][1]) == 2000


def test_a_stream_has_the_records_of_the_file_that_is_fetched(hub: Hub, home: Path) -> None:
    texts = [[f"{name} {number} \u00e9" * 9 for number in range(500)] for name in "abcde"]
    halves = [gzip.compress(rows(*half)) for half in (texts[1][:77], texts[1][77:])]
    files = {
        "a.txt": "\n".join(texts[0]).encode(),
        "b.jsonl.gz": b"".join(halves),
        "c.jsonl.zst": zstd.compress(rows(*texts[2])),
        "d.csv": "\n".join(["text", *texts[3]]).encode(),
        "e.parquet": parquet(*texts[4]),
    }
    hub.add("dataset", "owner/words", files)
    place = "hf://datasets/owner/words"
    first, second = read(hub, home, place, place, **STREAMED)
    assert first[1] == second[1] == [*chain(*texts)]
    # Parquet is read from its end: it is fetched, and kept.
    often = {path: 1 if path.endswith("parquet") else 2 for path in files}
    assert hub.sent() == {path: often[path] * len(content) for path, content in files.items()}
    assert [one.name for one in home.rglob("snapshots/*/*")] == ["e.parquet"]
    assert read(hub, home, place)[0] == first


def test_of_a_large_file_a_limit_takes_the_beginning(hub: Hub, home: Path) -> None:
    lines = rows(*(f"sentence {number}" for number in range(1000)))
    content = lines * ((72 << 20) // len(lines))
    files = {"a.jsonl": content, "b.jsonl.gz": gzip.compress(content, 0)}
    hub.add("dataset", "owner/words", files)
    places = [(f"hf://datasets/owner/words/{path}", {"limit": 1000}) for path in files]
    for _, records in read(hub, home, *places):
        assert records == [f"sentence {number}" for number in range(1000)]
    assert hub.sent() == dict.fromkeys(files, 8 << 20)
    assert not list(home.rglob("snapshots"))


def test_a_file_that_was_fetched_is_not_streamed(hub: Hub, home: Path) -> None:
    hub.add("dataset", "owner/words", {"a.txt": b"one\n" * 2000})
    place = "hf://datasets/owner/words"
    assert read(hub, home, place) == read(hub, home, place, **STREAMED)
    assert hub.sent() == {"a.txt": 8000}


def test_a_stream_that_breaks_off_is_taken_up_again(hub: Hub, home: Path) -> None:
    content = b"".join(b"line %d\n" % number for number in range(5000))
    hub.add("dataset", "owner/words", {"a.txt.gz": gzip.compress(content)})
    hub.cuts["a.txt.gz"] = [1000, 10, 999, 0]
    ((_, records),) = read(hub, home, "hf://datasets/owner/words", **STREAMED)
    assert hub.cuts["a.txt.gz"] == []
    assert "\n".join([*records, ""]).encode() == content


def test_a_stream_that_stays_broken_is_refused_and_not_taken_for_the_end(
    hub: Hub, home: Path
) -> None:
    hub.add("dataset", "owner/words", {"a.txt": b"one\n" * 2000})
    hub.cuts["a.txt"] = [1000, 1000] + [900] * 20
    ((kind, message),) = read(hub, home, "hf://datasets/owner/words", **STREAMED)
    assert kind == "NotFoundError"
    assert "the Hub cannot be reached for a.txt of the dataset owner/words: " in message


def test_a_hub_that_sends_other_bytes_than_were_asked_for_is_refused(hub: Hub, home: Path) -> None:
    hub.add("dataset", "owner/words", {"a b.txt": b"one\n" * 2000})
    hub.ranges = False
    place = "hf://datasets/owner/words"
    ((kind, message),) = read(hub, home, place, **STREAMED)
    assert kind == "NotFoundError"
    assert "expected bytes 0 to 1,000 of a b.txt of the dataset owner/words, but the" in message
    assert "sent 8,000 bytes with status 200" in message
    assert "hf download owner/words 'a b.txt' --repo-type dataset --revision " in message
    assert len(read(hub, home, place)[0][1]) == 2000


def test_a_file_that_is_cut_off_on_the_hub_is_told_from_a_transfer_that_is(
    hub: Hub, home: Path
) -> None:
    content = gzip.compress(b"".join(b"line %d\n" % number for number in range(5000)))
    words = {"a.txt.gz": content[:-9], "b.txt.gz": content[:5000] + b"no" + content[5002:]}
    hub.add("dataset", "owner/words", words)
    start = "hf://datasets/owner/words"
    found = read(hub, home, f"{start}/a.txt.gz", f"{start}/b.txt.gz", **STREAMED)
    assert [kind for kind, _ in found] == ["InvalidInputError"] * 2
    assert "a.txt.gz ends before its gzip data does" in found[0][1]
    assert "b.txt.gz does not hold gzip data throughout" in found[1][1]


REFUSED = [
    ("nobody/nothing", "the dataset nobody/nothing is not on the Hub, or it is private"),
    ("owner/words@v9", "the dataset owner/words at revision v9 is not on the Hub: there is no"),
    ("owner/words/no.txt", "the dataset owner/words on the Hub has no file 'no.txt'"),
    ("owner/words/no/*.txt", "the dataset owner/words on the Hub has no file 'no/*.txt'"),
    ("owner/words/README.md", "in files that end in .txt"),
    ("owner/gated", "a.txt of the dataset owner/gated needs permission on the Hub"),
    ("owner/-words", "the dataset owner/-words cannot be on the Hub"),
    ("owner", "expected hf://datasets/OWNER/NAME"),
]


def test_what_the_hub_does_not_give_is_said(hub: Hub, home: Path) -> None:
    hub.add("dataset", "owner/words", FILES)
    hub.add("dataset", "owner/gated", {"a.txt": b"one\n"}).gated = True
    found = read(hub, home, *(f"hf://datasets/{place}" for place, _ in REFUSED))
    for (kind, message), (_, expected) in zip(found, REFUSED, strict=True):
        assert kind in ("NotFoundError", "InvalidInputError")
        assert expected in message
        assert "\n" in message or kind == "InvalidInputError", "there is a hint"


def test_a_hub_in_trouble_and_no_hub_are_told_apart(hub: Hub, home: Path) -> None:
    hub.add("dataset", "owner/words", FILES)
    place = "hf://datasets/owner/words/z.txt"
    hub.failing = 500
    ((_, message),) = read(hub, home, place)
    assert "the Hub refused z.txt of the dataset owner/words: " in message
    assert "500" in message
    ((_, message),) = read(hub, home, place, HF_ENDPOINT="http://127.0.0.1:9")
    assert message.startswith("the Hub cannot be reached for the dataset owner/words: ")
    ((_, message),) = read(hub, home, place, HF_HUB_OFFLINE="1")
    assert "HF_HUB_OFFLINE forbids to fetch it" in message


def test_a_cache_that_cannot_be_written_is_named(hub: Hub, home: Path) -> None:
    hub.add("dataset", "owner/words", FILES)
    home.mkdir()
    (home / "hub").write_text("a file where a directory should be")
    ((_, message),) = read(hub, home, "hf://datasets/owner/words/z.txt")
    assert "z.txt of the dataset owner/words could not be fetched from the Hub: " in message
    assert "HF_HOME" in message
