"""Where the time of ``benches/rust/dependence.rs`` goes, by what the code is for.

``python -m benches.python.hotspots > FILE.json`` builds the bench, runs it and samples its stacks
with ``perf``. The sources of every frame, inlined ones too, come from ``addr2line``; the innermost
frame that lies in the core says what a sample was spent on.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

BENCHES = ("layer/100 x 100", "layer/500 x 500", "neuron/100 x 100", "neuron/500 x 500")
SECONDS = 4
FREQUENCY = 499

# By the source file that the innermost frame of the core lies in.
PARTS = {
    "dependence/tile.rs": "scores from products",
    "dependence/estimate.rs": "scores from products",
    "dependence/matches.rs": "scores from products",
    "kernel/features.rs": "features",
    "kernel/eigen.rs": "features",
    "dependence/neuron.rs": "features",
    "kernel/exact.rs": "kernels",
    "kernel/difference.rs": "kernel widths",
    "kernel/distance.rs": "kernel widths",
    "kernel/standardise.rs": "standardising",
}
PRODUCTS = "products of features"
OTHER = "the rest"
# What is called from everywhere says nothing about what for.
SHARED = ("simd.rs", "real.rs", "parallel.rs", "rows.rs")
PRODUCT = "product.rs"
CORE = re.compile(r"bridgex-core/src/([a-z_/]+\.rs)")

METHOD = (
    f"Share of the samples that `perf` took at {FREQUENCY} Hz while the criterion bench ran on "
    "one thread, by what the code is for. The products of features are the floor: nothing that "
    "compares all neurons through such features takes less."
)


def run(*command: object) -> str:
    """Return what a command prints."""
    words = [str(word) for word in command]
    return subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout


def build() -> Path:
    """Return the bench's executable, with the line numbers of its code."""
    os.environ["CARGO_PROFILE_BENCH_DEBUG"] = "line-tables-only"
    options = ("--quiet", "--locked", "--package", "bridgex-core", "--bench", "dependence")
    messages = run("cargo", "bench", *options, "--no-run", "--message-format=json")
    built = [json.loads(line).get("executable") for line in messages.splitlines()]
    return Path(next(one for one in reversed(built) if one))


def stacks(binary: Path, bench: str, directory: str) -> Iterator[list[int]]:
    """Yield the offsets in the binary of every sampled stack, the innermost first."""
    data = Path(directory) / "perf.data"
    record = ("perf", "record", "-q", "-F", FREQUENCY, "--call-graph", "dwarf", "-o", data)
    run(*record, binary, "--bench", "--profile-time", SECONDS, bench)
    listing = run("perf", "script", "-i", data, "-F", "ip,dso", "--no-inline")
    for sample in listing.split("\n\n"):
        frames = [line.split(maxsplit=1) for line in sample.splitlines() if line.strip()]
        # All but the innermost are where a call returns to: the byte before is in the call.
        yield [
            int(address, 16) - (position > 0)
            for position, (address, origin) in enumerate(frames)
            if binary.name in origin
        ]


def shift(binary: Path) -> int:
    """Return how far addresses of code are from its place in the file."""
    for line in run("readelf", "-lW", binary).splitlines():
        words = line.split()
        if words[:1] == ["LOAD"] and "E" in words[6:8]:
            return int(words[2], 16) - int(words[1], 16)
    raise ValueError(f"{binary} has no segment of code")


def sources(binary: Path, offsets: Iterable[int]) -> dict[int, list[str]]:
    """Return the files of the core that the code at an offset comes from, the innermost first."""
    offsets, base = sorted(set(offsets)), shift(binary)
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as listed:
        listed.writelines(f"{offset + base:#x}\n" for offset in offsets)
        listed.flush()
        text = run("addr2line", "-a", "-i", "-e", binary, f"@{listed.name}")
    # One line with the address, then one for every function that was inlined there.
    places = re.split(r"^0x[0-9a-f]+\n", text, flags=re.MULTILINE)[1:]
    return {offset: CORE.findall(place) for offset, place in zip(offsets, places, strict=True)}


def part(files: Sequence[str]) -> str | None:
    """Return what a stack was for, from its files of the core, the innermost first."""
    own = [file for file in files if file not in SHARED]
    if not own:
        return None
    multiplies = own[0] == PRODUCT
    caller = next((file for file in own if file != PRODUCT), "")
    if multiplies and caller == "dependence/tile.rs":
        return PRODUCTS
    return PARTS.get(caller, OTHER)


def shares(binary: Path, bench: str) -> dict[str, float]:
    """Return the share of time of every part of a bench."""
    with tempfile.TemporaryDirectory() as directory:
        sampled = list(stacks(binary, bench, directory))
    files = sources(binary, (offset for stack in sampled for offset in stack))
    parts = (part([file for offset in stack for file in files[offset]]) for stack in sampled)
    counts = Counter(one for one in parts if one)
    return {one: count / counts.total() for one, count in counts.most_common()}


def main() -> None:
    """Print the shares of all benches."""
    binary = build()
    found = {}
    for bench in BENCHES:
        sys.stderr.write(f"sampling {bench}\n")
        found[bench] = shares(binary, bench)
    parts = sorted({one for bench in found.values() for one in bench})
    parts.sort(key=lambda one: -sum(bench.get(one, 0.0) for bench in found.values()))
    json.dump({"method": METHOD, "parts": parts, "benches": found}, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
