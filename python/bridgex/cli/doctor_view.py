"""What ``bridgex doctor`` looks at and says."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from bridgex.analysis.build import build
from bridgex.cli.output import Answer, Table
from bridgex.engines.machine import measure_disk, memory, system
from bridgex.errors import BridgexError
from bridgex.schema import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

PACKAGES = ("numpy", "zarr", "polars", "torch", "transformers", "safetensors")
DISK_BYTES = 128 << 20
WORDS = {"ok": "ok", "wrong": "WRONG", "note": ""}


def look_at_machine(path: Path) -> list[Finding]:
    """Return what there is to say about the installation, the machine and a directory's disk."""
    return [*_installation(), *_machine(), _disk(path)]


def _installation() -> Iterator[Finding]:
    yield Finding("bridgex", "note", f"{version('bridgex')}, Python {platform.python_version()}")
    core = build()
    fast = core.profile == "release"
    yield Finding(
        "compiled core",
        "ok" if fast else "wrong",
        f"{core.profile} build, {core.simd} instructions, {core.threads} threads"
        + ("" if fast else ": many times slower than a release build"),
    )
    for name in PACKAGES:
        yield Finding(name, "note", _version(name))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed: models need pip install 'bridgex[models]'"


def _machine() -> Iterator[Finding]:
    yield Finding("system", "note", system())
    total, free = memory()
    available = "" if free is None else f", {free / 2**30:.1f} GiB available"
    yield Finding("memory", "note", f"{total / 2**30:.1f} GiB{available}")
    try:
        from bridgex.capture import describe_device

        yield Finding("device", "note", describe_device())
    except BridgexError as error:
        yield Finding("device", "note", error.message)


def _disk(path: Path) -> Finding:
    disk = measure_disk(path, size=DISK_BYTES)
    read = "" if disk.cold else ", perhaps from memory"
    return Finding(
        f"disk of {path}",
        "note",
        f"writes {disk.write / 1e6:,.0f} MB/s, reads {disk.read / 1e6:,.0f} MB/s{read}",
    )


def doctor_answer(sections: Mapping[str, Sequence[Finding]]) -> Answer:
    """Return everything that was looked at."""
    rows = [
        {"section": section, "check": one.check, "state": one.state, "detail": one.detail}
        for section, found in sections.items()
        for one in found
    ]
    tables = [
        Table(
            section[0].upper() + section[1:],
            ("check", "", "found"),
            [(one.check, WORDS[one.state], one.detail) for one in found],
        )
        for section, found in sections.items()
    ]
    wrong = sum(row["state"] == "wrong" for row in rows)
    return Answer("bridgex.doctor/1", rows, tables, meta={"wrong": wrong})
