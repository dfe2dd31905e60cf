"""Made the store that is kept as ``store-v1``, and the numbers in it, ``store-v1.json``.

The store stays as it is: what readers get from it must never change. This shows how it came to be.

``python -m tests.data.make_store_v1 DIRECTORY``
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bridgex.corpora import split_parts, split_words
from bridgex.schema import FULL_PROBES, GoldFilter, Pair, ProbeForm, WordPair
from bridgex.store import Store, compact
from bridgex.testing import synthetic

if TYPE_CHECKING:
    from bridgex.store import Snapshot

LAYER_SIZES = (2, 3)
PART_BYTES = 24
BLOCK = 3
SWAHILI = ["habari ya asubuhi", "nyota", "maji ni uhai", "mto", "jua na mvua"]
ENGLISH = ["good morning", "the star", "water is life", "a river", "sun and rain"]
WORDS = [
    WordPair("maji", ("water",)),
    WordPair("mto", ("river", "stream")),
    WordPair("jua", ("sun",)),
    WordPair("mvua", ("rain",)),
    WordPair("nyota", ("star",)),
    WordPair("ñandú", ("rhea",)),
    WordPair("水", ("water",)),
]
FORWARD, BACK, OVER = Pair("sw", "en"), Pair("en", "sw"), Pair("sw", "zh-Hans")
CHOSEN = ProbeForm("f16", np.array([1, 3, 4]), 50.0, ("en", "sw"))


def add_text(store: Store, language: str, records: list[str], corpus: str = "default") -> None:
    parts = split_parts(records, language=language, corpus=corpus, part_bytes=PART_BYTES)
    for part in store.missing_parts(parts):
        store.add_statistics(part, synthetic.statistics(part.records, layer_sizes=LAYER_SIZES))


def add_words(
    store: Store,
    pair: Pair,
    words: list[WordPair],
    gold: GoldFilter,
    form: ProbeForm = FULL_PROBES,
) -> None:
    kept = form.row_counts(LAYER_SIZES)
    for part in store.missing_probes(split_words(words, pair=pair, block=BLOCK), gold):
        store.add_probes(part, synthetic.probes(part, gold, layer_sizes=kept), gold, form)


def make(path: Path) -> None:
    """Make a store that has one of everything."""
    store = Store.create(
        path,
        synthetic.provenance(layer_sizes=LAYER_SIZES),
        part_bytes=PART_BYTES,
        probe_block=BLOCK,
    )
    # A short part that a longer one replaces; a second corpus; a series that was compacted.
    add_text(store, "sw", SWAHILI[:3])
    add_text(store, "sw", SWAHILI)
    add_text(store, "sw", SWAHILI[3:], corpus="news")
    add_text(store, "en", ENGLISH)
    compact(store, languages=["en"])
    # With and without the gold filter; compressed; some neurons in half precision.
    add_words(store, FORWARD, WORDS[:5], "keep")
    add_words(store, FORWARD, WORDS[:4], "off")
    add_words(store, FORWARD, WORDS[:5], "off")
    add_words(store, BACK, WORDS, "off")
    compact(store, codec="zstd", pairs=[BACK])
    add_words(store, OVER, WORDS[:4], "off", CHOSEN)
    # What killed writers leave.
    attempt = min((path / "parts").iterdir())
    left = attempt.with_name(f"{attempt.stem}.{'0' * 16}")
    shutil.copytree(attempt, left)
    (left / "zarr.json").write_text("{")
    (path / "commits/statistics/sw/.bridgex-0123456789abcdef.tmp").write_text("{")


def numbers(snapshot: Snapshot) -> dict[str, Any]:
    """Return what a reader gets, JSON-able."""
    found: dict[str, Any] = {}
    for language, corpora in (("en", ("default",)), ("sw", ("default", "news"))):
        for corpus in (None, *corpora):
            statistics = vars(snapshot.statistics(language, corpus))
            found[f"{language} {corpus or 'all'}"] = {
                name: np.asarray(value).tolist()
                for name, value in statistics.items()
                if value is not None
            }
    golds: tuple[tuple[Pair, GoldFilter], ...] = (
        (FORWARD, "keep"),
        (FORWARD, "off"),
        (BACK, "off"),
        (OVER, "off"),
    )
    for pair, gold in golds:
        probes = snapshot.probes(pair, gold)
        kept = probes.form.layer_neurons(LAYER_SIZES) or [np.arange(size) for size in LAYER_SIZES]
        found[f"{pair} {gold}"] = {
            "words": [[word.source, list(word.targets)] for word in probes.words],
            "considered": probes.considered,
            "neurons": [rows.tolist() for rows in kept],
            "layers": [probes.rows(layer, rows).tolist() for layer, rows in enumerate(kept)],
        }
    return found


def main() -> None:
    """Make the store and the file of its numbers in a directory."""
    directory = Path(sys.argv[1])
    make(directory / "store-v1")
    found = numbers(Store.open(directory / "store-v1").snapshot())
    lines = (f'"{name}": {json.dumps(value, ensure_ascii=False)}' for name, value in found.items())
    (directory / "store-v1.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
