"""Overlaps of all pairs of sets, beside what else computes them.

Tiny by default, so that it can run with the tests; ``BRIDGEX_BENCH=full`` takes 200 languages and
80 layers of 28,672 neurons. A set holds 1 % of the neurons, 70 % of them from a pool that all
share, which has 2 % of the neurons: the sets of ``benches/rust/overlap.rs``. Everything runs on
one thread. What takes minutes is run on few sets or neurons, and ``pairs`` and ``neurons`` say on
how many: the time of all is proportional to their product.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture

from bridgex.analysis import overlap_counts, pack, unpack

FULL = os.environ.get("BRIDGEX_BENCH") == "full"
LAYERS, WIDTH, LANGUAGES = (80, 28_672, 200) if FULL else (2, 640, 6)
NEURONS = LAYERS * WIDTH
SUBSET = 20 if FULL else 3
"""Sets of the rivals that are too slow for all."""
BLOCK = 1024 if FULL else 4
"""Words at a time of the rivals that work in blocks."""

Counts = NDArray[Any]


@dataclass(frozen=True)
class Sets:
    """The same sets as bitsets and as sorted members, and what their overlaps are."""

    bitsets: NDArray[np.uint64]
    members: list[NDArray[np.int64]]
    counts: NDArray[np.uint64]


@pytest.fixture(scope="module")
def sets() -> Sets:
    rng = np.random.default_rng(0)
    size = NEURONS // 100
    pool = rng.choice(NEURONS, 2 * size, replace=False)

    def members_of_one() -> NDArray[np.int64]:
        shared = rng.choice(pool, size * 7 // 10, replace=False)
        others = rng.choice(NEURONS, size, replace=False)
        return np.append(shared, others[~np.isin(others, shared)])[:size]

    bitsets = np.array([pack(members_of_one(), NEURONS) for _ in range(LANGUAGES)])
    members = [unpack(one, NEURONS) for one in bitsets]
    return Sets(bitsets, members, overlap_counts(bitsets))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def check(
    benchmark: BenchmarkFixture, sets: Sets, counts: Counts, languages: int = LANGUAGES
) -> None:
    """Assert the upper triangle of the counts, and note how much was counted."""
    benchmark.extra_info.update(pairs=languages * (languages + 1) // 2, neurons=NEURONS)
    expected = sets.counts[:languages, :languages]
    np.testing.assert_array_equal(np.triu(counts), np.triu(expected))


def by_pair(languages: int, shared: Callable[[int, int], int]) -> NDArray[np.int64]:
    counts = np.zeros((languages, languages), dtype=np.int64)
    for one, other in combinations_with_replacement(range(languages), 2):
        counts[one, other] = shared(one, other)
    return counts


def test_bridgex(benchmark: BenchmarkFixture, sets: Sets) -> None:
    check(benchmark, sets, benchmark(overlap_counts, sets.bitsets, threads=1))


def test_bridgex_by_layer(benchmark: BenchmarkFixture, sets: Sets) -> None:
    offsets = np.arange(0, NEURONS + 1, WIDTH)
    counts = benchmark(overlap_counts, sets.bitsets, offsets, threads=1)
    assert counts.shape == (LAYERS, LANGUAGES, LANGUAGES)
    check(benchmark, sets, counts.sum(axis=0))


def test_numpy_bitwise_count_in_blocks(benchmark: BenchmarkFixture, sets: Sets) -> None:
    def count() -> Counts:
        counts = np.zeros((LANGUAGES, LANGUAGES), dtype=np.int64)
        for start in range(0, sets.bitsets.shape[1], BLOCK):
            block = np.ascontiguousarray(sets.bitsets[:, start : start + BLOCK])
            for row, one in enumerate(block):
                ones = np.bitwise_count(one & block[row:])
                counts[row, row:] += ones.sum(axis=1, dtype=np.uint32)
        return counts

    check(benchmark, sets, benchmark(count))


def test_numpy_bitwise_count_by_row(benchmark: BenchmarkFixture, sets: Sets) -> None:
    def shared(one: int, other: int) -> int:
        return int(np.bitwise_count(sets.bitsets[one] & sets.bitsets[other]).sum(dtype=np.uint32))

    check(benchmark, sets, benchmark(by_pair, LANGUAGES, shared))


def test_scipy_sparse_product(benchmark: BenchmarkFixture, sets: Sets) -> None:
    sparse = pytest.importorskip("scipy.sparse")
    ends = np.cumsum([0, *(one.size for one in sets.members)])
    columns = np.concatenate(sets.members)
    ones = np.ones(columns.size, dtype=np.int32)
    matrix = sparse.csr_array((ones, columns, ends), shape=(LANGUAGES, NEURONS))
    counts = benchmark(lambda: matrix @ matrix.T)
    check(benchmark, sets, counts.toarray())


def test_pyroaring_intersection_cardinality(benchmark: BenchmarkFixture, sets: Sets) -> None:
    pyroaring = pytest.importorskip("pyroaring")
    bitmaps = [pyroaring.BitMap(one.tolist()) for one in sets.members]
    for bitmap in bitmaps:
        bitmap.run_optimize()

    def shared(one: int, other: int) -> int:
        return int(bitmaps[one].intersection_cardinality(bitmaps[other]))

    check(benchmark, sets, benchmark(by_pair, LANGUAGES, shared))


def test_numkong_dots_of_bits(benchmark: BenchmarkFixture, sets: Sets) -> None:
    numkong = pytest.importorskip("numkong")
    octets = sets.bitsets.view(np.uint8)
    counts = benchmark(lambda: np.asarray(numkong.dots_symmetric(octets, dtype="uint1")))
    check(benchmark, sets, counts)


def test_python_sets_on_a_subset(benchmark: BenchmarkFixture, sets: Sets) -> None:
    plain = [set(one.tolist()) for one in sets.members[:SUBSET]]
    counts = benchmark(by_pair, SUBSET, lambda one, other: len(plain[one] & plain[other]))
    check(benchmark, sets, counts, SUBSET)


def test_torch_product_of_floats_on_a_layer(benchmark: BenchmarkFixture, sets: Sets) -> None:
    """The matrix of zeros and ones times itself; made from bits beforehand, at no cost."""
    bits = np.unpackbits(sets.bitsets[:, : WIDTH // 64].view(np.uint8), axis=1, bitorder="little")
    matrix = torch.from_numpy(bits.astype(np.float32))
    counts = benchmark(lambda: matrix @ matrix.T)
    benchmark.extra_info.update(pairs=LANGUAGES * (LANGUAGES + 1) // 2, neurons=WIDTH)
    layer = overlap_counts(sets.bitsets, [0, WIDTH])[0]
    np.testing.assert_array_equal(counts.numpy().astype(np.uint64), layer)
