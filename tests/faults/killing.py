"""Processes that work on stores and are killed, or race: run as a script, by the tests beside it.

One process imports everything and forks the others, so that a kill costs milliseconds. It never
starts zarr itself: a process that forks must not have threads.

Prints one JSON object.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
import traceback
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tests.faults.store_work import (
    GOLD,
    PAIR,
    WORKS,
    Work,
    bits,
    check,
    choice,
    clean,
    compact_all,
    ingest,
    open_store,
    probe_some,
    text,
)

from bridgex.store import Store, collect_garbage

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridgex.store import Codec

STEPS = frozenset(
    {"open", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.listdir"}
)
"""What Python announces before it does it. Between two of them nothing changes but the content of
files that nobody else reads yet; that is for the kills at random instants.
"""


def fork(work: Callable[[], object]) -> int:
    """Start a process that does some work."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        work()
        status = 0
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        os._exit(status)


def killed(child: int) -> bool:
    """Wait for a process; say whether it was killed. It must not fail in another way."""
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status) and os.WEXITSTATUS(status):
        raise SystemExit("a process failed")
    return os.WIFSIGNALED(status)


def ended(child: int) -> bool:
    """Say whether a process has ended. It must not fail."""
    found, status = os.waitpid(child, os.WNOHANG)
    if status:
        raise SystemExit("a process failed")
    return bool(found)


def undisturbed(work: Callable[[], Any]) -> Any:
    """Return what some work returns (JSON-able) when a process of its own does it."""
    read, write = os.pipe()
    child = fork(lambda: os.write(write, json.dumps(work()).encode()))
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        content = pipe.read()
    if killed(child):
        raise SystemExit("nobody should have killed this process")
    return json.loads(content)


def kill_at_step(root: Path, number: int) -> None:
    """Let this process kill itself before the n-th thing that it does to a file below a path."""
    left = number

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        if event in STEPS and is_below(root, arguments):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def is_below(root: Path, arguments: tuple[object, ...]) -> bool:
    """Say whether a file is meant that lies below a path, or relative to an open directory."""
    relative = isinstance(arguments[-1], int) and arguments[-1] >= 0 and len(arguments) == 2
    return relative or str(root) in str(arguments[0])


def disturbed(disturb: Callable[[], object], work: Callable[[], object]) -> None:
    disturb()
    work()


def prepare(root: Path, work: Work) -> tuple[Path, str, float]:
    """Return what the work begins with, what undisturbed work leads to, and how long it takes."""
    base, whole = root / "base", root / "whole"
    base.mkdir(parents=True)
    undisturbed(lambda: work.prepare(base))
    shutil.copytree(base, whole)
    start = time.monotonic()
    undisturbed(lambda: work.act(whole))
    seconds = time.monotonic() - start
    return base, undisturbed(lambda: bits(whole / "store")), seconds


def repair(trial: Path, work: Work, expected: str) -> None:
    """Check a store that a killed process left; then do the work, and compare every bit."""
    undisturbed(lambda: check(trial / "store"))
    undisturbed(lambda: work.act(trial))
    check_same(trial / "store", expected)
    shutil.rmtree(trial)


def check_same(path: Path, expected: str) -> None:
    """Compare a store bit by bit with what undisturbed work leads to, also once it is cleaned."""
    for look in (bits, clean_bits):
        if undisturbed(partial(look, path)) != expected:
            raise SystemExit(f"{path} is not what undisturbed work leads to")


def clean_bits(path: Path) -> str:
    clean(path)
    return bits(path)


def kill_at_every_step(root: Path, name: str, first: int, every: int) -> dict[str, int]:
    """Kill the work before one step after the other, each time from the beginning."""
    work = WORKS[name]
    base, expected, _ = prepare(root, work)
    kills, number = 0, first
    while True:
        trial = root / f"step{number}"
        shutil.copytree(base, trial)
        disturb = partial(kill_at_step, trial, number)
        if not killed(fork(partial(disturbed, disturb, partial(work.act, trial)))):
            return {"kills": kills, "steps": number}
        repair(trial, work, expected)
        kills += 1
        number += every


def kill_at_random(root: Path, name: str, kills: int, seed: int) -> dict[str, int]:
    """Kill the work at random instants, up to three times in a row before it is repaired."""
    work = WORKS[name]
    base, expected, seconds = prepare(root, work)
    generator = np.random.default_rng(seed)
    done = trials = 0
    while done < kills:
        trial = root / f"trial{trials}"
        shutil.copytree(base, trial)
        for _ in range(int(generator.integers(1, 4))):
            child = fork(partial(work.act, trial))
            time.sleep(generator.uniform(0.0, seconds))
            os.kill(child, signal.SIGKILL)
            done += killed(child)
            undisturbed(partial(check, trial / "store"))
        repair(trial, work, expected)
        trials += 1
    return {"kills": done, "repairs": trials}


def storm(path: Path, kills: int, workers: int, seed: int) -> dict[str, int]:
    """Let a text grow while several processes ingest what is there and are killed."""
    generator = np.random.default_rng(seed)
    records = text(kills)
    running: list[int] = []
    done = rounds = 0
    while done < kills:
        rounds += 1
        running = [child for child in running if not ended(child)]
        while len(running) < workers:
            length = int(generator.integers(1, min(4 * rounds, len(records)) + 1))
            running.append(fork(partial(ingest, path, records[:length], seed=rounds)))
        time.sleep(generator.uniform(0.0, 0.05))
        victim = running.pop(int(generator.integers(len(running))))
        os.kill(victim, signal.SIGKILL)
        done += killed(victim)
        undisturbed(lambda: check(path))
    for child in running:
        killed(child)
    undisturbed(lambda: ingest(path, records))
    compare(path, records)
    return {"kills": done, "records": len(records)}


def compare(path: Path, records: list[str]) -> None:
    """Compare a store bit by bit with one that the same text was ingested into at once."""
    whole = path.with_name("whole")
    undisturbed(lambda: ingest(whole, records))
    check_same(path, undisturbed(lambda: bits(whole)))


def race(path: Path, workers: int, parts: int) -> dict[str, object]:
    """Let writers that begin at once do the same parts in two orders, with a reader."""
    records = text(parts)
    pipes = [os.pipe() for _ in range(workers)]
    start = time.time() + 0.2

    def work(index: int) -> None:
        time.sleep(max(0.0, start - time.time()))
        os.write(pipes[index][1], str(ingest(path, records, seed=index // 2)).encode())

    running = {fork(partial(work, index)) for index in range(workers)}
    seen = set()
    while running:
        seen.add(check(path))
        running -= {child for child in running if ended(child)}
    compare(path, records)
    won = [int(os.read(read, 20)) for read, _ in pipes]
    return {"won": won, "views": len(seen)}


def race_choices(root: Path, workers: int, rounds: int) -> dict[str, object]:
    """Let writers that would keep different neurons begin the same probes at once."""
    records = text(6)
    won = set()
    for number in range(rounds):
        path = root / f"round{number}"
        pipes = [os.pipe() for _ in range(workers)]
        start = time.time() + 0.05
        running = [
            fork(partial(choose_at, start, path, one, records, pipes[one][1]))
            for one in range(workers)
        ]
        if sum(killed(child) for child in running):
            raise SystemExit("nobody should have killed these processes")
        (decided,) = {os.read(read, 64).decode() for read, _ in pipes}
        for end in (end for pipe in pipes for end in pipe):
            os.close(end)
        winner = [choice(0).digest, choice(1).digest].index(decided)
        won.add(winner)
        check_choice(path, winner, records)
    return {"rounds": rounds, "won": sorted(won)}


def choose_at(start: float, path: Path, writer: int, records: list[str], result: int) -> None:
    """Begin at a given time to ingest probes of the neurons that are decided on."""
    time.sleep(max(0.0, start - time.time()))
    os.write(result, str(probe_some(path, writer, records)).encode())


def check_choice(path: Path, winner: int, records: list[str]) -> None:
    """Compare with a store in which a writer was alone. Losers must leave nothing behind."""
    markers = [marker.parts[-3] for marker in path.glob("commits/*/*/*.json")]
    if markers.count("neurons") != 1 or len(list(path.glob("parts/*"))) != len(markers):
        raise SystemExit(f"there is more in {path} than one decision and its probes")
    whole = path.with_name(f"whole{winner}")
    undisturbed(partial(probe_some, whole, winner, records))
    check_same(path, undisturbed(partial(bits, whole)))


def kill_once_chosen(path: Path) -> dict[str, object]:
    """Kill a writer between its choice of neurons and the first probes; another one goes on."""

    def choose_and_die() -> None:
        open_store(path).decide_form(PAIR, GOLD, choice(0))
        os.kill(os.getpid(), signal.SIGKILL)

    if not killed(fork(choose_and_die)):
        raise SystemExit("the process should have been killed")
    committed = [marker.parts[-3] for marker in path.glob("commits/*/*/*.json")]
    undisturbed(partial(check, path))
    records = text(6)
    decided = undisturbed(partial(probe_some, path, 1, records))
    check_choice(path, 0, records)
    return {"committed": committed, "kept": decided == choice(0).digest}


def race_compactions(root: Path, workers: int, rounds: int) -> dict[str, int]:
    """Let processes compact one store at once, with other codecs, and read it meanwhile."""
    work = WORKS["compact"]
    views = 0
    for number in range(rounds):
        trial = root / f"round{number}"
        trial.mkdir(parents=True)
        undisturbed(partial(work.prepare, trial))
        expected = undisturbed(partial(bits, trial / "store"))
        codecs: list[Codec] = ["none", "zstd", "none", "blosc"]
        running = {fork(partial(compact_all, trial, codecs[one % 4])) for one in range(workers)}
        while running:
            if undisturbed(partial(bits, trial / "store")) != expected:
                raise SystemExit(f"a reader of {trial} saw something else")
            views += 1
            running -= {child for child in running if ended(child)}
        undisturbed(partial(compact_all, trial))
        if undisturbed(partial(bits, trial / "store")) != expected:
            raise SystemExit(f"{trial} is not what it was")
    return {"views": views}


def race_collections(root: Path, workers: int, rounds: int) -> dict[str, int]:
    """Let processes collect old garbage of one store at once, while others write and compact."""
    records = text(6)
    views = 0
    for number in range(rounds):
        store = root / f"round{number}" / "store"
        store.parent.mkdir(parents=True)
        undisturbed(partial(WORKS["gc"].prepare, store.parent))
        garbage = [path for path in store.rglob("*") if is_abandoned(path)]
        for path in store.rglob("*"):
            os.utime(path, (0, 0))
        running = {fork(partial(collect_old, store)) for _ in range(workers)}
        running |= {fork(partial(ingest, store, records)), fork(partial(compact_all, store.parent))}
        while running:
            undisturbed(partial(check, store))
            views += 1
            running -= {child for child in running if ended(child)}
        undisturbed(partial(ingest, store, records))
        compare(store, records)
        if len(garbage) != 2 or any(path.exists() for path in garbage):
            raise SystemExit(f"garbage is left in {store}")
    return {"views": views}


def is_abandoned(path: Path) -> bool:
    return path.name.startswith(".bridgex-") or path.suffix == f".{'0' * 16}"


def collect_old(path: Path) -> None:
    collect_garbage(Store.open(path))


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


ACTIONS: dict[str, Callable[..., dict[str, Any]]] = {
    "choices": race_choices,
    "chosen": kill_once_chosen,
    "collections": race_collections,
    "compactions": race_compactions,
    "create": create,
    "race": race,
    "random": kill_at_random,
    "steps": kill_at_every_step,
    "storm": storm,
}

if __name__ == "__main__":
    action, place, *rest = sys.argv[1:]
    arguments = [int(value) if value.isdecimal() else value for value in rest]
    sys.stdout.write(json.dumps(ACTIONS[action](Path(place), *arguments)))
