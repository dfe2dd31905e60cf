"""Writers that are killed, and writers that race: run as a script, by the tests beside it.

One process imports everything and forks the writers, so that a kill costs milliseconds. It never
starts zarr itself: a process that forks must not have threads.

Prints one JSON object.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bridgex.corpora import CorpusPart, split_parts, split_words
from bridgex.schema import NeuronStatistics, Pair, WordPair
from bridgex.store import Store
from bridgex.testing import synthetic

if TYPE_CHECKING:
    from collections.abc import Callable

PART_BYTES = 40
PAIR = Pair("id", "tl")


def text(parts: int) -> list[str]:
    """Return a text of that many parts of two records."""
    return [f"rekodi namba {number:06d}" for number in range(2 * parts)]


def open_store(path: Path) -> Store:
    return Store.open_or_create(path, synthetic.provenance(), part_bytes=PART_BYTES, probe_block=4)


def parts_of(records: list[str]) -> list[CorpusPart]:
    return list(split_parts(records, language="sw", part_bytes=PART_BYTES))


def ingest(path: Path, records: list[str], seed: int | None = None) -> int:
    """Ingest a text and probes of its records as words; return the number of commits won."""
    store = open_store(path)
    parts = parts_of(records)
    if seed is not None:
        parts = [parts[index] for index in np.random.default_rng(seed).permutation(len(parts))]
    won = sum(
        store.add_statistics(part, synthetic.statistics(part.records))
        for part in store.missing_parts(parts)
    )
    words = split_words((WordPair(record, ("x",)) for record in records), pair=PAIR, block=4)
    return won + sum(
        store.add_probes(part, synthetic.probes(part, "keep"), "keep")
        for part in store.missing_probes(words, "keep")
    )


def fork(work: Callable[[], object]) -> int:
    """Start a process that does some work."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        work()
        status = 0
    except Exception:
        traceback.print_exc()
        raise
    finally:
        os._exit(status)


def killed(child: int) -> bool:
    """Wait for a process; say whether it was killed. It must not fail in another way."""
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status) and os.WEXITSTATUS(status):
        raise SystemExit("a writer failed")
    return os.WIFSIGNALED(status)


def ended(child: int) -> bool:
    """Say whether a process has ended. It must not fail."""
    found, status = os.waitpid(child, os.WNOHANG)
    if status:
        raise SystemExit("a writer failed")
    return bool(found)


def kill_at_event(path: Path, number: int) -> None:
    """Let this process kill itself at the n-th thing that it does to a file of the store."""
    left = number

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        if event in EVENTS and str(path) in str(arguments[0]):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


EVENTS = frozenset({"open", "os.link", "os.mkdir", "os.remove", "os.rename", "os.listdir"})


def ingest_until_killed(path: Path, records: list[str], number: int) -> None:
    """Ingest a text, unless it takes more steps than that."""
    kill_at_event(path, number)
    ingest(path, records)


def kill_everywhere(path: Path, first: int, every: int) -> dict[str, object]:
    """Kill a writer at one event after the other, until one gets through."""
    records = text(2)
    kills, number = 0, first
    while killed(fork(partial(ingest_until_killed, path, records, number))):
        kills += 1
        number += every
        if (path / "zarr.json").exists():
            check_readable(path, records)
    return {"kills": kills, "records": len(records)}


def kill_at_random(path: Path, kills: int, seed: int) -> dict[str, object]:
    """Kill writers at random instants while the text grows; finish undisturbed."""
    generator = np.random.default_rng(seed)
    records = text(kills)
    done = 0
    for index in range(kills):
        length = int(generator.integers(2 * index + 1, len(records) + 1))
        child = fork(partial(ingest, path, records[:length]))
        time.sleep(generator.uniform(0.0, 0.05))
        os.kill(child, signal.SIGKILL)
        done += killed(child)
        if (path / "zarr.json").exists():
            check_readable(path, records)
    if killed(fork(partial(ingest, path, records))):
        raise SystemExit("nobody should have killed the last writer")
    return {"kills": done, "records": len(records)}


def race(path: Path, workers: int) -> dict[str, object]:
    """Let writers that begin at once do the same parts in two orders, with a reader."""
    records = text(12)
    pipes = [os.pipe() for _ in range(workers)]
    start = time.time() + 0.2

    def work(index: int) -> None:
        time.sleep(max(0.0, start - time.time()))
        os.write(pipes[index][1], str(ingest(path, records, seed=index // 2)).encode())

    children = [fork(partial(work, index)) for index in range(workers)]
    running, seen = set(children), set()
    while running:
        if (path / "zarr.json").exists():
            seen.add(check_readable(path, records))
        running -= {child for child in running if ended(child)}
    won = [int(os.read(read, 20)) for read, _ in pipes]
    return {"won": won, "records": len(records), "views": len(seen)}


def open_at(start: float, path: Path) -> None:
    """Open or create a store at a given time."""
    while time.time() < start:
        pass
    open_store(path)


def create(path: Path, rounds: int) -> dict[str, object]:
    """Let four writers create the same store at once, again and again."""
    for index in range(rounds):
        start = time.time() + 0.01
        children = [fork(partial(open_at, start, path / str(index))) for _ in range(4)]
        for child in children:
            killed(child)
    return {"stores": len(list(path.glob("*/zarr.json")))}


def check_readable(path: Path, records: list[str]) -> int:
    """Check that a view of the store adds up exactly; return the number of records in it."""
    snapshot = Store.open(path).snapshot()
    if "sw" not in snapshot.languages:
        return 0
    markers = snapshot.markers("commits/statistics/sw")
    numbers = [
        number for marker in markers for number in range(marker.records_before, marker.records_end)
    ]
    assert len(set(numbers)) == len(numbers), "a record counts twice"
    expected = statistics_of(tuple(records[number] for number in numbers))
    found = snapshot.statistics("sw")
    assert (found.record_count, found.token_count) == (len(numbers), expected.token_count)
    assert (found.positive_count == expected.positive_count).all()
    assert (found.maximum == expected.maximum).all()
    return found.record_count


@cache
def statistics_of(records: tuple[str, ...]) -> NeuronStatistics:
    """Return the statistics of some records, computed once."""
    return synthetic.statistics(records)


ACTIONS: dict[str, Callable[..., dict[str, object]]] = {
    "create": create,
    "events": kill_everywhere,
    "random": kill_at_random,
    "race": race,
}

if __name__ == "__main__":
    name, store, *rest = sys.argv[1:]
    numbers = [int(value) for value in rest]
    sys.stdout.write(json.dumps(ACTIONS[name](Path(store), *numbers)))
