"""The benches run, at a tiny size, and the rivals agree."""

import os
import subprocess
import sys
from pathlib import Path

BENCHES = Path(__file__).parents[2] / "benches" / "python"


def test_benches_run_and_rivals_agree() -> None:
    environment = {name: text for name, text in os.environ.items() if name != "BRIDGEX_BENCH"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--benchmark-disable", BENCHES],
        cwd=BENCHES.parents[1],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
