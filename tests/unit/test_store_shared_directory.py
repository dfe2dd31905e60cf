"""Two pairs whose markers share a directory, a to b-c and a-b to c: each has its own probes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bridgex.corpora import split_words
from bridgex.errors import NotFoundError
from bridgex.schema import Pair, WordPair
from bridgex.store import Store, compact, merge, verify
from bridgex.testing import synthetic

if TYPE_CHECKING:
    from pathlib import Path

FIRST, SECOND = Pair("a", "b-c"), Pair("a-b", "c")
SIZES = {FIRST: 7, SECOND: 11}


def probe(store: Store, pair: Pair) -> None:
    words = [WordPair(f"kata {number}", ("salita",)) for number in range(SIZES[pair])]
    for block in split_words(words, pair=pair, block=3):
        assert store.add_probes(block, synthetic.probes(block, "off"), "off")


def alone(path: Path, pair: Pair) -> Store:
    store = Store.create(path, synthetic.provenance(), part_bytes=25, probe_block=3)
    probe(store, pair)
    return store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    created = alone(tmp_path / "store", FIRST)
    probe(created, SECOND)
    (shared,) = (created.path / "commits/probes").iterdir()
    assert shared.name == "a-b-c"
    return created


def check_probes(store: Store, tmp_path: Path) -> None:
    assert store.snapshot().pairs == (FIRST, SECOND)
    for pair, size in SIZES.items():
        expected = alone(tmp_path / f"{pair.source} alone", pair).snapshot().probes(pair)
        probes = store.snapshot().probes(pair)
        assert (probes.pair, probes.considered, probes.words) == (pair, size, expected.words)
        assert probes.layer(1).tobytes() == expected.layer(1).tobytes()


def test_each_pair_has_its_own_probes(store: Store, tmp_path: Path) -> None:
    check_probes(store, tmp_path)
    infos = {info.pair: info for info in store.info().probes}
    assert len(store.info().probes) == 2
    assert {pair: info.considered for pair, info in infos.items()} == SIZES
    assert {pair: info.parts for pair, info in infos.items()} == {FIRST: 3, SECOND: 4}


def test_each_pair_is_compacted_once(store: Store, tmp_path: Path) -> None:
    rows = compact(store)
    assert [(row.series, row.parts_before, row.parts_after) for row in rows] == [
        ((*FIRST, "off"), 3, 2),
        ((*SECOND, "off"), 4, 2),
    ]
    check_probes(store, tmp_path)
    assert verify(store.path).findings == ()


def test_one_of_them_is_compacted(store: Store, tmp_path: Path) -> None:
    (row,) = compact(store, pairs=[SECOND])
    assert row.series == (*SECOND, "off")
    assert {info.pair: info.parts for info in store.info().probes} == {FIRST: 3, SECOND: 2}
    check_probes(store, tmp_path)


def test_both_are_merged(store: Store, tmp_path: Path) -> None:
    compact(store, pairs=[FIRST])
    merge([store], tmp_path / "merged")
    check_probes(Store.open(tmp_path / "merged"), tmp_path)


def test_the_other_one_is_not_there(tmp_path: Path) -> None:
    store = alone(tmp_path / "store", FIRST)
    with pytest.raises(NotFoundError, match="no probes of a-b-c"):
        store.snapshot().probes(SECOND)
    with pytest.raises(NotFoundError, match="nothing of a-b-c to compact"):
        compact(store, pairs=[SECOND])
