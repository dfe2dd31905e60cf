"""Every instruction set that the processor has gives the same numbers; what it lacks is refused."""

import os
import subprocess
import sys

import pytest

from bridgex import _native

PROGRAM = """
import numpy as np
from bridgex import _native
from bridgex.analysis.arrays import dependence, overlap_counts
rng = np.random.default_rng(0)
rows = rng.standard_t(4, size=(2, 9, 70))
print(_native.build_info()["simd"])
for bandwidth in ("neuron", "layer"):
    for tol in (0.0, 1e-3):
        print(dependence(*rows, bandwidth=bandwidth, tol=tol).row_max.tobytes().hex())
bits = rng.integers(0, 2**64, size=(7, 41), dtype=np.uint64)
print(overlap_counts(bits, [0, 100, 101, 2600]).tobytes().hex())
"""


def run(path: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"BRIDGEX_SIMD": path}
    command = [sys.executable, "-c", PROGRAM]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("path", ["portable", "popcnt", "avx2", "avx512", "neon"])
def test_a_forced_path_gives_the_same_bits_or_is_refused(path: str) -> None:
    done = run(path)
    if "lacks the instructions" in done.stderr:
        assert (
            f'InvalidInputError: this processor lacks the instructions of "{path}"' in done.stderr
        )
        assert "Unset BRIDGEX_SIMD" in done.stderr
        pytest.skip(f"this processor lacks {path}")
    assert done.returncode == 0, done.stderr
    name, *results = done.stdout.splitlines()
    assert name == path
    assert results == run("auto").stdout.splitlines()[1:]


def test_the_best_path_is_the_default() -> None:
    assert run("auto").stdout.splitlines()[0] == _native.build_info()["simd"]


def test_an_unknown_path_is_refused() -> None:
    done = run("sse9")
    assert done.returncode == 1
    assert "InvalidInputError: BRIDGEX_SIMD must be one of auto, portable, popcnt" in done.stderr
