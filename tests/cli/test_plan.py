"""``bridgex plan`` and the options that it is about."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.large_checkpoint import write_checkpoint

from bridgex.cli.options import ByteCount

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Outcome

    Bridgex = Callable[..., Outcome]
    Directory = Callable[..., Path]


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "de.txt"
    path.write_text("Hund und Katze\ndas Haus\n" * 20, encoding="utf-8")
    return path


def test_a_plan_adds_up(
    bridgex: Bridgex, model_directory: Directory, text: Path, tmp_path: Path
) -> None:
    words = tmp_path / "words.txt"
    words.write_text("dog Hund\ncat Katze\n", encoding="utf-8")
    done = bridgex(
        "plan", model_directory(), "--text", f"de={text}", "--lexicon", words,
        "--source", "en", "--target", "de", "--device", "cpu", "--memory-limit", "1TiB",
        "--format", "json",
    )  # fmt: skip
    assert done.code == 0, done.err
    found = json.loads(done.out)
    memory = {row["part"]: row["bytes"] for row in found["rows"]}
    assert found["schema"] == "bridgex.plan/1"
    assert found["mode"] == "resident"
    assert found["resident_peak"] == sum(
        memory[name] for name in ("base", "weights", "block", "part")
    )
    assert found["sweeps"] == 1 + 4
    assert found["bytes_read"] == 5 * found["bytes_per_sweep"]
    assert found["words"] == 2
    # 40 lines of text, each with a mark of beginning.
    assert found["tokens"] > 40
    assert found["store_bytes"] == 3 * 24 * (28 + 2 * 4)


@pytest.mark.parametrize(("limit", "code", "mode"), [("1TiB", 0, "resident"), ("1MB", 3, "none")])
def test_the_mode_follows_from_the_limit(
    bridgex: Bridgex, model_directory: Directory, text: Path, limit: str, code: int, mode: str
) -> None:
    done = bridgex(
        "plan", model_directory(), "--text", f"de={text}", "--device", "cpu",
        "--memory-limit", limit, "--format", "json",
    )  # fmt: skip
    assert done.code == code, done.err
    assert json.loads(done.out)["mode"] == mode


def test_a_layer_that_does_not_fit_is_planned_in_pieces(
    bridgex: Bridgex, text: Path, tmp_path: Path
) -> None:
    shape: dict[str, Any] = {
        "hidden_size": 512,
        "intermediate_size": 8192,
        "num_hidden_layers": 2,
        "num_attention_heads": 8,
        "vocab_size": 300,
    }
    write_checkpoint(tmp_path / "model", sparse=True, shard_bytes=1 << 30, **shape)

    def plan(limit: int) -> tuple[int, dict[str, Any]]:
        done = bridgex(
            "plan", tmp_path / "model", "--text", f"de={text}", "--device", "cpu",
            "--batch-tokens", 16, "--memory-limit", limit, "--format", "json",
        )  # fmt: skip
        return done.code, json.loads(done.out)

    code, roomy = plan(1 << 40)
    assert (code, roomy["loading"]) == (0, "ahead")
    memory = {row["part"]: row["bytes"] for row in roomy["rows"]}
    smallest = memory["base"] + memory["pieces"] + memory["piece_reading"] + memory["block"]
    smallest += roomy["group_bytes"]
    assert abs(roomy["smallest_limit"] - smallest) < 1 << 20
    layer = memory["layer"] - memory["pieces"]
    assert layer > 20 << 20
    code, tight = plan(smallest + layer // 2)
    assert (code, tight["mode"], tight["loading"]) == (0, "sweep", "pieces")
    assert tight["sweep_peak"] <= tight["memory_limit"]
    # Each of the 40 lines is a batch, and every one but the first reads both layers once more.
    layers_read = 2 * 2 * (3 * 512 * 8192 + 4 * 512 * 512 + 2 * 512)
    assert tight["bytes_read"] - roomy["bytes_read"] == 39 * layers_read
    code, refused = plan(smallest - layer // 2)
    assert (code, refused["mode"]) == (3, "none")
    assert abs(refused["smallest_limit"] - smallest) < layer // 4


def test_people_get_the_formula(bridgex: Bridgex, model_directory: Directory) -> None:
    done = bridgex("plan", model_directory(), "--device", "cpu")
    assert done.code == 0, done.err
    assert "base + weights + block + part" in done.out
    assert "base + max(surroundings, " in done.out


def test_a_word_list_needs_its_languages(bridgex: Bridgex, model_directory: Directory) -> None:
    done = bridgex("plan", model_directory(), "--lexicon", "words.txt")
    assert done.code == 2
    assert "--source" in done.err


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("4GiB", 4 << 30),
        ("1.5 kib", 1536),
        ("500MB", 500_000_000),
        ("2t", 2 * 10**12),
        ("12", 12),
        ("12b", 12),
    ],
)
def test_bytes_with_units(text: str, count: int) -> None:
    assert ByteCount().convert(text, None, None) == count


@pytest.mark.parametrize("text", ["", "GiB", "-1", "0", "4 gigabytes", "1e9", "nan"])
def test_what_are_no_bytes_is_refused(
    bridgex: Bridgex, model_directory: Directory, text: str
) -> None:
    done = bridgex("plan", model_directory(), f"--memory-limit={text}")
    assert done.code == 2
    assert "expected" in done.err
