"""Whatever was ingested when, by whom and how far, and whoever died: every record counts once.

Hypothesis invents histories of a store: texts and a word list that grow, workers that overtake
each other, die or are given a text that changed; parts are compacted and stores merged. What
comes out must be, bit for bit, what one ingestion of the final texts into a fresh store gives. The
sums are of floating-point numbers that depend on every letter, so a record lost, counted twice or
added in another order shows.
"""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.dying_folder import Died, DyingFolder, scratch

from bridgex.corpora import CorpusPart, WordPart, split_parts, split_words
from bridgex.errors import InvalidInputError
from bridgex.schema import (
    FULL_PROBES,
    GoldFilter,
    NeuronStatistics,
    Pair,
    ProbeForm,
    WordPair,
)
from bridgex.store import Codec, Store, collect_garbage, compact, merge, verify
from bridgex.store.garbage import find_garbage
from bridgex.store.local import LocalFolder
from bridgex.store.root import read_root
from bridgex.testing import synthetic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bridgex.store import Snapshot

# So small that most texts have several parts, and the order in which they are added shows.
PART_BYTES = 6
BLOCK = 2
PAIR = Pair("id", "tl")
CORPORA = (("en", "default"), ("sw", "default"), ("sw", "news"))
# One list of probes is kept whole; of the other, some neurons of some layers in half precision.
FORMS: dict[GoldFilter, ProbeForm] = {
    "keep": FULL_PROBES,
    "off": ProbeForm("f16", np.array([1, 9, 11]), 25.0, ("sw",)),
}
RECORD = st.text("abc", min_size=1, max_size=6)
CODECS = st.sampled_from(get_args(Codec))
RECORDS = st.lists(RECORD, min_size=1, max_size=8)

Series = tuple[str, ...]
Part = CorpusPart | WordPart
SERIES: list[Series] = [*CORPORA, *((*PAIR, gold) for gold in FORMS)]


def is_corpus(series: Series) -> bool:
    return len(series) == 2


def parts_of(series: Series, records: list[str]) -> list[Part]:
    if is_corpus(series):
        language, corpus = series
        parts = split_parts(records, language=language, corpus=corpus, part_bytes=PART_BYTES)
        return list[Part](parts)
    words = (WordPair(record, (record[::-1],)) for record in records)
    return list[Part](split_words(words, pair=PAIR, block=BLOCK))


def add(store: Store, series: Series, part: Part) -> bool:
    if isinstance(part, CorpusPart):
        return store.add_statistics(part, synthetic.statistics(part.records))
    gold = gold_of(series)
    form = FORMS[gold]
    kept = form.row_counts(synthetic.LAYER_SIZES)
    return store.add_probes(part, synthetic.probes(part, gold, layer_sizes=kept), gold, form)


def gold_of(series: Series) -> GoldFilter:
    return "keep" if series[-1] == "keep" else "off"


def missing(store: Store, series: Series, parts: list[Part]) -> Iterator[Part]:
    corpus_parts = [part for part in parts if isinstance(part, CorpusPart)]
    yield from store.missing_parts(corpus_parts)
    word_parts = [part for part in parts if isinstance(part, WordPart)]
    yield from store.missing_probes(word_parts, gold_of(series))


def ingest(store: Store, series: Series, records: list[str]) -> None:
    for part in missing(store, series, parts_of(series, records)):
        add(store, series, part)


def bits(value: object) -> object:
    return value.tobytes() if isinstance(value, np.ndarray) else value


def everything(snapshot: Snapshot) -> dict[object, object]:
    """Return every bit that a reader gets."""
    found: dict[object, object] = {}
    for language in snapshot.languages:
        corpora = {
            marker.series[1] for marker in snapshot.markers(f"commits/statistics/{language}")
        }
        for corpus in (None, *corpora):
            statistics = snapshot.statistics(language, corpus)
            found[language, corpus] = [bits(value) for value in vars(statistics).values()]
    for pair in snapshot.pairs:
        golds = {marker.series[2] for marker in snapshot.markers(f"commits/probes/{pair}")}
        for gold in golds:
            probes = snapshot.probes(pair, gold_of((gold,)))
            neurons = probes.form.layer_neurons(probes.layer_sizes) or [
                np.arange(size) for size in probes.layer_sizes
            ]
            layers = [probes.rows(layer, rows).tobytes() for layer, rows in enumerate(neurons)]
            found[pair, gold] = [probes.words, probes.considered, probes.form.digest, layers]
    return found


class Growth(RuleBasedStateMachine):
    """The history of one store. ``texts`` is what there is by now, for every series."""

    def __init__(self) -> None:
        super().__init__()
        self.scratch = scratch()
        self.path = Path(self.scratch.name, "store")
        self.store = self.new_store(self.path)
        self.texts: dict[Series, list[str]] = {series: [] for series in SERIES}
        # How many records were there when an ingestion of the whole text last got through.
        self.ingested = dict.fromkeys(SERIES, 0)
        self.snapshots: list[tuple[Snapshot, dict[object, object]]] = []

    def new_store(self, path: Path) -> Store:
        return Store.create(path, synthetic.provenance(), part_bytes=PART_BYTES, probe_block=BLOCK)

    def fresh_path(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self.scratch.name))

    def dying_store(self, changes: int, *, halfway: bool) -> Store:
        folder = DyingFolder(self.path, changes, halfway=halfway)
        return Store(folder, read_root(folder))

    @initialize(records=st.lists(RECORDS, min_size=len(SERIES), max_size=len(SERIES)))
    def begin(self, records: list[list[str]]) -> None:
        for series, first in zip(SERIES, records, strict=True):
            self.append(series, first)

    @rule(series=st.sampled_from(SERIES), records=RECORDS)
    def append(self, series: Series, records: list[str]) -> None:
        """Texts may repeat a record; a word list leaves out what it has."""
        text = [*self.texts[series], *records]
        self.texts[series] = text if is_corpus(series) else list(dict.fromkeys(text))

    @rule(series=st.sampled_from(SERIES))
    def ingest(self, series: Series) -> None:
        ingest(self.store, series, self.texts[series])
        self.ingested[series] = len(self.texts[series])
        assert list(missing(self.store, series, parts_of(series, self.texts[series]))) == []

    @rule(series=st.sampled_from(SERIES), count=st.integers(1, 3), data=st.data())
    def work(self, series: Series, count: int, data: st.DataObject) -> None:
        """One worker of several takes its share, and no other does."""
        index = data.draw(st.integers(0, count - 1))
        for part in missing(self.store, series, parts_of(series, self.texts[series])[index::count]):
            add(self.store, series, part)

    @rule(series=st.sampled_from(SERIES), data=st.data())
    def interleave(self, series: Series, data: st.DataObject) -> None:
        """Workers that began when the text had some length each do parts, in turns."""
        text = self.texts[series]
        workers = [
            (Store.open(self.path), parts_of(series, text[: data.draw(st.integers(1, len(text)))]))
            for _ in range(data.draw(st.integers(2, 3)))
        ]
        for _ in range(data.draw(st.integers(1, 6))):
            store, parts = data.draw(st.sampled_from(workers))
            add(store, series, data.draw(st.sampled_from(parts)))

    @rule(series=st.sampled_from(SERIES), data=st.data())
    def overtake(self, series: Series, data: st.DataObject) -> None:
        """Another worker commits the same part, or a longer one, just before this one does."""
        text = self.texts[series]
        mine = parts_of(series, text[: data.draw(st.integers(1, len(text)))])[-1]
        theirs = next(
            part
            for part in parts_of(series, text)
            if part.place.records_before == mine.place.records_before
        )
        folder = OvertakenFolder(self.path, lambda: add(Store.open(self.path), series, theirs))
        won = add(Store(folder, read_root(folder)), series, mine)
        assert not (won and folder.overtaken and mine == theirs)

    @rule(series=st.sampled_from(SERIES), changes=st.integers(0, 7), halfway=st.booleans())
    def die(self, series: Series, changes: int, halfway: bool) -> None:
        try:
            ingest(self.dying_store(changes, halfway=halfway), series, self.texts[series])
        except Died:
            return

    @rule(codec=CODECS)
    def compact(self, codec: Codec) -> None:
        before = everything(self.store.snapshot())
        compact(self.store, codec=codec)
        assert everything(self.store.snapshot()) == before
        assert all(row.written_parts == 0 for row in compact(self.store, codec=codec))

    @rule(codecs=st.tuples(CODECS, CODECS))
    def compact_twice_at_once(self, codecs: tuple[Codec, Codec]) -> None:
        """Another process compacts everything just before this one creates its first marker."""
        before = everything(self.store.snapshot())
        folder = OvertakenFolder(self.path, lambda: compact(Store.open(self.path), codec=codecs[0]))
        compact(Store(folder, read_root(folder)), codec=codecs[1])
        assert everything(self.store.snapshot()) == before

    @rule(series=st.sampled_from(SERIES))
    def ingest_while_compacting(self, series: Series) -> None:
        """A text is ingested to its end just before a compaction creates its first marker."""

        def overtake() -> bool:
            ingest(Store.open(self.path), series, self.texts[series])
            return True

        folder = OvertakenFolder(self.path, overtake)
        compact(Store(folder, read_root(folder)))

    @rule(changes=st.integers(0, 7), halfway=st.booleans(), codec=CODECS)
    def die_compacting(self, changes: int, halfway: bool, codec: Codec) -> None:
        before = everything(self.store.snapshot())
        try:
            compact(self.dying_store(changes, halfway=halfway), codec=codec)
        except Died:
            assert everything(self.store.snapshot()) == before

    @rule(codecs=st.lists(CODECS, min_size=1, max_size=2), data=st.data())
    def merge(self, codecs: list[Codec], data: st.DataObject) -> None:
        """Stores are merged into this one that have some parts of texts of some length each."""
        others = []
        for codec in codecs:
            other = self.new_store(self.fresh_path())
            for series in data.draw(st.lists(st.sampled_from(SERIES), max_size=3, unique=True)):
                text = self.texts[series]
                parts = parts_of(series, text[: data.draw(st.integers(1, len(text)))])
                for part in data.draw(st.lists(st.sampled_from(parts), max_size=4)):
                    add(other, series, part)
            if data.draw(st.booleans()):
                compact(other, codec=codec)
            others.append(other)
        merge(others, self.path)
        assert all(row.copied_parts == 0 for row in merge(others, self.path))

    @rule()
    def move(self) -> None:
        """Everything is merged into a new store, in which the history goes on."""
        before = everything(self.store.snapshot())
        self.path = self.fresh_path()
        merge([self.store], self.path)
        self.store = Store.open(self.path)
        assert everything(self.store.snapshot()) == before

    @rule()
    def collect(self) -> None:
        """Nobody else is there, so no age is too young; earlier views lose their files."""
        before = everything(self.store.snapshot())
        self.snapshots.clear()
        collect_garbage(self.store, older_than=0)
        assert everything(self.store.snapshot()) == before
        assert find_garbage(self.store.folder) == []

    @rule(changes=st.integers(0, 7), halfway=st.booleans())
    def die_collecting(self, changes: int, halfway: bool) -> None:
        before = everything(self.store.snapshot())
        self.snapshots.clear()
        with suppress(Died):
            collect_garbage(self.dying_store(changes, halfway=halfway), older_than=0)
        assert everything(self.store.snapshot()) == before

    @precondition(lambda self: any(self.ingested.values()))
    @rule(length=st.integers(1, 6), data=st.data())
    def change(self, length: int, data: st.DataObject) -> None:
        """A text whose earlier records changed is refused, with the first one that did."""
        series = data.draw(st.sampled_from([one for one in SERIES if self.ingested[one]]))
        index = data.draw(st.integers(0, self.ingested[series] - 1))
        changed = list(self.texts[series])
        changed[index] = length * "x"
        store = data.draw(st.sampled_from([self.store, Store.open(self.path)]))
        with pytest.raises(InvalidInputError, match=rf"record number {index + 1} differs"):
            ingest(store, series, changed)

    @rule()
    def reopen(self) -> None:
        self.store = Store.open_or_create(self.path, synthetic.provenance())

    @rule()
    def look(self) -> None:
        snapshot = self.store.snapshot()
        self.snapshots.append((snapshot, everything(snapshot)))

    @precondition(lambda self: self.snapshots)
    @rule()
    def look_again(self) -> None:
        """A reader sees what was there when its view was taken, whatever came later."""
        for snapshot, seen in self.snapshots:
            assert everything(snapshot) == seen

    @invariant()
    def every_record_counts_once(self) -> None:
        """The parts that count are pieces of the text, and add up to their statistics."""
        snapshot = Store.open(self.path).snapshot()
        for language in snapshot.languages:
            total = NeuronStatistics.zeros(12)
            for corpus in sorted(name for code, name in CORPORA if code == language):
                total = total.merge(self.expected(snapshot, (language, corpus)))
            found = snapshot.statistics(language)
            assert [*map(bits, vars(found).values())] == [*map(bits, vars(total).values())]

    def expected(self, snapshot: Snapshot, series: Series) -> NeuronStatistics:
        """Add up what should count of a corpus, from its text."""
        total, end = NeuronStatistics.zeros(12), 0
        markers = snapshot.markers(f"commits/statistics/{series[0]}")
        for marker in markers:
            for member, _ in marker.pieces if marker.series == series else ():
                assert member.records_before >= end, "a record counts twice"
                end = member.records_end
                records = self.texts[series][member.records_before : end]
                total = total.merge(synthetic.statistics(records))
        return total

    def teardown(self) -> None:
        fresh = self.new_store(Path(self.scratch.name, "fresh"))
        for series, text in self.texts.items():
            ingest(self.store, series, text)
            ingest(fresh, series, text)
        assert everything(self.store.snapshot()) == everything(fresh.snapshot())
        assert verify(self.path).findings == ()
        self.scratch.cleanup()


class OvertakenFolder(LocalFolder):
    """A directory where somebody else does something before the first marker is created."""

    def __init__(self, path: Path, overtake: Callable[[], object]) -> None:
        super().__init__(path)
        self.overtaken = False
        self._overtake = overtake

    def create_exclusively(self, path: str, content: bytes) -> bool:
        if not self.overtaken:
            self.overtaken = bool(self._overtake())
        return super().create_exclusively(path, content)


TestGrowth = Growth.TestCase
TestGrowth.settings = settings(max_examples=10, stateful_step_count=15, deadline=None)


@pytest.mark.long
def test_long_histories() -> None:
    long = settings(max_examples=150, stateful_step_count=40, deadline=None)
    run_state_machine_as_test(Growth, settings=long)
