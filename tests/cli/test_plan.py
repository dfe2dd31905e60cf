"""``bridgex plan`` and the options that it is about."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from bridgex.cli.main import cli
from bridgex.cli.options import ByteCount

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def run(*arguments: object) -> Any:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "de.txt"
    path.write_text("Hund und Katze\ndas Haus\n" * 20, encoding="utf-8")
    return path


def test_a_plan_adds_up(model_directory: Callable[..., Path], text: Path, tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("dog Hund\ncat Katze\n", encoding="utf-8")
    done = run(
        "plan", model_directory(), "--text", f"de={text}", "--lexicon", words,
        "--source", "en", "--target", "de", "--device", "cpu", "--memory-limit", "1TiB",
        "--format", "json",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
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
    model_directory: Callable[..., Path], text: Path, limit: str, code: int, mode: str
) -> None:
    done = run(
        "plan", model_directory(), "--text", f"de={text}", "--device", "cpu",
        "--memory-limit", limit, "--format", "json",
    )  # fmt: skip
    assert done.exit_code == code, done.stderr
    assert json.loads(done.stdout)["mode"] == mode


def test_people_get_the_formula(model_directory: Callable[..., Path]) -> None:
    done = run("plan", model_directory(), "--device", "cpu")
    assert done.exit_code == 0, done.stderr
    assert "base + weights + block + part" in done.stdout
    assert "base + max(surroundings, " in done.stdout


def test_a_word_list_needs_its_languages(model_directory: Callable[..., Path]) -> None:
    done = run("plan", model_directory(), "--lexicon", "words.txt")
    assert done.exit_code == 2
    assert "--source" in done.stderr


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
def test_what_are_no_bytes_is_refused(model_directory: Callable[..., Path], text: str) -> None:
    done = run("plan", model_directory(), f"--memory-limit={text}")
    assert done.exit_code == 2
    assert "expected" in done.stderr
