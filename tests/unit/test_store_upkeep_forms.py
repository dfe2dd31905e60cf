"""Compaction, merging, collection and verification of probes of some neurons, and in f16."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import numpy as np
import pytest
from tests.dying_folder import scratch

from bridgex.corpora import WordPart, split_words
from bridgex.errors import StoreError
from bridgex.schema import FULL_PROBES, Pair, ProbeForm, WordPair
from bridgex.store import Store, collect_garbage, compact, merge, verify
from bridgex.store.encoding import Codec
from bridgex.testing import synthetic

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

PAIR = Pair("id", "tl")
WORDS = [WordPair(f"kata {number}", ("salita",)) for number in range(14)]
FEWER = WORDS[:11]
# Of layers of 5, 3 and 4 neurons: 1 and 3; none; 0, 1 and 3.
TOP = ProbeForm("f32", np.array([1, 3, 8, 9, 11]), 40.0, ("en", "id", "tl"))
TOP_HALF = replace(TOP, dtype="f16")
HALF = ProbeForm("f16")
EACH = pytest.mark.parametrize("form", [TOP, TOP_HALF, HALF], ids=["top", "top f16", "all f16"])


@pytest.fixture
def place() -> Iterator[Path]:
    with scratch() as name:
        yield Path(name)


def word_parts(words: list[WordPair]) -> list[WordPart]:
    return list(split_words(words, pair=PAIR, block=3))


def kept_neurons(form: ProbeForm) -> tuple[NDArray[np.int64], ...]:
    every = tuple(np.arange(size) for size in synthetic.LAYER_SIZES)
    return form.layer_neurons(synthetic.LAYER_SIZES) or every


def new_store(path: Path, form: ProbeForm, parts: Sequence[WordPart] = ()) -> Store:
    store = Store.open_or_create(path, synthetic.provenance(), probe_block=3)
    store.decide_form(PAIR, "off", form)
    add(store, form, parts)
    return store


def add(store: Store, form: ProbeForm, parts: Sequence[WordPart]) -> None:
    kept = kept_neurons(form)
    for part in store.missing_probes(parts, "off"):
        block = synthetic.probes(part, "off")
        rows = tuple(layer[one] for layer, one in zip(block.activations, kept, strict=True))
        store.add_probes(part, replace(block, activations=rows), "off", form)


def bits(store: Store) -> list[object]:
    """Everything that a reader gets of the probes."""
    probes = store.snapshot().probes(PAIR)
    form = probes.form
    said = (form.digest, form.dtype, form.percent, form.languages)
    rows = enumerate(kept_neurons(form))
    layers = [probes.rows(layer, neurons[::-1]).tobytes() for layer, neurons in rows]
    return [said, probes.words, probes.considered, *layers]


def is_sound(store: Store) -> bool:
    found = verify(store.path)
    return (found.findings, found.notes) == ((), ())


def test_what_is_compared_depends_on_what_is_kept(place: Path) -> None:
    parts = word_parts(FEWER)
    forms = (TOP, TOP_HALF, HALF, FULL_PROBES)
    found = [bits(new_store(place / str(n), form, parts)) for n, form in enumerate(forms)]
    assert all(one != other for n, one in enumerate(found) for other in found[:n])


@EACH
@pytest.mark.parametrize("codec", get_args(Codec))
def test_compaction_and_collection_keep_every_bit(
    place: Path, form: ProbeForm, codec: Codec
) -> None:
    store = new_store(place / "store", form, word_parts(FEWER))
    before = bits(store)
    (row,) = compact(store, codec=codec)
    assert (row.parts_before, row.parts_after, row.largest_relative_error) == (4, 2, 0.0)
    assert bits(store) == before
    assert is_sound(store)
    removed = collect_garbage(store, older_than=0).removed
    assert {one.kind for one in removed} == {"superseded"}
    assert bits(store) == before
    assert is_sound(store)
    assert [one.written_parts for one in compact(store, codec=codec)] == [0]


@EACH
def test_a_compacted_word_list_grows(place: Path, form: ProbeForm) -> None:
    store = new_store(place / "store", form, word_parts(FEWER))
    for codec in get_args(Codec):
        compact(store, codec=codec)
    collect_garbage(store, older_than=0)
    again = Store.open(store.path)
    add(again, form, word_parts(WORDS))
    compact(again, codec="zstd")
    collect_garbage(again, older_than=0)
    assert bits(again) == bits(new_store(place / "whole", form, word_parts(WORDS)))
    assert is_sound(again)


# Merging


@EACH
def test_two_halves_are_the_whole(place: Path, form: ProbeForm) -> None:
    parts = word_parts(WORDS)
    halves = [new_store(place / "a", form, parts[:3]), new_store(place / "b", form, parts[1:])]
    compact(halves[0], codec="zstd")
    merge(halves, place / "merged")
    merged = Store.open(place / "merged")
    assert bits(merged) == bits(new_store(place / "whole", form, parts))
    assert is_sound(merged)
    assert collect_garbage(merged, older_than=0).removed == ()
    (info,) = merged.info().probes
    assert info.neurons == (12 if form.neurons is None else form.neurons.size)


@pytest.mark.parametrize("parts", [0, 2], ids=["decided", "begun"])
@pytest.mark.parametrize(
    "other",
    [replace(TOP, neurons=np.array([0, 3, 8, 9, 11])), FULL_PROBES, TOP_HALF, HALF],
    ids=["neurons", "all", "top f16", "all f16"],
)
def test_two_decisions_are_refused(place: Path, other: ProbeForm, parts: int) -> None:
    words = word_parts(WORDS)
    one = new_store(place / "one", TOP, words)
    two = new_store(place / "two", other, words[:parts])
    for sources, target in (([one, two], place / "merged"), ([two], one.path)):
        before = sorted(place.rglob("*"))
        with pytest.raises(StoreError) as error:
            merge(sources, target)
        assert error.value.message == (
            f"{two.path} cannot be merged: of the word list of id-tl (gold filter off) it keeps "
            f"{other.describe()}, {one.path} keeps {TOP.describe()}"
        )
        assert error.value.hint is not None
        assert sorted(place.rglob("*")) == before


# Collection


def test_a_decision_without_probes_is_no_garbage(place: Path) -> None:
    store = new_store(place / "store", TOP)
    assert collect_garbage(store, older_than=0).removed == ()
    assert is_sound(store)
    decided = Store.open(store.path).probe_form(PAIR, "off")
    assert decided is not None
    assert decided.digest == TOP.digest


def test_a_decision_that_was_given_up_is_garbage(place: Path) -> None:
    store = new_store(place / "store", TOP, word_parts(FEWER))
    before = bits(store)
    (chunk,) = store.path.glob("parts/*/neurons/c/0")
    part = chunk.parents[2]
    shutil.copytree(part, part.with_suffix(f".{'0' * 16}"))
    (removed,) = collect_garbage(store, older_than=0).removed
    assert (Path(removed.path).suffix, removed.kind) == (f".{'0' * 16}", "uncommitted")
    assert bits(store) == before
    assert is_sound(store)


# Verification


@EACH
def test_a_flipped_bit_in_any_file_is_found(place: Path, form: ProbeForm) -> None:
    store = new_store(place / "store", form, word_parts(WORDS[:4]))
    compact(store, codec="zstd")
    collect_garbage(store, older_than=0)
    assert is_sound(store)
    files = [file for file in store.path.glob("*/**/*") if file.is_file()]
    for file in files:
        content = file.read_bytes()
        flipped = bytearray(content)
        flipped[len(content) // 2] ^= 1
        file.write_bytes(flipped)
        assert verify(store.path).findings, f"a bit of {file} was flipped and not found"
        file.write_bytes(content)
    assert len(files) >= 20
    assert is_sound(store)


def test_a_removed_decision_is_found(place: Path) -> None:
    store = new_store(place / "store", TOP, word_parts(FEWER))
    (marker,) = store.path.glob("commits/neurons/*/*.json")
    marker.unlink()
    found = verify(store.path).findings
    assert [one.kind for one in found] == ["damaged"] * 4
    assert all("its neurons are not those" in one.problem for one in found)


def undecided(path: Path) -> Store:
    """A store whose writer decided on nothing: its probes are of all neurons, in f32."""
    store = new_store(path, FULL_PROBES, word_parts(FEWER))
    shutil.rmtree(store.path / "commits/neurons")
    return Store.open(path)


@pytest.mark.parametrize("other", [TOP, HALF], ids=["top", "all f16"])
@pytest.mark.parametrize("parts", [0, 4])
def test_probes_that_nobody_decided_on_are_not_mixed(
    place: Path, other: ProbeForm, parts: int
) -> None:
    one, two = undecided(place / "one"), new_store(place / "two", other, word_parts(WORDS)[:parts])
    before = bits(one)
    for sources, target in (
        ([one, two], place / "merged"),
        ([two, one], place / "merged"),
        ([two], one.path),
        ([one], two.path),
    ):
        with pytest.raises(StoreError, match=r"keeps? all neurons as f32") as error:
            merge(sources, target)
        assert other.describe() in error.value.message
    assert not (place / "merged").exists()
    assert bits(Store.open(one.path)) == before
    assert verify(one.path).findings == ()


def test_probes_that_nobody_decided_on_join_others_of_all_neurons(place: Path) -> None:
    one, two = undecided(place / "one"), new_store(place / "two", FULL_PROBES, word_parts(WORDS))
    merge([one, two], place / "merged")
    assert bits(Store.open(place / "merged")) == bits(two)


def test_probes_that_nobody_decided_on_stay_of_all_neurons(place: Path) -> None:
    store = undecided(place / "store")
    before = bits(store)
    for other in (TOP, TOP_HALF, HALF):
        with pytest.raises(StoreError, match=r"(?s)all neurons as f32.*--neurons all"):
            store.decide_form(PAIR, "off", other)
    assert store.probe_form(PAIR, "off") == FULL_PROBES
    assert not (store.path / "commits/neurons").exists()
    assert bits(store) == before
    assert store.decide_form(PAIR, "keep", TOP) is not None, "the other gold filter is free"
    add(store, FULL_PROBES, word_parts(WORDS))
    assert bits(store) == bits(new_store(place / "new", FULL_PROBES, word_parts(WORDS)))


def test_a_removed_decision_on_some_neurons_is_taken_again(place: Path) -> None:
    store = new_store(place / "store", TOP, word_parts(FEWER))
    before = bits(store)
    shutil.rmtree(store.path / "commits/neurons")
    store = new_store(place / "store", TOP, word_parts(FEWER))
    assert bits(store) == before
