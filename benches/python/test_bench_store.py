"""Probe activations written to a disk and read back, beside what else keeps arrays there.

Everything is read from the file cache. Nobody waits for the disk, but where a bench says
``flushed``: there a commit does what it always does, and the memory map is flushed.
"""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
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

NEURONS, ROWS = (14_336, 140) if FULL else (256, 5)
# As many bytes for both.
SAMPLES = {"float16": 256 if FULL else 16, "float32": 128 if FULL else 8}
ROUNDS = 5 if FULL else 1
# A rival that skipped itself while it is timed would leave a bench without numbers.
WITHOUT_HDF5 = pytest.mark.skipif(find_spec("h5py") is None, reason="h5py is not installed")
EACH = pytest.mark.parametrize(
    "who", [pytest.param(who, marks=[WITHOUT_HDF5] if who == "hdf5" else []) for who in RIVALS]
)


@pytest.fixture(scope="module", params=SAMPLES)
def dtype(request: pytest.FixtureRequest) -> str:
    """Precision in which rivals write, of what they are given in single precision."""
    return str(request.param)


@pytest.fixture(scope="module")
def layers(dtype: str) -> Layers:
    rng = np.random.default_rng(0)
    shape = (NEURONS, SAMPLES[dtype])
    drawn = (rng.standard_normal(shape, dtype=np.float32) for _ in range(LAYERS))
    return [layer.astype(dtype).astype(np.float32) for layer in drawn]


@pytest.fixture(scope="module")
def scattered() -> list[Rows]:
    """Indices of rows, sorted, for every layer."""
    rng = np.random.default_rng(1)
    return [np.sort(rng.choice(NEURONS, ROWS, replace=False)) for _ in range(LAYERS)]


@pytest.fixture(scope="module")
def written(
    layers: Layers, dtype: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Path]]:
    """Return where a rival has written the layers, once."""
    root = tmp_path_factory.mktemp("written")

    def path(who: str) -> Path:
        if not (root / who).exists():
            (root / who).mkdir()
            RIVALS[who].write(root / who, layers, dtype)
        return root / who

    yield path
    shutil.rmtree(root)


@pytest.fixture
def note(record: Callable[..., None], dtype: str) -> Callable[..., None]:
    """Note what was done by whom, and with how much."""

    def call(work: str, who: str, rows: int = NEURONS) -> None:
        size = {"shape": (LAYERS, rows, SAMPLES[dtype]), "itemsize": np.dtype(dtype).itemsize}
        record(f"store, {dtype}, {work}", who, **size)

    return call


@pytest.fixture
def time_writing(
    layers: Layers, dtype: str, tmp_path: Path, benchmark: BenchmarkFixture
) -> Callable[[Rival], None]:
    """Time the writing of all layers to a place where nothing is, and read them back."""

    def call(rival: Rival) -> None:
        def empty_place() -> tuple[tuple[Path, Layers, str], dict[str, Any]]:
            shutil.rmtree(tmp_path / "place", ignore_errors=True)
            (tmp_path / "place").mkdir()
            if FULL:
                # What earlier calls left for the disk is not this one's to wait for.
                os.sync()
            return (tmp_path / "place", layers, dtype), {}

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
    note: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    time_writing(RIVALS[who])
    note("write", who)


@pytest.mark.parametrize("who", ["bridgex", "np.memmap"])
def test_write_flushed(
    who: str, time_writing: Callable[[Rival], None], note: Callable[..., None]
) -> None:
    writes = {"bridgex": RIVALS[who].write, "np.memmap": write_flushed_memmap}
    time_writing(RIVALS[who]._replace(write=writes[who]))
    note("write, flushed", who)


@EACH
def test_layers(
    who: str,
    layers: Layers,
    written: Callable[[str], Path],
    timed: Callable[..., Any],
    note: Callable[..., None],
) -> None:
    whole, _ = RIVALS[who].open(written(who))

    def read() -> None:
        for index in range(LAYERS):
            whole(index)

    timed(read, rounds=ROUNDS, warm_up=True)
    note("layers", who)
    for index, layer in enumerate(layers):
        np.testing.assert_array_equal(whole(index), layer)


@EACH
def test_rows(
    who: str,
    layers: Layers,
    scattered: list[Rows],
    written: Callable[[str], Path],
    timed: Callable[..., Any],
    note: Callable[..., None],
) -> None:
    _, rows = RIVALS[who].open(written(who))

    def read() -> Layers:
        return [rows(index, chosen) for index, chosen in enumerate(scattered)]

    found = timed(read, rounds=2 * ROUNDS, warm_up=True)
    note("rows", who, ROWS)
    for layer, chosen, values in zip(layers, scattered, found, strict=True):
        np.testing.assert_array_equal(values, layer[chosen])
