"""Compaction and merging hold one array at a time, however many parts and layers there are."""

from __future__ import annotations

import tracemalloc
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.dying_folder import scratch

from bridgex.corpora import split_parts, split_words
from bridgex.schema import NeuronStatistics, Pair, ProbeBlock, WordPair
from bridgex.store import Codec, Store, compact, merge
from bridgex.testing import synthetic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LAYERS, NEURONS, BLOCK, PARTS = 12, 2_000, 16, 17
SAMPLES = BLOCK * (PARTS - 1)
LAYER_BYTES = 4 * NEURONS * SAMPLES
STATISTIC_BYTES = 8 * LAYERS * NEURONS
SLACK = 2**21
"""For markers, words and the interpreter's own."""


@pytest.fixture
def store() -> Iterator[Store]:
    """Many parts of statistics and of probes that compress, but for the words' digests."""
    provenance = synthetic.provenance(layer_sizes=(NEURONS,) * LAYERS)
    generator = np.random.default_rng(0)
    values = np.maximum(generator.standard_normal((NEURONS, BLOCK), dtype=np.float32), 0)
    with scratch() as name:
        made = Store.create(Path(name, "store"), provenance, part_bytes=10, probe_block=BLOCK)
        zeros = NeuronStatistics.zeros(LAYERS * NEURONS)
        for part in split_parts([f"{n:010}" for n in range(60)], language="sw", part_bytes=10):
            made.add_statistics(
                part, NeuronStatistics(**{**vars(zeros), "record_count": len(part.records)})
            )
        words = [WordPair(f"kata {number}", ("x",)) for number in range(BLOCK * PARTS)]
        for block in split_words(words, pair=Pair("id", "tl"), block=BLOCK):
            made.add_probes(block, ProbeBlock(block.records, (values,) * LAYERS, BLOCK), "off")
        yield made


def peak(work: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_compaction_holds_four_arrays(store: Store) -> None:
    """Of many raw parts, and then of one that is compressed."""
    bound = 4 * LAYER_BYTES + SLACK
    assert bound < LAYERS * LAYER_BYTES / 2
    codecs: list[Codec] = ["none", "zstd", "none"]
    for codec in codecs:
        assert peak(partial(compact, store, codec=codec)) <= bound
        assert store.snapshot().markers("commits/probes/id-tl")[0].counted == SAMPLES


def test_compaction_of_statistics_holds_four_of_them(store: Store) -> None:
    found = peak(lambda: compact(store, codec="zstd", languages=["sw"]))
    assert found <= 4 * STATISTIC_BYTES + SLACK < 60 * STATISTIC_BYTES / 2


def test_merging_holds_two_files(store: Store) -> None:
    compact(store)
    target = store.path.with_name("merged")
    assert peak(lambda: merge([store], target)) <= 2 * LAYER_BYTES + SLACK
    assert Store.open(target).info().probes[0].samples == SAMPLES + BLOCK
