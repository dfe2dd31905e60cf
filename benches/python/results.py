"""What the benches found: read from the files that pytest-benchmark and criterion write."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Result:
    """One bench: seconds of a call, or of the work that a part of it stands for.

    Attributes
    ----------
    median, low, high
        Median and quartiles, in seconds.
    rounds
        Number of calls that were timed.
    scale
        What the time of a call was multiplied with; 1 where all of the work was timed.
    info
        What else the bench noted.
    """

    median: float
    low: float
    high: float
    rounds: int
    scale: float
    info: dict[str, Any]


Results = dict[tuple[str, str], Result]


@dataclass(frozen=True)
class Run:
    """All benches of one run, by group and by who ran, and the machine."""

    machine: dict[str, Any]
    date: str
    results: Results


def read_run(path: Path) -> Run:
    """Read a file that ``pytest --benchmark-json`` wrote."""
    content = json.loads(path.read_text())
    results: Results = {}
    for bench in content["benchmarks"]:
        info = bench["extra_info"]
        group = info.get("group", Path(bench["fullname"].partition("::")[0]).stem)
        results[group, info.get("who", bench["name"])] = from_calls(
            bench["stats"]["data"], info.get("scale", 1.0), info
        )
    return Run(content["machine_info"]["bridgex"], content["datetime"], whole_work(results))


def from_calls(seconds: list[float], scale: float, info: dict[str, Any]) -> Result:
    """Return the quartiles of some calls' times."""
    low, median, high = (scale * float(one) for one in np.percentile(seconds, [25, 50, 75]))
    return Result(median, low, high, len(seconds), scale, info)


def whole_work(results: Results) -> Results:
    """Extrapolate benches that note ``pairs`` and ``neurons`` to the most of their group."""
    size = {key: work(one) for key, one in results.items() if "neurons" in one.info}
    most = {group: max(size[key] for key in size if key[0] == group) for group, _ in size}

    def whole(key: tuple[str, str], one: Result) -> Result:
        factor = most[key[0]] / size[key] if key in size else 1.0
        return Result(
            one.median * factor,
            one.low * factor,
            one.high * factor,
            one.rounds,
            one.scale * factor,
            one.info,
        )

    return {key: whole(key, one) for key, one in results.items()}


def work(one: Result) -> float:
    """Return how much work a bench of overlaps did."""
    return float(one.info["pairs"]) * float(one.info["neurons"])


def read_criterion(directory: Path) -> Results:
    """Read what ``cargo bench`` left, the newest of every bench."""
    results: Results = {}
    for path in sorted(directory.glob("**/new/benchmark.json")):
        identity = json.loads(path.read_text())
        sample = json.loads((path.parent / "sample.json").read_text())
        calls = np.divide(sample["times"], sample["iters"]) * 1e-9
        results[identity["group_id"], identity["function_id"]] = from_calls(list(calls), 1.0, {})
    return results
