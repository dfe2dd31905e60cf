"""One of several workers that ingest the same text at once: run as a script, by the test beside it.

Says that it is ready, begins when told to, and says how many parts it committed.
"""

from __future__ import annotations

import sys

import numpy as np

from bridgex.corpora import split_parts, split_words
from bridgex.schema import Pair, WordPair
from bridgex.store import Store
from bridgex.testing import synthetic

PART_BYTES = 40
BLOCK = 4
PAIR = Pair("id", "tl")


def text(parts: int) -> list[str]:
    """Return a text of that many parts of two records."""
    return [f"rekodi namba {number:06d}" for number in range(2 * parts)]


def open_store(location: str) -> Store:
    provenance = synthetic.provenance()
    return Store.open_or_create(location, provenance, part_bytes=PART_BYTES, probe_block=BLOCK)


def ingest(location: str, records: list[str], seed: int) -> int:
    """Ingest a text, and its records as words, in an order of its own; count the parts won."""
    store = open_store(location)
    parts = list(split_parts(records, language="sw", part_bytes=PART_BYTES))
    order = np.random.default_rng(seed).permutation(len(parts))
    won = sum(
        store.add_statistics(parts[index], synthetic.statistics(parts[index].records))
        for index in order
    )
    words = split_words((WordPair(record, ("x",)) for record in records), pair=PAIR, block=BLOCK)
    return won + sum(
        store.add_probes(part, synthetic.probes(part, "keep"), "keep") for part in words
    )


if __name__ == "__main__":
    location, parts, seed = sys.argv[1:]
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    sys.stdout.write(f"{ingest(location, text(int(parts)), int(seed))}\n")
