"""Ingestion layer by layer that is killed and done again: run as a script, by the test beside it.

One process imports everything and forks the others, so that a kill costs milliseconds. It opens
the model, reads no parameter and never starts zarr itself: a process that forks must not have
threads. Prints one JSON object.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tests.faults.killing import STEPS, disturbed, fork, is_below, kill_at_step, killed, undisturbed
from tests.faults.store_work import bits, clean
from tests.small_models import make_model, make_tokenizer

from bridgex.capture import count_tokens, load_model
from bridgex.capture.costs import LOADINGS, Budget
from bridgex.corpora import split_parts, split_words
from bridgex.engines.groups import corpus_groups, word_groups
from bridgex.engines.local import ingest_corpora, ingest_probes
from bridgex.lexicon import Lexicon
from bridgex.progress import Silent
from bridgex.schema import FULL_PROBES, Pair, WordPair
from bridgex.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridgex.capture import CaptureModel

PART_BYTES = 64
BLOCK = 4
# Tokens and parts of a group.
ROOM = (120, 4)
TEXTS = {
    "de": tuple(f"Hund und Katze {number}" for number in range(12)),
    "en": tuple(f"the dog, number {number}" for number in range(9)),
}
WORDS = tuple(WordPair(f"word{number}", (f"Wort{number}",)) for number in range(20))
LEXICON = Lexicon(Pair("en", "de"), WORDS)


class Counting(Silent):
    """Writes down what is computed, where it survives a kill."""

    def __init__(self, log: Path, unit: str = "") -> None:
        self._log = log
        self._unit = unit

    @contextmanager
    def task(self, description: str, *, total: int, unit: str) -> Iterator[Silent]:
        del description, total
        yield Counting(self._log, unit)

    def advance(self, amount: int) -> None:
        with self._log.open("a") as file:
            file.write(f"{self._unit} {amount}\n")


def computed(root: Path) -> Counter[str]:
    """Return the tokens and words that were computed."""
    found = Counter[str]()
    for line in (root / "log").read_text().splitlines() if (root / "log").exists() else ():
        unit, amount = line.split()
        found[unit] += int(amount)
    return found


def open_model(directory: Path) -> CaptureModel:
    """Open a small model with room for some tokens beside a layer."""
    tokenizer = make_tokenizer()
    make_model("llama", len(tokenizer), num_hidden_layers=2).save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    model = load_model(directory, device="cpu", mode="sweep")
    assert model.budget is not None
    costs = model.budget.costs
    limit = min(map(costs.fixed, LOADINGS)) + costs.group(*ROOM)
    return replace(model, budget=Budget(limit, costs))


def ingest(model: CaptureModel, root: Path) -> None:
    store = Store.open_or_create(
        root / "store", model.provenance, part_bytes=PART_BYTES, probe_block=BLOCK
    )
    reporter = Counting(root / "log")
    ingest_corpora(model, store, TEXTS, reporter=reporter)
    ingest_probes(model, store, LEXICON, gold="off", reporter=reporter)


def largest_groups(model: CaptureModel) -> dict[str, int]:
    """Return the tokens and the words of the largest group."""
    parts = [
        part
        for language, records in TEXTS.items()
        for part in split_parts(records, language=language, part_bytes=PART_BYTES)
    ]
    texts = [
        sum(count_tokens(model, part.records) for part in group)
        for group in corpus_groups(model, parts)
    ]
    blocks = split_words(WORDS, pair=LEXICON.pair, block=BLOCK)
    words = [
        sum(len(part.records) for part in group)
        for group in word_groups(model, blocks, FULL_PROBES)
    ]
    assert len(texts) > 2
    assert len(words) > 1
    return {"tokens": max(texts), "words": max(words)}


class Whole:
    """What undisturbed work computes and leads to, and how long it takes."""

    def __init__(self, model: CaptureModel, root: Path) -> None:
        self.model = model
        self.groups: dict[str, int] = undisturbed(partial(largest_groups, model))
        root.mkdir()
        start = time.monotonic()
        self.steps: int = undisturbed(partial(count_steps, model, root))
        self.seconds = time.monotonic() - start
        self.bits = undisturbed(partial(bits, root / "store"))
        self.computed = computed(root)

    def compare(self, root: Path, kills: int) -> float:
        """Finish what was killed; check every bit; return the groups that were lost for a kill."""
        undisturbed(partial(ingest, self.model, root))
        more = computed(root) - self.computed
        lost = sum(more[unit] / size for unit, size in self.groups.items())
        if lost > kills:
            raise SystemExit(f"{kills} kills lost {lost} groups")
        undisturbed(partial(clean, root / "store"))
        if undisturbed(partial(bits, root / "store")) != self.bits:
            raise SystemExit(f"{root} is not what undisturbed work leads to")
        shutil.rmtree(root)
        return lost


def count_steps(model: CaptureModel, root: Path) -> int:
    """Do the work, and return how often it touches a file of the store."""
    count = 0

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal count
        count += event in STEPS and is_below(root / "store", arguments)

    sys.addaudithook(hook)
    ingest(model, root)
    return count


def kill_at_steps(whole: Whole, root: Path, count: int) -> dict[str, Any]:
    """Kill the work before some of the things that it does to files, each from the beginning."""
    lost = []
    for number in np.linspace(1, whole.steps, count + 2)[1:-1].astype(int):
        trial = root / f"step{number}"
        trial.mkdir()
        disturb = partial(kill_at_step, trial / "store", int(number))
        work = partial(ingest, whole.model, trial)
        if not killed(fork(partial(disturbed, disturb, work))):
            raise SystemExit(f"step {number} of {whole.steps} was never reached")
        lost.append(whole.compare(trial, 1))
    return {"kills": count, "steps": whole.steps, "lost_at_most": max(lost)}


def kill_at_random(whole: Whole, root: Path, kills: int) -> dict[str, Any]:
    """Kill the work at random instants, several times in a row before it may finish."""
    generator = np.random.default_rng(kills)
    done = 0
    lost = []
    while done < kills:
        trial = root / f"random{done}"
        trial.mkdir(exist_ok=True)
        in_a_row = 0
        for _ in range(int(generator.integers(1, 4))):
            child = fork(partial(ingest, whole.model, trial))
            time.sleep(generator.uniform(0.0, whole.seconds))
            os.kill(child, signal.SIGKILL)
            in_a_row += killed(child)
        lost.append(whole.compare(trial, in_a_row))
        done += in_a_row
    return {"kills": done, "lost_in_all": sum(lost)}


def main(place: Path, steps: int, kills: int) -> dict[str, Any]:
    whole = Whole(open_model(place / "model"), place / "whole")
    return {
        "steps": kill_at_steps(whole, place, steps),
        "random": kill_at_random(whole, place, kills),
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    root, *numbers = sys.argv[1:]
    sys.stdout.write(json.dumps(main(Path(root), *map(int, numbers))))
