"""What ``info`` says of parts that are missing, compacted, or do not count."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bridgex.corpora import split_parts, split_words
from bridgex.schema import Pair, WordPair
from bridgex.store import GarbageInfo, Store, collect_garbage, compact
from bridgex.testing import synthetic

if TYPE_CHECKING:
    from collections.abc import Iterable

PAIR = Pair("id", "tl")


def ingest(store: Store, parts: Iterable[int]) -> None:
    split = list(split_parts([f"rekodi ya {n}" for n in range(7)], language="sw", part_bytes=25))
    for index in parts:
        store.add_statistics(split[index], synthetic.statistics(split[index].records))


def probe(store: Store, blocks: Iterable[int], *, words: int = 17) -> None:
    split = split_words([WordPair(f"kata {n}", ("x",)) for n in range(words)], pair=PAIR, block=3)
    for index, block in enumerate(split):
        if index in blocks:
            store.add_probes(block, synthetic.probes(block, "off"), "off")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.create(tmp_path / "store", synthetic.provenance(), part_bytes=25, probe_block=3)


@pytest.mark.parametrize(
    ("blocks", "records", "parts"),
    [((0, 1), 0, 0), ((5,), 15, 5), ((0, 2, 5), 9, 3), ((0, 1, 2, 3, 4, 5), 0, 0)],
)
def test_missing_parts_of_a_word_list(
    store: Store, blocks: tuple[int, ...], records: int, parts: int
) -> None:
    probe(store, blocks)
    (info,) = store.info().probes
    assert (info.missing_records, info.missing_parts) == (records, parts)


def test_a_short_part_before_a_gap_is_one_of_the_missing_ones(store: Store) -> None:
    probe(store, [0, 1], words=4)
    probe(store, [4])
    (info,) = store.info().probes
    assert (info.missing_records, info.missing_parts) == (8, 3)


def test_how_many_parts_of_a_text_are_missing_depends_on_the_text(store: Store) -> None:
    ingest(store, [0, 3])
    (info,) = store.info().languages
    assert (info.missing_records, info.missing_parts) == (4, None)
    ingest(store, [1, 2])
    (info,) = store.info().languages
    assert (info.missing_records, info.missing_parts) == (0, 0)


def test_compacted_parts(store: Store) -> None:
    ingest(store, range(4))
    probe(store, range(6))
    compact(store, codec="zstd", keep_bits=8)
    info = store.info()
    assert [(one.parts, one.ingested_parts) for one in info.languages] == [(2, 4)]
    assert [(one.parts, one.ingested_parts) for one in info.probes] == [(2, 6)]
    assert info.languages[0].codecs == ("zstd",)
    assert info.probes[0].codecs == ("zstd of 8 bits",)


def test_what_does_not_count(store: Store) -> None:
    ingest(store, range(4))
    assert all(one.count == one.bytes == 0 for one in store.info().garbage)
    compact(store)
    whole = min((Path(store.path) / "parts").iterdir())
    attempt = shutil.copytree(whole, whole.with_suffix(f".{'0' * 16}"))
    temporary = Path(store.path) / "commits/statistics/sw/.bridgex-0.tmp"
    temporary.write_text("half")
    size = sum(path.stat().st_size for path in attempt.rglob("*") if path.is_file())
    superseded, uncommitted, temporaries = store.info().garbage
    assert (superseded.kind, superseded.count, superseded.old_bytes) == ("superseded", 3, 0)
    assert uncommitted == GarbageInfo("uncommitted", 1, size, 0)
    assert temporaries == GarbageInfo("temporary", 1, 4, 0)
    collect_garbage(store, older_than=0)
    assert all(one.count == one.bytes == 0 for one in store.info().garbage)
