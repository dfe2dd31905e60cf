"""The memory that the compiled core takes, beside what its documentation states."""

import json
import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="needs Linux, which tells a call's own peak"
)

# What threads, their stacks and the products' own buffers take, whatever the sizes are.
CONSTANT = 24 * 2**20


def stated(rows: int, samples: int, rank: int, layers: int) -> int:
    """Return the bytes of (n1 + n2) (r + 3) S numbers, for the layers that are there at a time."""
    return layers * rows * (rank + 3) * samples * 8


def peak(call: str) -> tuple[int, int]:
    """Return the rank and the bytes that a call takes at most, beyond its arrays."""
    program = f"""
        import json
        from pathlib import Path
        import numpy as np
        from bridgex.analysis.arrays import dependence, spectrum_scores
        def rows(count, samples):
            return np.random.default_rng(count).normal(size=(count, samples))
        def resident(field):
            status = Path("/proc/self/status").read_text()
            return int(status.split(field + ":")[1].split()[0]) * 1024
        dependence(rows(9, 60), rows(9, 60), threads=2)
        call = {call}
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        before = resident("VmRSS")
        result = call()
        print(json.dumps([int(np.max(result.rank)), resident("VmHWM") - before]))
    """
    arguments = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True, timeout=250)
    rank, taken = json.loads(done.stdout)
    return rank, taken


@pytest.mark.parametrize("bandwidth", ["neuron", "layer"])
def test_a_spectrum_takes_what_its_layers_at_a_time_do(bandwidth: str) -> None:
    rank, taken = peak(
        f"""lambda pair=rows(100, 1000), union=rows(300, 1000): spectrum_scores(
            [pair] * 8, [union] * 8, [[list(range(0, 300, 2))] * 9] * 8,
            bandwidth="{bandwidth}", threads=2)"""
    )
    assert rank > 0
    assert taken <= stated(400, 1000, rank, layers=2) + CONSTANT


@pytest.mark.parametrize("options", ["bandwidth=3.0", "tol=0.0"])
def test_nothing_grows_with_the_pairs_unless_asked(options: str) -> None:
    count, samples = 3_000, 20
    rank, taken = peak(
        f"""lambda x=rows({count}, {samples}): dependence(x, x, {options}, threads=2)"""
    )
    assert taken <= stated(2 * count, samples, rank, layers=1) + CONSTANT < 8 * count**2
