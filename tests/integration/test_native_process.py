"""The compiled core among processes, threads and signals."""

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import warnings
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import click
import numpy as np
import pytest
from numpy.typing import NDArray

from bridgex import _native
from bridgex.analysis.arrays import Dependence, dependence, overlap_counts, spectrum_scores
from bridgex.cli.query import bridges, spectrum
from bridgex.errors import InvalidInputError

ROWS = np.random.default_rng(0).normal(size=(20, 60))
NEEDS_FORK = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def every_call() -> list[NDArray[Any]]:
    """Call everything that uses the thread pool."""
    scores = spectrum_scores([ROWS, ROWS], [ROWS, ROWS], [[[0, 3], [1]]] * 2, threads=2)
    one = dependence(ROWS, ROWS, threads=2)
    counts = overlap_counts(ROWS.view(np.uint64))
    return [scores.score, one.row_max, one.column_max, counts]


@NEEDS_FORK
def test_a_child_that_was_forked_can_compute() -> None:
    expected = dependence(ROWS, ROWS, threads=2).layer_score
    read, write = os.pipe()
    with warnings.catch_warnings():
        # Python warns about threads in the parent, which are the subject of this test.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        signal.alarm(30)  # a deadlock ends the child, and then the test
        os.write(write, repr(dependence(ROWS, ROWS, threads=2).layer_score).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        found = pipe.read()
    assert os.waitpid(child, 0)[1] == 0
    assert float(found) == expected


@pytest.mark.parametrize("method", [pytest.param("fork", marks=NEEDS_FORK), "spawn"])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_workers_compute_what_their_parent_does(method: str) -> None:
    expected = every_call()
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(
        2, mp_context=context, initializer=signal.alarm, initargs=(60,)
    ) as pool:
        for result in [pool.submit(every_call) for _ in range(2)]:
            for found, one in zip(result.result(timeout=60), expected, strict=True):
                np.testing.assert_array_equal(found, one)


def test_the_environment_gives_the_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIDGEX_NUM_THREADS", "3")
    assert _native.build_info()["threads"] == 3
    expected = dependence(ROWS, ROWS, threads=1).layer_score
    assert dependence(ROWS, ROWS).layer_score == expected
    monkeypatch.setenv("BRIDGEX_NUM_THREADS", "")
    unset = _native.build_info()["threads"]
    monkeypatch.delenv("BRIDGEX_NUM_THREADS")
    assert _native.build_info()["threads"] == unset
    for bad in ("0", "many", "-1", " ", "2.5", "1e3", "99999999999999999999"):
        monkeypatch.setenv("BRIDGEX_NUM_THREADS", bad)
        with pytest.raises(InvalidInputError, match="BRIDGEX_NUM_THREADS must be a whole number"):
            dependence(ROWS, ROWS)


@pytest.mark.parametrize("command", [spectrum, bridges])
def test_the_command_line_takes_the_threads_that_the_core_does(
    command: click.Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    (limits,) = (option.type for option in command.params if option.name == "threads")
    assert isinstance(limits, click.IntRange)
    assert limits.min is not None
    assert limits.max is not None
    for count in (limits.min, limits.max):
        monkeypatch.setenv("BRIDGEX_NUM_THREADS", str(count))
        assert _native.build_info()["threads"] == count
    for count in (limits.min - 1, limits.max + 1):
        monkeypatch.setenv("BRIDGEX_NUM_THREADS", str(count))
        with pytest.raises(InvalidInputError, match="BRIDGEX_NUM_THREADS must be a whole number"):
            _native.build_info()


@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("bandwidth", ["neuron", "layer", "reference", 0.2])
@pytest.mark.parametrize("tol", [0.0, 1e-3])
def test_every_bit_is_the_same_for_any_number_of_threads(
    dtype: Any, bandwidth: Any, tol: float
) -> None:
    rng = np.random.default_rng(1)
    x, y = rng.standard_t(3, size=(70, 90)), rng.normal(size=(41, 90))
    y[:30] += x[:30] ** 2

    def results(threads: int) -> Dependence:
        return dependence(
            x, y, bandwidth=bandwidth, dtype=dtype, tol=tol, threads=threads, matrix=True
        )

    one = results(1)
    for threads in (2, 3, 8):
        many = results(threads)
        for name, expected in vars(one).items():
            np.testing.assert_array_equal(getattr(many, name), expected, err_msg=name)


@pytest.mark.parametrize("bandwidth", ["neuron", "layer", "reference", 0.2])
def test_a_spectrum_is_the_same_for_any_number_of_threads(bandwidth: Any) -> None:
    rng = np.random.default_rng(2)
    pairs = [rng.normal(size=(20 + layer, 64)) for layer in range(5)]
    unions = [rng.standard_t(3, size=(30, 64)) for _ in pairs]
    members = [[np.arange(0, 30, step) for step in (1, 2, 7)] for _ in pairs]
    one, *others = (
        spectrum_scores(pairs, unions, members, bandwidth=bandwidth, threads=threads)
        for threads in (1, 2, 3, 8)
    )
    for many in others:
        for name, expected in vars(one).items():
            np.testing.assert_array_equal(getattr(many, name), expected, err_msg=name)


# Each takes many seconds where it is left alone, and nearly all of them in the phase that it names.
PHASES = {
    "features": "dependence(rows(20_000, 4_000), rows(1, 4_000))",
    "median": "dependence(rows(20_000, 2_000), rows(1, 2_000), bandwidth='layer')",
    "products": "dependence(rows(20_000, 800), rows(20_000, 800), bandwidth=3.0)",
    "kernels": "dependence(rows(400, 1_500), rows(400, 1_500), tol=0.0)",
    "long kernels": "dependence(rows(40, 8_000), rows(40, 8_000), tol=0.0)",
    "layers": "spectrum_scores(*[[rows(400, 1_500)] * 9] * 2, [[[0]]] * 9, tol=0.0)",
    "overlaps": "overlap_counts(bits(6_000, 8_000), threads=1)",
}


@pytest.mark.parametrize("phase", PHASES)
def test_an_interrupt_ends_a_long_computation(phase: str) -> None:
    program = f"""
        import numpy as np
        from bridgex.analysis.arrays import dependence, overlap_counts, spectrum_scores
        def bits(count, words):
            return np.random.default_rng(0).integers(2**64, size=(count, words), dtype=np.uint64)
        def rows(count, samples):
            return np.random.default_rng(0).random((count, samples), dtype=np.float32)
        def call():
            return {PHASES[phase]}
        print("ready", flush=True)
        call()
        print("done", flush=True)
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1.0)
        process.send_signal(signal.SIGINT)
        try:
            output, errors = process.communicate(timeout=10)
        finally:
            process.kill()
    assert output == ""
    assert errors.rstrip().endswith("KeyboardInterrupt")
