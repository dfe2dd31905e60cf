"""Ingestion holds one part at a time: a large corpus takes no more memory than a small one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.dying_folder import scratch

from bridgex.corpora import split_parts
from bridgex.schema import NeuronStatistics
from bridgex.store import Coverage, Store
from bridgex.testing import synthetic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bridgex.corpora import CorpusPart

ROOT = Path(__file__).parents[2]
SMALL, LARGE = 6, 120
"""Parts of two corpora."""
STATISTICS_BYTES = 28 * 3 * 16_384
"""Of the model: four numbers of every neuron."""
SLACK = 16 * 2**20
"""What allocators keep is not the same in every run."""
ALLOCATOR = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "131072"}
"""Let glibc give back every large array as soon as it is freed."""

PROGRAM = """
import json, sys
from pathlib import Path
import torch
from bridgex.capture import load_model
from bridgex.engines.local import ingest_corpus
from bridgex.progress import Silent
from bridgex.store import Store

def highest():
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024

model_path, store_path, *corpora = sys.argv[1:]
torch.set_num_threads(1)
model = load_model(model_path, device="cpu")
store = Store.create(store_path, model.provenance, part_bytes=64)
found = []
for path in corpora:
    done = ingest_corpus(model, store, Path(path), language=Path(path).stem, reporter=Silent())
    found.append([done.added, highest()])
print(json.dumps(found))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux, which tells a process's peak")
def test_a_model_takes_no_more_for_twenty_times_the_text(
    model_directory: Callable[..., Path], tmp_path: Path
) -> None:
    model = model_directory("llama", intermediate_size=16_384)
    texts = []
    for language, parts in (("en", SMALL), ("id", SMALL), ("tl", LARGE)):
        texts.append(tmp_path / f"{language}.txt")
        texts[-1].write_text("".join(f"{number:060}\n" for number in range(parts)), "utf-8")
    with scratch() as place:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, model, Path(place, "store"), *texts],
            cwd=ROOT,
            env=os.environ | {"OMP_NUM_THREADS": "1"} | ALLOCATOR,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    # The first one is for what is loaded when it is used first.
    _, (small, before), (large, after) = json.loads(done.stdout)
    assert (small, large) == (SMALL, LARGE)
    assert after - before <= SLACK < (LARGE - SMALL) * STATISTICS_BYTES / 8


# Of the text alone, and of what is known of the parts


def parts_of(count: int, size: int) -> Iterator[CorpusPart]:
    return split_parts((f"{number:0{size}}" for number in range(count)), language="sw")


def ingest(path: Path, count: int, size: int) -> Store:
    store = Store.create(path, synthetic.provenance())
    statistics = replace(NeuronStatistics.zeros(12), record_count=1)
    for part in store.missing_parts(parts_of(count, size)):
        store.add_statistics(part, statistics)
    return store


def opened_and_compared(path: Path, count: int, size: int) -> Store:
    store = Store.open(path)
    store.coverage(parts_of(count, size))
    return store


def traced(work: Callable[[], object]) -> tuple[int, int]:
    """Return the bytes that are held after some work, and its peak."""
    tracemalloc.start()
    try:
        _held = work()
        return tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()


def test_a_text_is_held_one_part_at_a_time() -> None:
    size = 150_000
    with scratch() as place:
        small, large = (
            traced(partial(ingest, Path(place, str(count)), count, size))[1] for count in (3, 60)
        )
    assert large - small <= 2**21 < 57 * size / 4


def test_little_is_kept_of_a_part() -> None:
    """Whatever it holds, and however many files it has."""
    with scratch() as place:
        path = ingest(Path(place, "store"), 150, 150_000).path
        # The first time, the interpreter's own tables grow.
        kept = [traced(partial(opened_and_compared, path, 150, 150_000))[0] for _ in range(3)]
        found = Store.open(path).coverage(parts_of(150, 150_000))
    assert found == Coverage(150, 0, 150, 0)
    assert min(kept) <= 150 * 2_000
