"""``bridgex plan`` and the options that it is about."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

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
