"""The page on speed, made from what the benches wrote; no number in it is typed.

``python -m benches.python.report RUN.json... [--criterion DIRECTORY] [--profile FILE.json]``
prints ``docs/benchmarks.md``.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from benches.python.results import read_criterion, read_run
from benches.python.targets import CRITERION, TARGETS, total, verdicts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benches.python.results import Result, Results, Run
    from benches.python.targets import Verdict

GROWTH = ("samples", "pairs of neurons", "committed parts")
STORE = "store, "
STORE_BASE = "np.memmap"
HALF_DECADES = 2
# From here on something else than this bench kept a core busy.
BUSY = 1.0

INTRODUCTION = """\
# Speed

Made by `make bench bench-profile bench-page` from what the benches measured. Rivals run in the
same process as bridgex, with the same input, and are asserted to agree with it before their time
counts; `benches/python` has their source. Times are medians, with quartiles in brackets; ratios
are those of medians. Where only a part of the work was timed, the factor is given.

Rows have tails as in real models: Student's t with 3.5 to 6 degrees of freedom.
"""

VECTORS = """\
`BRIDGEX_SIMD` forces the instruction set of every loop of bridgex, but not that of the matrix
products: the `gemm` crate looks at the processor itself, as do the libraries of the rivals. With
`avx2` on a processor with AVX-512 the products are therefore still made with AVX-512.
"""

STORAGE = """\
Probe activations of all layers of one pair of languages, written as one part and read back: whole
layers, or scattered rows of every layer. All are given single precision and give single precision
back, whatever they store. The file cache is warm; nobody waits for the disk, but where it says
*flushed*: there the store commits as it always does, and the memory map is flushed. Committing
includes a check that every value is finite, and a checksum of every file.
"""

LABELS = {
    "torch": "torch: all centred kernels, one product",
    "taylor": "NumPy: Taylor series of order 3, one product",
    "published loop": "torch: loop over pairs with dense products, as published",
    "numpy product": "sgemm of the same products, NumPy",
    "torch product": "sgemm of the same products, torch",
    "hdf5": "HDF5, contiguous (h5py)",
    "zarr": "zarr, chunks of 128 rows in a shard per layer",
    "hidden states": "transformers: output_hidden_states",
    "per prompt": "text by text with the head, every layer to the host, as published",
    "nnsight": "nnsight, values saved and then counted",
    "transformer_lens": "TransformerLens, run_with_cache, values then counted",
    "torch file": "torch.save, torch.load(mmap=True)",
}


def seconds(value: float) -> str:
    """Return a time with three digits and its unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if value >= size:
            return f"{digits(value / size)} {unit}"
    return f"{digits(value / 1e-6)} µs"


def digits(value: float) -> str:
    """Return a number with three digits."""
    places = 0 if value <= 0 else max(0, 2 - int(np.floor(np.log10(value))))
    return f"{value:,.{places}f}"


def gigabytes(value: float) -> str:
    return f"{digits(value / 1e9)} GB"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def label(who: str) -> str:
    return LABELS.get(who, who.removeprefix("test_").replace("_", " "))


def machine(run: Run) -> str:
    """Return what is known about the machine."""
    info = run.machine
    libraries = ", ".join(f"{name} {version}" for name, version in info["libraries"].items())
    environment = ", ".join(f"{name}={text}" for name, text in info["environment"].items())
    state = "busy: do not trust the times" if info["load"] > BUSY else "quiet"
    sizes = "full" if info["full"] else "tiny: the times say nothing"
    vectors = "with" if info["has_avx512"] else "without"
    lines = [
        f"- {info['cpu']}, {info['cores']} cores, {gigabytes(info['memory'])}, {vectors} AVX-512",
        f"- instruction set in use: **{info['simd']}**",
        f"- bridgex {info['version']} ({info['profile']}), Python {info['python']}, {libraries}",
        f"- environment: {environment}",
        f"- {run.date}, load average before the run {info['load']:.2f} ({state}), sizes: {sizes}",
    ]
    return "\n".join(lines) + "\n"


def condition(verdict: Verdict) -> tuple[str, str]:
    """Return what is asked and what was measured, in words."""
    bound, value, rival = verdict.bound, verdict.value, label(verdict.rival or "")
    if verdict.kind == "time":
        return f"≤ {seconds(bound)}", "" if value is None else seconds(value)
    if verdict.kind == "memory":
        return f"< {gigabytes(bound)}", "" if value is None else gigabytes(value)
    sign = "≥" if verdict.kind == "faster" else "≤"
    what = f"{sign} {bound:,} × {'' if verdict.kind == 'faster' else 'the time of '}{rival}"
    return what, "" if value is None else f"{digits(value)} ×"


def outcome(excess: float | None) -> str:
    """Return whether a condition is met, or by how much it is missed."""
    if excess is None:
        return "not run"
    return "yes" if excess <= 1 else f"**no**, by a factor of {excess:.2f}"


def target_table(results: Results) -> str:
    """Return every target, and whether it is met."""
    rows = []
    for target in TARGETS:
        for position, verdict in enumerate(verdicts(target, results)):
            asked, measured = condition(verdict)
            work = target.work if position == 0 else ""
            spread = quartiles(results, verdict)
            rows.append((work, asked, f"{measured}{spread}", outcome(verdict.excess)))
    return table(("work", "target", "measured", "met"), rows)


def quartiles(results: Results, verdict: Verdict) -> str:
    """Return the quartiles behind a time, or the time of the rival behind a ratio."""
    target = verdict.target
    if verdict.value is None or verdict.kind == "memory":
        return ""
    one = results[target.group, verdict.rival or target.who]
    if verdict.kind == "time":
        return f" {between(one)}"
    return f" ({seconds(total(one))})"


def between(one: Result) -> str:
    """Return the quartiles of a time; those of its parts where it is a sum."""
    if "seconds" in one.info:
        low, high = np.percentile(one.info["seconds"], [25, 75])
        return f"({len(one.info['seconds'])} calls of {seconds(low)} to {seconds(high)})"
    if one.rounds == 1:
        return "(once)"
    return f"({seconds(one.low)} to {seconds(one.high)})"


def everything(results: Results) -> str:
    """Return every bench that is neither part of a growth curve nor one of the store."""
    rows = []
    for (group, who), one in results.items():
        if group.startswith((*GROWTH, STORE)):
            continue
        own = next((results[group, who] for own, who in results if own == group), one)
        ratio = f"{digits(total(one) / total(own))} ×"
        scale = "" if one.scale == 1 else f"{one.scale:,.6g} × what was timed"
        rows.append(
            (
                group.removeprefix("test_bench_"),
                label(who),
                seconds(total(one)),
                between(one),
                str(one.rounds),
                ratio,
                notes(one, scale),
            )
        )
    head = ("bench", "who", "median", "quartiles", "calls", "of the first's time", "notes")
    return table(head, rows)


def notes(one: Result, scale: str) -> str:
    """Return what else a bench noted."""
    found = [scale] if scale else []
    if "rank" in one.info:
        found.append(f"up to {one.info['rank']} features a neuron")
    if "features" in one.info:
        found.append("{} × {} features".format(*one.info["features"]))
        found.append(f"{digits(one.info['flop'] / one.median / 1e9)} GFLOP/s")
    if "kurtosis" in one.info:
        found.append("kurtosis {kurtosis:.1f}, up to {kurtosis_max:.0f}".format(**one.info))
    return ", ".join(found)


def curves(results: Results) -> dict[str, list[tuple[float, float]]]:
    """Return sizes and times of every growth curve, by its group."""
    found: dict[str, list[tuple[float, float]]] = {}
    for (group, _), one in results.items():
        if group.startswith(GROWTH):
            found.setdefault(group, []).append((float(one.info["size"]), one.median))
    return {group: sorted(points) for group, points in found.items()}


def exponent(points: list[tuple[float, float]]) -> float:
    """Return the slope of a line through the logarithms."""
    size, time = np.log(np.array(points)).T
    return float(np.polyfit(size, time, 1)[0])


def growth_table(results: Results) -> str:
    """Return the exponents over all sizes and over each decade."""
    rows = []
    for group, points in curves(results).items():
        if len(points) <= HALF_DECADES:
            continue
        decades = [
            f"{exponent(points[start : start + HALF_DECADES + 1]):.2f} "
            f"({points[start][0]:,.0f} to {points[start + HALF_DECADES][0]:,.0f})"
            for start in range(0, len(points) - HALF_DECADES, HALF_DECADES)
        ]
        ends = f"{seconds(points[0][1])} to {seconds(points[-1][1])}"
        rows.append((group, f"**{exponent(points):.2f}**", ", ".join(decades), ends))
    return table(("time against", "exponent", "in each decade", "times"), rows)


def store_table(results: Results) -> str:
    """Return what writing and reading the activations of all layers costs, beside a raw file."""
    rows = []
    for (group, who), one in results.items():
        if group.startswith(STORE):
            size = float(np.prod(one.info["shape"])) * one.info["itemsize"]
            base = results.get((group, STORE_BASE), one)
            ratio = f"{digits(one.median / base.median)} ×"
            speed = f"{digits(size / one.median / 1e9)} GB/s"
            work = f"{group.removeprefix(STORE)}, {' × '.join(f'{n:,}' for n in one.info['shape'])}"
            times = (seconds(one.median), between(one), str(one.rounds))
            rows.append((work, label(who), *times, ratio, speed))
    head = ("work", "who", "median", "quartiles", "calls", f"of {STORE_BASE}'s time", "speed")
    return table(head, rows)


def thread_table(results: Results) -> str:
    """Return what a second thread gains."""
    rows = []
    for (group, who), one in results.items():
        two = results.get((group, "2 threads"))
        if who == "1 threads" and two:
            ratio = f"{one.median / two.median:.2f} ×"
            rows.append((group, seconds(one.median), seconds(two.median), ratio))
    return table(("bench", "1 thread", "2 threads", "faster by"), rows)


def profile_table(profile: dict[str, Any]) -> str:
    """Return where the time goes."""
    parts = list(profile["parts"])
    rows = (
        (bench, *(f"{100 * shares.get(part, 0.0):.0f} %" for part in parts))
        for bench, shares in profile["benches"].items()
    )
    return table(("bench", *parts), rows)


def page(runs: Sequence[Run], criterion: Results, profile: dict[str, Any] | None) -> str:
    """Return the whole page."""
    found = [INTRODUCTION]
    for run in runs:
        results = {**run.results, **criterion}
        simd = run.machine["simd"]
        found += [f"## Targets, with {simd}\n", machine(run), target_table(results)]
        found += [f"### Everything that was measured, with {simd}\n", everything(run.results)]
        if curves(run.results):
            found += [f"### Growth, with {simd}\n", growth_table(run.results)]
        if any(group.startswith(STORE) for group, _ in run.results):
            found += [f"### Store, with {simd}\n", STORAGE, store_table(run.results)]
        found += [f"### Threads, with {simd}\n", thread_table(run.results)]
    found += ["## Instruction sets\n", VECTORS]
    kernels = {key: one for key, one in criterion.items() if key[0] == CRITERION}
    if kernels:
        found += ["Overlap kernels, by instruction set (criterion):\n", everything(kernels)]
    if profile:
        found += ["## What limits it\n", profile["method"] + "\n", profile_table(profile)]
    return "\n".join(found)


def main() -> None:
    """Print the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, help="files of pytest --benchmark-json")
    parser.add_argument("--criterion", type=Path, help="directory that cargo bench wrote to")
    parser.add_argument("--profile", type=Path, help="file that benches.python.profile wrote")
    options = parser.parse_args()
    criterion = read_criterion(options.criterion) if options.criterion else {}
    profile = json.loads(options.profile.read_text()) if options.profile else None
    runs = [read_run(path) for path in options.runs]
    sys.stdout.write(page(runs, criterion, profile))


if __name__ == "__main__":
    main()
