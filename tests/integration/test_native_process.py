"""The compiled core among processes, threads and signals."""

import os
import signal
import subprocess
import sys
import textwrap
import warnings

import numpy as np
import pytest

from bridgex import _native
from bridgex.analysis.arrays import dependence
from bridgex.errors import InvalidInputError

ROWS = np.random.default_rng(0).normal(size=(20, 60))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
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


def test_the_environment_gives_the_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIDGEX_NUM_THREADS", "3")
    assert _native.build_info()["threads"] == 3
    expected = dependence(ROWS, ROWS, threads=1).layer_score
    assert dependence(ROWS, ROWS).layer_score == expected
    for bad in ("0", "many", "-1", ""):
        monkeypatch.setenv("BRIDGEX_NUM_THREADS", bad)
        with pytest.raises(InvalidInputError, match="BRIDGEX_NUM_THREADS must be a positive whole"):
            dependence(ROWS, ROWS)


def test_an_interrupt_ends_a_long_computation() -> None:
    program = textwrap.dedent(
        """
        import numpy as np
        from bridgex.analysis.arrays import dependence
        rows = np.random.default_rng(0).normal(size=(400, 900))
        print("ready", flush=True)
        dependence(rows, rows, tol=0.0)
        """
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert errors.rstrip().endswith("KeyboardInterrupt")
