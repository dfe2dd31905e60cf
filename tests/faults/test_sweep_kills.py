"""Killed ingestion layer by layer: a kill loses one group of tokens at most, and no bit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("kills", [2, pytest.param(60, marks=pytest.mark.long)])
def test_killed_while_files_are_written_and_at_random(tmp_path: Path, kills: int) -> None:
    """What is killed within the commit of a group is lost in part only."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.sweep_killing", str(tmp_path), *[str(kills)] * 2],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["steps"]["kills"] == kills
    assert found["steps"]["lost_at_most"] <= 1
    assert kills <= found["random"]["kills"]
    assert found["random"]["lost_in_all"] <= found["random"]["kills"]
