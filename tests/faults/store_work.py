"""What the killed processes do to stores, and what must be true of a store at any instant."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bridgex.corpora import split_parts, split_words
from bridgex.schema import GoldFilter, NeuronStatistics, Pair, ProbeForm, WordPair
from bridgex.store import Codec, Probes, Snapshot, Store, collect_garbage, compact, merge, verify
from bridgex.store.garbage import find_garbage
from bridgex.testing import synthetic

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

PART_BYTES = 40
BLOCK = 4
PAIR = Pair("id", "tl")
GOLD: GoldFilter = "keep"


def text(parts: int) -> list[str]:
    """Return a text of that many parts of two records."""
    return [f"rekodi namba {number:06d}" for number in range(2 * parts)]


def open_store(path: Path) -> Store:
    return Store.open_or_create(
        path, synthetic.provenance(), part_bytes=PART_BYTES, probe_block=BLOCK
    )


def ingest(
    path: Path, records: list[str], *, corpus: str = "default", seed: int | None = None
) -> int:
    """Ingest a text and probes of its records as words; return the number of commits won.

    Parts are taken in the order of the text, or in one that follows from the seed.
    """
    store = open_store(path)
    parts = list(split_parts(records, language="sw", corpus=corpus, part_bytes=PART_BYTES))
    if seed is not None:
        parts = [parts[index] for index in np.random.default_rng(seed).permutation(len(parts))]
    won = sum(
        store.add_statistics(part, synthetic.statistics(part.records))
        for part in store.missing_parts(parts)
    )
    words = split_words((WordPair(record, ("x",)) for record in records), pair=PAIR, block=BLOCK)
    return won + sum(
        store.add_probes(part, synthetic.probes(part, GOLD), GOLD)
        for part in store.missing_probes(words, GOLD)
    )


def choice(writer: int) -> ProbeForm:
    """Return the neurons that a writer would keep: the even ones would keep others than the odd."""
    neurons = np.array([[1, 3, 5, 8], [0, 3, 8, 11]][writer % 2])
    return ProbeForm("f32", neurons, 40.0, ("en", "es")[: 1 + writer % 2])


def probe_some(path: Path, writer: int, records: list[str]) -> str | None:
    """Ingest probes of some neurons, and return the digest of those that were decided on."""
    store = open_store(path)
    form = store.decide_form(PAIR, GOLD, choice(writer))
    kept = form.layer_neurons(store.provenance.layer_sizes)
    assert kept is not None
    words = split_words((WordPair(record, ("x",)) for record in records), pair=PAIR, block=BLOCK)
    for part in store.missing_probes(words, GOLD):
        block = synthetic.probes(part, GOLD)
        rows = tuple(layer[one] for layer, one in zip(block.activations, kept, strict=True))
        store.add_probes(part, replace(block, activations=rows), GOLD, form)
    return form.digest


def clean(path: Path) -> None:
    """Remove what killed processes left, and check that nothing is left over or damaged."""
    collect_garbage(Store.open(path), older_than=0)
    found = verify(path)
    assert found.findings == found.notes == (), found


def statistics_bits(statistics: NeuronStatistics) -> list[object]:
    return [
        value.tobytes() if isinstance(value, np.ndarray) else value
        for value in vars(statistics).values()
    ]


def kept_rows(probes: Probes) -> list[tuple[NDArray[np.int64] | slice, NDArray[np.float32]]]:
    """Return the neurons that are kept of every layer, and their activations."""
    kept = probes.form.layer_neurons(probes.layer_sizes)
    if kept is None:
        layers = range(len(probes.layer_sizes))
        return [(slice(None), probes.layer(layer)) for layer in layers]
    return [(neurons, probes.rows(layer, neurons)) for layer, neurons in enumerate(kept)]


def probes_bits(probes: Probes) -> list[object]:
    layers = [values.tobytes() for _, values in kept_rows(probes)]
    return [probes.form.digest, probes.words, probes.considered, probes.sample_count, *layers]


def bits(path: Path) -> str:
    """Return a digest of everything that a reader gets from a store."""
    snapshot = Store.open(path).snapshot()
    found: list[object] = [
        [language, statistics_bits(snapshot.statistics(language))]
        for language in snapshot.languages
    ]
    found += [[pair, probes_bits(snapshot.probes(pair))] for pair in snapshot.pairs]
    return hashlib.sha256(repr(found).encode()).hexdigest()


def check(path: Path) -> int:
    """Check that a view of a store adds up exactly; return the number of records in it."""
    if not (path / "zarr.json").exists():
        return 0
    snapshot = Store.open(path).snapshot()
    check_probes(snapshot)
    if "sw" not in snapshot.languages:
        return 0
    markers = snapshot.markers("commits/statistics/sw")
    records = [
        (marker.series[1], number)
        for marker in markers
        for number in range(marker.records_before, marker.records_end)
    ]
    assert len(set(records)) == len(records), "a record counts twice"
    expected = statistics_of(tuple(sorted(number for _, number in records)))
    found = snapshot.statistics("sw")
    assert (found.record_count, found.token_count) == (len(records), expected.token_count)
    assert (found.positive_count == expected.positive_count).all()
    assert (found.maximum == expected.maximum).all()
    np.testing.assert_allclose(found.sum, expected.sum, rtol=1e-12)
    return found.record_count


def check_probes(snapshot: Snapshot) -> None:
    """Check that every sample is there once, in order, with its own activations."""
    for pair in snapshot.pairs:
        probes = snapshot.probes(pair)
        assert probes.words == tuple(sorted(set(probes.words)))
        for whole in split_words(probes.words, pair=pair, block=10**6):
            expected = synthetic.probes(whole, GOLD)
            rows = zip(kept_rows(probes), expected.activations, strict=True)
            assert all((found == values[kept]).all() for (kept, found), values in rows)


@cache
def statistics_of(numbers: tuple[int, ...]) -> NeuronStatistics:
    """Return the statistics of some records of the text, computed once."""
    records = text(max(numbers, default=0) + 1)
    return synthetic.statistics(records[number] for number in numbers)


class Work(NamedTuple):
    """Something that is done to the store ``store`` in a directory, and what comes before it."""

    prepare: Callable[[Path], object]
    act: Callable[[Path], object]


def ingest_short(root: Path) -> None:
    """Ingest a text whose last part, and whose last block of words, is short."""
    ingest(root / "store", text(5)[:5])


def ingest_long(root: Path) -> None:
    ingest(root / "store", text(4)[:7])


def ingest_much(root: Path) -> None:
    """Ingest several parts of two corpora, with probes, after a compaction of the first few."""
    ingest(root / "store", text(3))
    compact(open_store(root / "store"))
    ingest(root / "store", text(5))
    ingest(root / "store", text(3), corpus="news")


def compact_all(root: Path, codec: Codec = "zstd") -> None:
    compact(open_store(root / "store"), codec=codec)


def probe_top(root: Path) -> None:
    """Decide on some neurons, and ingest probes of them."""
    probe_some(root / "store", 0, text(6))


def ingest_in_two(root: Path) -> None:
    """Ingest a text into two stores, which both have the middle of it; compact one of them."""
    for name, length, left in (("a", 10, 2), ("b", 13, 0)):
        words = text(7)[:length]
        ingest(root / name, words)
        for marker in sorted((root / name / "commits").rglob("*.json"))[:left]:
            marker.unlink()
    compact(open_store(root / "b"))


def merge_two(root: Path) -> None:
    merge([open_store(root / "a"), open_store(root / "b")], root / "store")


def ingest_and_compact(root: Path) -> None:
    """Leave superseded parts of all kinds, an attempt without a marker, and a temporary file."""
    ingest_short(root)
    ingest_long(root)
    store = root / "store"
    compact(Store.open(store))
    whole = min((store / "parts").iterdir())
    shutil.copytree(whole, whole.with_suffix(f".{'0' * 16}"))
    (store / "commits/statistics/sw/.bridgex-0123.tmp").write_text("half")


def collect(root: Path) -> None:
    store = Store.open(root / "store")
    collect_garbage(store, older_than=0)
    assert find_garbage(store.folder) == []


WORKS = {
    "ingest": Work(lambda _: None, ingest_long),
    "grow": Work(ingest_short, ingest_long),
    "choose": Work(lambda _: None, probe_top),
    "compact": Work(ingest_much, compact_all),
    "merge": Work(ingest_in_two, merge_two),
    "gc": Work(ingest_and_compact, collect),
}
