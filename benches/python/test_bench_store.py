"""Probe activations written to a disk and read back, beside what else keeps arrays there.

Everything is read from the file cache. Nobody waits for the disk, but where a bench says
``flushed``: there a commit does what it always does, and the memory map is flushed.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from benches.python.storage import RIVALS, Rival, write_flushed_memmap
from benches.python.workload import FULL, LAYERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from benches.python.storage import Layers, Rows
    from pytest_benchmark.fixture import BenchmarkFixture

NEURONS, SAMPLES, ROWS = (14_336, 128, 140) if FULL else (256, 16, 5)
DTYPE = np.float32
ROUNDS = 5 if FULL else 1
ALL = {"shape": (LAYERS, NEURONS, SAMPLES), "itemsize": np.dtype(DTYPE).itemsize}
EACH = pytest.mark.parametrize("who", RIVALS)


@pytest.fixture(scope="module")
def layers() -> Layers:
    rng = np.random.default_rng(0)
    return [
        rng.standard_normal((NEURONS, SAMPLES), dtype=np.float32).astype(DTYPE)
        for _ in range(LAYERS)
    ]


@pytest.fixture(scope="module")
def scattered() -> list[Rows]:
    """Indices of rows, sorted, for every layer."""
    rng = np.random.default_rng(1)
    return [np.sort(rng.choice(NEURONS, ROWS, replace=False)) for _ in range(LAYERS)]


@pytest.fixture(scope="module")
def written(
    layers: Layers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Path]]:
    """Return where a rival has written the layers, once."""
    root = tmp_path_factory.mktemp("written")

    def path(who: str) -> Path:
        if not (root / who).exists():
            (root / who).mkdir()
            RIVALS[who].write(root / who, layers)
        return root / who

    yield path
    shutil.rmtree(root)


@pytest.fixture
def time_writing(
    layers: Layers, tmp_path: Path, benchmark: BenchmarkFixture
) -> Callable[[Rival], None]:
    """Time the writing of all layers to a place where nothing is, and read them back."""

    def call(rival: Rival) -> None:
        def empty_place() -> tuple[tuple[Path, Layers], dict[str, Any]]:
            shutil.rmtree(tmp_path / "place", ignore_errors=True)
            (tmp_path / "place").mkdir()
            if FULL:
                # What earlier calls left for the disk is not this one's to wait for.
                os.sync()
            return (tmp_path / "place", layers), {}

        pedantic: Any = benchmark.pedantic  # pytest-benchmark has no types for it
        pedantic(rival.write, setup=empty_place, rounds=ROUNDS)
        whole, _ = rival.open(tmp_path / "place")
        for index, layer in enumerate(layers):
            np.testing.assert_array_equal(whole(index), layer)
        shutil.rmtree(tmp_path / "place")

    return call


@EACH
def test_write(
    who: str,
    time_writing: Callable[[Rival], None],
    record: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    time_writing(RIVALS[who])
    record("store, write", who, **ALL)


@pytest.mark.parametrize("who", ["bridgex", "np.memmap"])
def test_write_flushed(
    who: str, time_writing: Callable[[Rival], None], record: Callable[..., None]
) -> None:
    writes = {"bridgex": RIVALS[who].write, "np.memmap": write_flushed_memmap}
    time_writing(RIVALS[who]._replace(write=writes[who]))
    record("store, write flushed", who, **ALL)


@EACH
def test_layers(
    who: str,
    layers: Layers,
    written: Callable[[str], Path],
    timed: Callable[..., Any],
    record: Callable[..., None],
) -> None:
    whole, _ = RIVALS[who].open(written(who))

    def read() -> None:
        for index in range(LAYERS):
            whole(index)

    timed(read, rounds=ROUNDS, warm_up=True)
    record("store, layers", who, **ALL)
    for index, layer in enumerate(layers):
        np.testing.assert_array_equal(whole(index), layer)


@EACH
def test_rows(
    who: str,
    layers: Layers,
    scattered: list[Rows],
    written: Callable[[str], Path],
    timed: Callable[..., Any],
    record: Callable[..., None],
) -> None:
    _, rows = RIVALS[who].open(written(who))

    def read() -> Layers:
        return [rows(index, chosen) for index, chosen in enumerate(scattered)]

    found = timed(read, rounds=2 * ROUNDS, warm_up=True)
    record("store, rows", who, **ALL | {"shape": (LAYERS, ROWS, SAMPLES)})
    for layer, chosen, values in zip(layers, scattered, found, strict=True):
        np.testing.assert_array_equal(values, layer[chosen])
