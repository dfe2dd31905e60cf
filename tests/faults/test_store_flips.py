"""One flipped bit in every file of a store in turn: found, named, and never part of an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bridgex.corpora import split_parts, split_words
from bridgex.errors import StoreError
from bridgex.schema import Pair, WordPair
from bridgex.store import Store, collect_garbage, compact, verify
from bridgex.testing import synthetic

if TYPE_CHECKING:
    from pathlib import Path

PAIR = Pair("id", "tl")


@pytest.fixture(scope="module", params=["none", pytest.param("zstd", marks=pytest.mark.long)])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a store with two parts of statistics and two of probes, compressed or not."""
    path = tmp_path_factory.mktemp("flips") / "store"
    store = Store.create(path, synthetic.provenance(), part_bytes=25, probe_block=3)
    for part in split_parts([f"rekodi {n}" for n in range(4)], language="sw", part_bytes=25):
        store.add_statistics(part, synthetic.statistics(part.records))
    words = [WordPair(f"kata {n}", ("salita",)) for n in range(4)]
    for block in split_words(words, pair=PAIR, block=3):
        store.add_probes(block, synthetic.probes(block, "off"), "off")
    if request.param != "none":
        compact(store, codec=request.param)
        collect_garbage(store, older_than=0)
    return path


def statistics(place: Path) -> list[Any]:
    return list(vars(Store.open(place).snapshot().statistics("sw")).values())


def check_flips(place: Path, positions: int, seed: int) -> int:
    """Flip one bit at some positions of every file; return how many flips that were."""
    generator = np.random.default_rng(seed)
    whole = statistics(place)
    flips = 0
    for path in sorted(path for path in place.rglob("*") if path.is_file()):
        content = path.read_bytes()
        inside = generator.integers(len(content), size=positions)
        for position in {0, len(content) - 1, *inside.tolist()}:
            changed = bytearray(content)
            changed[position] ^= 1 << int(generator.integers(8))
            path.write_bytes(changed)
            found = {finding.path for finding in verify(place).findings}
            assert found == {str(path)}, (path, position)
            check_answer(place, path, whole)
            flips += 1
        path.write_bytes(content)
    assert verify(place).findings == ()
    return flips


def check_answer(place: Path, path: Path, whole: list[Any]) -> None:
    """Check that statistics are right, or refused with the file or the array named."""
    refusal, answer = None, whole
    try:
        answer = statistics(place)
    except StoreError as error:
        refusal = error
    for found, expected in zip(answer, whole, strict=True):
        np.testing.assert_array_equal(found, expected)
    if refusal:
        assert str(path) in refusal.message or str(path.parent) in refusal.message
        assert refusal.hint is not None


def test_a_flipped_bit_in_any_file(place: Path) -> None:
    assert check_flips(place, 1, seed=1) > 100


@pytest.mark.long
def test_many_flipped_bits_in_any_file(place: Path) -> None:
    assert check_flips(place, 40, seed=2) > 1000
