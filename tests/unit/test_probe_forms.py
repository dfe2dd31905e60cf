"""Probes of some neurons, and in half precision: decided once for every pair, whoever asks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridgex.corpora import WordPart, split_words
from bridgex.errors import InvalidInputError, NotFoundError, StoreError
from bridgex.schema import FULL_PROBES, Pair, ProbeBlock, ProbeForm, WordPair
from bridgex.store import Store
from bridgex.testing import synthetic

if TYPE_CHECKING:
    from pathlib import Path

PAIR = Pair("id", "tl")
WORDS = [WordPair(f"kata {number}", ("salita",)) for number in range(8)]
SIZES = synthetic.LAYER_SIZES
# Of layers of 5, 3 and 4 neurons: 1 and 3; 0; 0, 1 and 3.
NEURONS = np.array([1, 3, 5, 8, 9, 11])
KEPT = ([1, 3], [0], [0, 1, 3])
TOP = ProbeForm("f32", NEURONS, 40.0, ("en", "id", "tl"))
HALF = ProbeForm("f16")


def word_parts(words: list[WordPair]) -> list[WordPart]:
    return list(split_words(words, pair=PAIR, block=3))


def block_of(part: WordPart, form: ProbeForm = FULL_PROBES) -> ProbeBlock:
    """The synthetic activations of a part, of the neurons that a form keeps."""
    block = synthetic.probes(part, "off")
    kept = form.layer_neurons(SIZES)
    if kept is None:
        return block
    rows = zip(block.activations, kept, strict=True)
    return replace(block, activations=tuple(layer[neurons] for layer, neurons in rows))


def probe(store: Store, form: ProbeForm, words: list[WordPair] = WORDS) -> None:
    for part in word_parts(words):
        store.add_probes(part, block_of(part, form), "off", form)


def new_store(path: Path) -> Store:
    return Store.open_or_create(path, synthetic.provenance(), probe_block=3)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return new_store(tmp_path / "store")


@pytest.fixture
def full(tmp_path: Path) -> Store:
    made = new_store(tmp_path / "full")
    probe(made, FULL_PROBES)
    return made


def files(store: Store) -> set[str]:
    return {str(path) for path in store.path.rglob("*") if path.is_file()}


def test_layers_of_neurons() -> None:
    layers = TOP.layer_neurons(SIZES)
    assert layers is not None
    assert tuple(rows.tolist() for rows in layers) == KEPT
    assert FULL_PROBES.layer_neurons(SIZES) is None


@given(st.sets(st.integers(0, 11), min_size=1))
@settings(max_examples=50, deadline=None)
def test_layers_of_any_neurons(chosen: set[int]) -> None:
    layers = ProbeForm("f32", np.array(sorted(chosen)), 1.0).layer_neurons(SIZES)
    assert layers is not None
    starts = (0, 5, 8)
    found = {start + row for start, rows in zip(starts, layers, strict=True) for row in rows}
    assert len(layers) == len(SIZES)
    assert found == chosen


# What is kept


def test_some_neurons_are_the_rows_of_all(store: Store, full: Store) -> None:
    probe(store, TOP)
    some, every = store.snapshot().probes(PAIR), full.snapshot().probes(PAIR)
    assert (some.words, some.considered) == (every.words, every.considered)
    for layer, kept in enumerate(KEPT):
        wanted = [*reversed(kept), kept[0]]
        assert some.rows(layer, wanted).tobytes() == every.rows(layer, wanted).tobytes()
        assert some.rows(layer, wanted).dtype == np.float32
        assert some.rows(layer, []).shape == (0, 8)


def test_a_layer_is_given_only_whole(store: Store) -> None:
    form = replace(TOP, neurons=np.arange(1, 12))
    probe(store, form)
    probes = store.snapshot().probes(PAIR)
    assert probes.layer(1).shape == (3, 8)
    with pytest.raises(NotFoundError, match="do not keep neuron 0 of layer 0"):
        probes.layer(0)


def test_a_neuron_that_is_not_kept_is_named(store: Store) -> None:
    probe(store, TOP)
    with pytest.raises(NotFoundError) as error:
        store.snapshot().probes(PAIR).rows(2, [3, 2, 0])
    message = str(error.value)
    assert "id-tl (gold filter off) do not keep neuron 2 of layer 2: of its 4" in message
    assert "they keep 3, the top 40 % of neurons by the statistics of en, id, tl as f32" in message
    assert "--neurons all" in message


def test_a_layer_without_a_neuron(store: Store, full: Store) -> None:
    form = replace(TOP, neurons=np.array([1, 8]))
    probe(store, form)
    probes = store.snapshot().probes(PAIR)
    assert probes.rows(1, []).shape == (0, 8)
    assert probes.rows(0, [1]).tobytes() == full.snapshot().probes(PAIR).rows(0, [1]).tobytes()
    with pytest.raises(NotFoundError, match="do not keep neuron 0 of layer 1"):
        probes.rows(1, [0])


def test_less_is_stored_in_proportion(store: Store, full: Store) -> None:
    probe(store, TOP)
    assert chunk_bytes(store) * 2 == chunk_bytes(full) == 12 * 8 * 4


def chunk_bytes(store: Store) -> int:
    return sum(path.stat().st_size for path in store.path.glob("parts/*/layer_*/c/0/0"))


@pytest.mark.parametrize("form", [HALF, replace(TOP, dtype="f16")])
def test_half_precision_is_rounded_once(store: Store, full: Store, form: ProbeForm) -> None:
    probe(store, form)
    half, single = store.snapshot().probes(PAIR), full.snapshot().probes(PAIR)
    for layer, kept in enumerate(KEPT):
        expected = single.rows(layer, kept).astype(np.float16).astype(np.float32)
        found = half.rows(layer, kept)
        assert found.dtype == np.float32
        assert found.tobytes() == expected.tobytes()
        assert found.tobytes() != single.rows(layer, kept).tobytes()
    sizes = 12 if form is HALF else 6
    assert chunk_bytes(store) == sizes * 8 * 2


def test_info_says_what_is_kept(store: Store) -> None:
    probe(store, replace(TOP, dtype="f16"))
    for part in word_parts(WORDS):
        store.add_probes(part, synthetic.probes(part, "keep"), "keep")
    keep, off = store.info().probes
    assert (keep.neurons, keep.dtype) == (12, "f32")
    assert (off.neurons, off.dtype) == (6, "f16")


# What is refused


@pytest.mark.parametrize("form", [HALF, replace(TOP, dtype="f16")])
def test_what_half_precision_cannot_hold(store: Store, form: ProbeForm) -> None:
    part = word_parts(WORDS)[0]
    block = block_of(part, form)
    block.activations[2][1, 2] = -65_520
    block.activations[2][2, 0] = 1e30
    neuron = 1 if form is HALF else KEPT[2][1]
    before = files(store)
    with pytest.raises(InvalidInputError) as error:
        store.add_probes(part, block, "off", form)
    assert error.value.message == (
        "2 activations are beyond 65,504, the largest float16; the first is -65520 at neuron "
        f"{neuron} of layer 2, word 'kata 2'"
    )
    assert error.value.hint is not None
    assert "--probe-dtype f32" in error.value.hint
    assert files(store) == before
    store.add_probes(part, block, "off", replace(form, dtype="f32"))


def test_what_half_precision_just_holds(store: Store) -> None:
    part = word_parts(WORDS)[0]
    block = block_of(part)
    block.activations[0][0, 0] = 65_519
    store.add_probes(part, block, "off", HALF)
    assert store.snapshot().probes(PAIR).rows(0, [0])[0, 0] == 65_504


@pytest.mark.parametrize(
    ("stored", "given", "message"),
    [
        (
            TOP,
            FULL_PROBES,
            "by the statistics of en, id, tl as f32 in this store, and all neurons",
        ),
        (FULL_PROBES, TOP, "keep all neurons as f32 in this store, and the top 40 %"),
        (TOP, replace(TOP, percent=1.0), "and the top 1 % of neurons by .* as f32 were asked for"),
        (HALF, FULL_PROBES, "all neurons as f16 in this store, and all neurons as f32 were asked"),
        (TOP, replace(TOP, dtype="f16"), "as f32 in this store, and the top 40 % of .* as f16"),
    ],
)
def test_another_form_than_the_stored_one(
    store: Store, stored: ProbeForm, given: ProbeForm, message: str
) -> None:
    probe(store, stored, WORDS[:3])
    before = files(store)
    part = word_parts(WORDS)[1]
    for use in (
        lambda: store.decide_form(PAIR, "off", given),
        lambda: store.add_probes(part, block_of(part, given), "off", given),
        lambda: Store.open(store.path).decide_form(PAIR, "off", given),
    ):
        with pytest.raises(StoreError, match=message) as error:
            use()
        assert "id-tl (gold filter off)" in error.value.message
        assert error.value.hint is not None
        assert f"--probe-dtype {stored.dtype}" in error.value.hint
    assert files(store) == before
    # Other probes of the pair have a form of their own.
    store.decide_form(PAIR, "keep", given)


def test_the_first_choice_of_neurons_wins(store: Store) -> None:
    later = replace(TOP, neurons=np.array([0, 5, 8]), languages=("en", "es", "id", "tl"))
    assert store.probe_form(PAIR, "off") is None
    assert store.decide_form(PAIR, "off", TOP).digest == TOP.digest
    other = Store.open(store.path)
    decided = other.decide_form(PAIR, "off", later)
    assert (decided.digest, decided.languages) == (TOP.digest, TOP.languages)
    part = word_parts(WORDS)[0]
    with pytest.raises(InvalidInputError, match="not of the neurons that the store decided"):
        other.add_probes(part, block_of(part, later), "off", later)
    assert other.add_probes(part, block_of(part, decided), "off", decided)


@pytest.mark.parametrize(
    "neurons", [[], [3, 1], [1, 1], [-1, 2], [4, 12], [[1, 2]], [1.0, 2.0]], ids=str
)
def test_neurons_that_are_none(store: Store, neurons: list[Any]) -> None:
    form = ProbeForm("f32", np.array(neurons), 1.0)
    with pytest.raises(InvalidInputError, match="ascending neurons of 0 to 11 as int64"):
        store.decide_form(PAIR, "off", form)
    assert not (store.path / "parts").exists()


def test_activations_of_other_neurons(store: Store) -> None:
    part = word_parts(WORDS)[0]
    with pytest.raises(InvalidInputError, match=r"layer 0 as float32 of shape \(2, 3\), got"):
        store.add_probes(part, block_of(part), "off", TOP)
    block = block_of(part, TOP)
    block.activations[2][2, 1] = np.nan
    with pytest.raises(InvalidInputError, match="layer 2 hold nan at neuron 3, sample 1"):
        store.add_probes(part, block, "off", TOP)
    assert store.probe_form(PAIR, "off") is None


# Damage


def one(store: Store, pattern: str) -> Path:
    (found,) = store.path.glob(pattern)
    return found


def test_a_removed_choice_is_noticed(store: Store) -> None:
    probe(store, TOP)
    one(store, "commits/neurons/id-tl/*.json").unlink()
    with pytest.raises(StoreError, match="not those that the pair's probes keep"):
        store.snapshot().probes(PAIR)
    again = Store.open(store.path)
    again.decide_form(PAIR, "off", replace(TOP, neurons=NEURONS - 1))
    with pytest.raises(StoreError, match="not those that the pair's probes keep"):
        again.snapshot().probes(PAIR)


def test_damaged_neurons_are_noticed(store: Store) -> None:
    probe(store, TOP)
    chunk = one(store, "parts/*/neurons/c/0")
    chunk.write_bytes(np.array([1, 3, 5, 8, 9, 10], dtype="<i8").tobytes())
    with pytest.raises(StoreError, match="it is not what was committed"):
        store.snapshot().probes(PAIR)
    chunk.write_bytes(b"")
    with pytest.raises(StoreError, match="expected 48 bytes, the file has 0"):
        store.snapshot().probes(PAIR)
