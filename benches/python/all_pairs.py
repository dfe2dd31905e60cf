"""Score all pairs of languages in this process, and print how long it took and its memory.

``python -m benches.python.all_pairs`` is run by the benches, so that its memory is its own.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from itertools import combinations
from pathlib import Path

import numpy as np
from benches.python.workload import FULL, LANGUAGES, LAYERS, OWN, Spectrum, spectrum

from bridgex.analysis.arrays import spectrum_scores

THREADS = 2


def peak_memory() -> int:
    """Return the most memory that this process had, in bytes.

    Linux counts what the parent had at the time of the fork in ``ru_maxrss``.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(one for one in status.read_text().splitlines() if one.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def next_pair(rng: np.random.Generator, one: Spectrum) -> Spectrum:
    """Return another pair's rows: other neurons, drawn from those of the first."""
    pair, bridge = [], []
    for layer in range(LAYERS):
        pool = np.concatenate([one.pair[layer], one.bridge[layer]])
        order = rng.permutation(len(pool))
        pair.append(pool[order[:OWN]])
        bridge.append(pool[order[OWN:]])
    return Spectrum(pair, bridge, one.members)


def main() -> None:
    """Score every pair; the calls alone are timed."""
    rng = np.random.default_rng(1)
    first = spectrum()
    pairs = list(combinations(range(LANGUAGES), 2))
    seconds, finite = [], True
    for position, pair in enumerate(pairs):
        one = next_pair(rng, first)
        start = time.perf_counter()
        found = spectrum_scores(
            one.pair, one.bridge, one.members, bandwidth="layer", threads=THREADS
        )
        seconds.append(time.perf_counter() - start)
        finite = finite and bool(np.isfinite(found.score).all())
        if FULL and position % 15 == 0:
            sys.stderr.write(f"pair {pair} of {len(pairs)}: {seconds[-1]:.2f} s\n")
    result = {"seconds": seconds, "peak_memory": peak_memory(), "finite": finite}
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
