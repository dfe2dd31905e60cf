"""The benches run, at a tiny size, the rivals agree, and the page is made from what they wrote."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from benches.python.report import page
from benches.python.results import read_run
from benches.python.targets import CRITERION, TARGETS

ROOT = Path(__file__).parents[2]
# One call of everything; the sizes are tiny by default.
OPTIONS = ("--benchmark-only", "--benchmark-min-rounds=1", "--benchmark-max-time=0.001")
COMMAND = (sys.executable, "-m", "pytest", "-q", *OPTIONS)


def test_benches_run_and_their_page_is_made(tmp_path: Path) -> None:
    written = tmp_path / "benches.json"
    environment = {name: text for name, text in os.environ.items() if name != "BRIDGEX_BENCH"}
    done = subprocess.run(
        [*COMMAND, f"--benchmark-json={written}", ROOT / "benches" / "python"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    run = read_run(written)
    assert "sizes: tiny" in page([run], {}, None)
    for target in TARGETS:
        measured = (target.group, target.who) in run.results
        assert measured == (target.group != CRITERION), target


@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is read from /proc")
def test_a_large_model_is_measured_at_a_tiny_size() -> None:
    options = ("tiny", "--memory-limit", "2GiB", "--sparse", "--layers", "2")
    done = subprocess.run(
        [sys.executable, "-m", "benches.large_models", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    # Two layers and the embeddings, in two bytes, and without the head.
    assert found["bytes_read"] == 2 * (2 * (4 * 256**2 + 3 * 256 * 1024 + 512) + 1000 * 256 + 256)
    assert found["seconds"]["computing"] > 0
    assert found["peak"] <= 1.1 * found["planned_peak"]
