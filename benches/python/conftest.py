"""What all benches share: one thread for the rivals, and the machine that they ran on."""

from __future__ import annotations

import os

# Read when NumPy and torch are imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import platform
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from benches.python.workload import FULL

from bridgex import _native

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_benchmark.fixture import BenchmarkFixture

LIBRARIES = ("numpy", "torch")
# Taken before anything runs: what else the machine was doing.
LOAD = os.getloadavg()[0]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def record(benchmark: BenchmarkFixture) -> Callable[..., None]:
    """Note what a bench belongs to, who ran, and what else is known about the run."""

    def note(group: str, who: str, **info: Any) -> None:
        benchmark.extra_info.update(group=group, who=who, **info)

    return note


@pytest.fixture
def timed(benchmark: BenchmarkFixture) -> Callable[..., Any]:
    """Time so many calls of something slow, after one that is not counted where asked for."""

    def call(
        function: Callable[..., Any],
        *args: Any,
        rounds: int = 1,
        warm_up: bool = False,
        **options: Any,
    ) -> Any:
        pedantic: Any = benchmark.pedantic  # pytest-benchmark has no types for it
        return pedantic(function, args, options, rounds=rounds, warmup_rounds=int(warm_up))

    return call


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: Any) -> None:
    """Add what the page says about the machine."""
    del config
    machine_info["bridgex"] = {
        **_native.build_info(),
        "full": FULL,
        "load": LOAD,
        "cores": os.cpu_count(),
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "cpu": processor(),
        "has_avx512": "avx512f" in cpu_field("flags").split(),
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in LIBRARIES},
        "environment": {
            name: text
            for name, text in sorted(os.environ.items())
            if name.startswith(("OMP_NUM", "OPENBLAS_", "MKL_", "BRIDGEX_"))
        },
    }


def processor() -> str:
    """Return the processor's name, as precisely as the system knows it."""
    name = cpu_field("model name") or platform.processor() or platform.machine()
    family, model = cpu_field("cpu family"), cpu_field("model")
    return f"{name} (family {family}, model {model})" if family else name


def cpu_field(name: str) -> str:
    """Return a field of the first core, empty where the system does not tell."""
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return ""
    lines = (line.partition(":") for line in path.read_text().splitlines())
    return next((text.strip() for key, _, text in lines if key.strip() == name), "")
