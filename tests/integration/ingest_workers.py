"""Run by a test as a process of its own: one worker, then four at once, fill a store each.

Prints as JSON a digest of what each of the two stores holds. The workers are forked, so that
importing costs once; nothing here may start a thread before.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from bridgex.capture import load_model
from bridgex.engines.local import ingest_corpora, ingest_probes
from bridgex.lexicon import Lexicon
from bridgex.progress import Silent
from bridgex.schema import Pair, WordPair
from bridgex.store import Store

if TYPE_CHECKING:
    from bridgex.capture.policies import Mode

TEXTS = {
    "de": tuple(f"Hund und Katze {number}" for number in range(60)),
    "en": tuple(f"the dog, number {number}" for number in range(40)),
}
WORDS = tuple(WordPair(f"word{number}", (f"Wort{number}",)) for number in range(60))
LEXICON = Lexicon(Pair("en", "de"), WORDS)
MODES: tuple[Mode, ...] = ("resident", "sweep", "resident", "sweep")


def work(directory: Path, path: Path, mode: Mode, *, backwards: bool = False) -> None:
    torch.set_num_threads(1)
    model = load_model(directory, device="cpu", mode=mode, batch_tokens=64)
    store = Store.open_or_create(path, model.provenance, part_bytes=96, probe_block=8)
    order = reversed(TEXTS) if backwards else iter(TEXTS)
    ingest_corpora(model, store, {code: TEXTS[code] for code in order}, reporter=Silent())
    ingest_probes(model, store, LEXICON, gold="keep", reporter=Silent())


def race(directory: Path, path: Path, modes: tuple[Mode, ...]) -> None:
    children = []
    for number, mode in enumerate(modes):
        child = os.fork()
        if not child:
            status = 1
            try:
                work(directory, path, mode, backwards=number % 2 == 1)
                status = 0
            finally:
                os._exit(status)
        children.append(child)
    if any(os.waitpid(child, 0)[1] for child in children):
        raise SystemExit("a worker failed")


def held(path: Path) -> str:
    """Return a digest of every bit of the sums and of the probes."""
    snapshot = Store.open(path).snapshot()
    digest = hashlib.sha256()
    for code in sorted(TEXTS):
        for name, values in snapshot.statistics(code).known().items():
            digest.update(name.encode() + values.tobytes())
    probes = snapshot.probes(LEXICON.pair)
    for layer in range(len(snapshot.provenance.layer_sizes)):
        digest.update(probes.layer(layer).tobytes())
    return digest.hexdigest()


def main(directory: Path, stores: Path) -> None:
    race(directory, stores / "one", MODES[:1])
    race(directory, stores / "four", MODES)
    json.dump({name: held(stores / name) for name in ("one", "four")}, sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
