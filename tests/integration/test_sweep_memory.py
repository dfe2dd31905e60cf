"""The peak of a sweep is the planned one. The weights are holes in files: they cost no disk."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.large_checkpoint import write_checkpoint

ROOT = Path(__file__).parents[2]
SHAPE: dict[str, Any] = {
    "num_hidden_layers": 12,
    "hidden_size": 1024,
    "intermediate_size": 3584,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "vocab_size": 8000,
    "tie_word_embeddings": False,
}


EXPERTS: dict[str, Any] = {
    "architecture": "olmoe",
    "num_hidden_layers": 8,
    "hidden_size": 512,
    "intermediate_size": 512,
    "num_attention_heads": 8,
    "num_key_value_heads": 8,
    "num_experts": 32,
    "num_experts_per_tok": 4,
    "vocab_size": 8000,
    "eos_token_id": 2,
    "tie_word_embeddings": False,
}


def run(directory: Path, limit: int, dtype: str) -> dict[str, Any]:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.integration.sweep_memory", directory, str(limit), "5", dtype],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is read from /proc")
@pytest.mark.parametrize(
    ("dtype", "limit", "loading"),
    [
        pytest.param("bfloat16", 150 << 20, "ahead", marks=pytest.mark.long),
        ("float32", 150 << 20, "whole"),
        ("float32", 90 << 20, "pieces"),
    ],
)
def test_the_peak_is_within_the_plan_and_the_limit(
    tmp_path: Path, dtype: str, limit: int, loading: str
) -> None:
    stored = write_checkpoint(tmp_path, shard_bytes=100 << 20, sparse=True, **SHAPE)
    assert stored * (1 if dtype == "bfloat16" else 2) > 2 * limit
    found = run(tmp_path, limit, dtype)
    assert found["loading"] == loading
    assert found["plan"] <= found["limit"]
    assert found["peak"] <= 1.1 * found["plan"]
    # A plan that is several times too large would be of no use.
    assert found["peak"] - found["base"] >= 0.5 * (found["plan"] - found["base"])


@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is read from /proc")
@pytest.mark.parametrize(
    ("dtype", "limit"),
    [pytest.param("bfloat16", 160 << 20, marks=pytest.mark.long), ("float32", 290 << 20)],
)
def test_the_peak_of_experts_is_within_the_plan_and_the_limit(
    tmp_path: Path, dtype: str, limit: int
) -> None:
    stored = write_checkpoint(tmp_path, shard_bytes=100 << 20, sparse=True, **EXPERTS)
    assert stored * (1 if dtype == "bfloat16" else 2) > 2 * limit
    found = run(tmp_path, limit, dtype)
    assert found["plan"] <= found["limit"]
    assert found["peak"] <= 1.1 * found["plan"]
    assert found["peak"] - found["base"] >= 0.5 * (found["plan"] - found["base"])
