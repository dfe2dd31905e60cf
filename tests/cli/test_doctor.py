"""``bridgex doctor`` from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from transformers import AutoConfig

from bridgex import _native
from bridgex.cli.main import cli
from bridgex.engines.machine import measure_disk, memory
from bridgex.errors import InvalidInputError, NotFoundError


@pytest.fixture(autouse=True)
def _small_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridgex.cli.doctor_view.DISK_BYTES", 1 << 20)


def test_without_a_model_the_machine_is_looked_at(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        cli, ["doctor", "--path", str(tmp_path), "--format", "json"], standalone_mode=False
    )
    document = json.loads(done.stdout)
    assert document["schema"] == "bridgex.doctor/1"
    found = {row["check"]: row for row in document["rows"]}
    core = _native.build_info()
    assert core["simd"] in found["compiled core"]["detail"]
    assert found["compiled core"]["state"] == ("ok" if core["profile"] == "release" else "wrong")
    assert done.return_value == (0 if core["profile"] == "release" else 3)
    assert "MB/s" in found[f"disk of {tmp_path}"]["detail"]
    assert {"torch", "transformers", "memory", "device"} <= set(found)
    assert not list(tmp_path.iterdir())


def test_a_model_that_passes_and_one_that_is_refused(tmp_path: Path) -> None:
    for architecture, code, said in (("llama", 0, "equal bits"), ("mamba", 3, "WRONG")):
        AutoConfig.for_model(architecture).save_pretrained(tmp_path / architecture)
        done = CliRunner().invoke(
            cli,
            ["doctor", str(tmp_path / architecture), "--path", str(tmp_path)],
            standalone_mode=False,
        )
        assert said in done.stdout
        assert done.return_value == code


def test_a_debug_build_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = _native.build_info() | {"profile": "debug"}
    monkeypatch.setattr(_native, "build_info", lambda: slow)
    done = CliRunner().invoke(cli, ["doctor", "--path", str(tmp_path)], standalone_mode=False)
    assert "many times slower" in done.stdout
    assert done.return_value == 3


def test_a_disk_is_measured_and_left_as_it_was(tmp_path: Path) -> None:
    disk = measure_disk(tmp_path, size=1 << 20)
    assert disk.write > 0
    assert disk.read > 0
    assert not list(tmp_path.iterdir())


def test_a_directory_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no directory"):
        measure_disk(tmp_path / "nowhere", size=1)


def test_a_directory_that_cannot_be_written_to_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="could not be tried"):
        measure_disk(Path("/proc"), size=1)


def test_no_more_memory_is_free_than_there_is() -> None:
    total, free = memory()
    assert free is not None
    assert 0 < free <= total
