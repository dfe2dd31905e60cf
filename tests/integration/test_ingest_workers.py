"""Several workers, in memory and layer by layer, fill the store that one worker fills."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_four_workers_give_the_bits_of_one(
    model_directory: Callable[..., Path], tmp_path: Path
) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.integration.ingest_workers", model_directory(), tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(ran.stdout)
    assert found["four"] == found["one"]
    one, four = (
        sorted(
            path.relative_to(tmp_path / name)
            for path in (tmp_path / name).glob("commits/**/*.json")
        )
        for name in ("one", "four")
    )
    assert four == one
    assert len(one) >= 8
