"""What other programs read of a store: the same numbers, where they come from, or nothing."""

from __future__ import annotations

import ast
import json
import os
import resource
import signal
import tracemalloc
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open

from bridgex import exchange
from bridgex.analysis import Selection, select_neurons
from bridgex.corpora import split_parts, split_words
from bridgex.errors import InvalidInputError, NotFoundError, StoreError
from bridgex.files import atomic_file, write_atomically
from bridgex.schema import NeuronStatistics, Pair, ProbeForm, WordPair
from bridgex.store import Store
from bridgex.testing import synthetic

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PAIR = Pair("id", "tl")
WORDS = [WordPair(f"kata {number}", ("salita", f'"ibang"\n{number}')) for number in range(8)]
PROVENANCE = synthetic.provenance()
OFFSETS = PROVENANCE.layer_offsets


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store.create(tmp_path / "store", synthetic.provenance(), probe_block=3)
    for language in ("id", "tl", "sw"):
        for part in split_parts([f"{language} {n}" for n in range(9)], language=language):
            made.add_statistics(part, synthetic.statistics(part.records))
    for words in split_words(WORDS, pair=PAIR, block=3):
        made.add_probes(words, synthetic.probes(words, "off"), "off")
    return made


def test_a_table_of_statistics_holds_what_the_store_holds(store: Store, tmp_path: Path) -> None:
    found = store.snapshot().statistics("sw")
    path = tmp_path / "sw.parquet"
    frame = exchange.statistics_table("sw", found, PROVENANCE)
    exchange.write_table(frame, path, exchange.describe("x/1", store.provenance))
    read = pl.read_parquet(path)
    for name in ("positive_count", "sum", "sum_squares", "maximum"):
        assert read[name].to_numpy().tobytes() == getattr(found, name).tobytes()
    assert read["activation_probability"].to_list() == found.activation_probability.tolist()
    assert read["mean"].to_list() == found.mean.tolist()
    assert read["layer"].to_list() == [0] * 5 + [1] * 3 + [2] * 4
    assert read["neuron"].to_list() == [*range(5), *range(3), *range(4)]
    assert set(read["token_count"]) == {found.token_count}
    assert set(read["language"]) == {"sw"}


def test_what_is_not_known_is_null(store: Store) -> None:
    counts = store.snapshot().statistics("sw").positive_count
    known = NeuronStatistics.of_known(
        {"positive_count": counts}, token_count=int(counts.max()), record_count=1
    )
    frame = exchange.statistics_table("sw", known, PROVENANCE)
    for name in ("sum", "sum_squares", "maximum", "mean"):
        assert frame[name].null_count() == 12
    assert frame["activation_probability"].null_count() == 0


def test_every_file_says_where_its_numbers_come_from(store: Store, tmp_path: Path) -> None:
    snapshot = store.snapshot()
    table, arrays, probes = tmp_path / "a.parquet", tmp_path / "b", tmp_path / "c"
    about = exchange.describe("bridgex.x/1", store.provenance, language="sw")
    exchange.write_table(pl.DataFrame({"a": [1]}), table, about)
    exchange.write_statistics_tensors("sw", snapshot.statistics("sw"), arrays, store.provenance)
    exchange.write_probes(snapshot.probes(PAIR), probes, store.provenance)
    said = [pl.read_parquet_metadata(table)["bridgex"]]
    for path in (arrays, probes):
        with safe_open(path, "np") as file:
            said.append(file.metadata()["bridgex"])
    for text in said:
        document = json.loads(text)
        assert document["fingerprint"] == store.provenance.fingerprint
        assert document["provenance"] == store.provenance.to_json()
        assert document["format_version"] == 1
    assert json.loads(said[0])["language"] == "sw"
    assert json.loads(said[1])["token_count"] == snapshot.statistics("sw").token_count


def test_arrays_come_back_with_the_same_bits(store: Store, tmp_path: Path) -> None:
    found = store.snapshot().statistics("sw")
    exchange.write_statistics_tensors("sw", found, tmp_path / "sw", store.provenance)
    read = tensors(tmp_path / "sw")
    assert set(read) == {"positive_count", "sum", "sum_squares", "maximum", "layer_offsets"}
    for name, values in {**found.known(), "layer_offsets": OFFSETS}.items():
        assert (read[name].dtype, read[name].tobytes()) == (values.dtype, values.tobytes())


def test_every_array_begins_where_its_numbers_may(tmp_path: Path) -> None:
    provenance = synthetic.provenance(layer_sizes=(5, 2))
    found = synthetic.statistics(["x"], layer_sizes=(5, 2))
    path = tmp_path / "file"
    for language in ("a", "ab", "abc", "abcd", "abcde", "abcdef", "abcdefg", "abcdefgh"):
        exchange.write_statistics_tensors(language, found, path, provenance)
        content = path.read_bytes()
        length = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + length])
        assert length % 8 == 0
        for name, tensor in header.items():
            if name != "__metadata__":
                assert tensor["data_offsets"][0] % (int(tensor["dtype"][1:]) // 8) == 0


def test_probes_of_some_neurons_come_with_their_indices(tmp_path: Path) -> None:
    # Of layers of 5, 3 and 4 neurons: 1, 3 and 4; none; the last.
    form = ProbeForm("f32", np.array([1, 3, 4, 11]), 20.0, ("id", "tl"))
    store = Store.create(tmp_path / "store", synthetic.provenance())
    (part,) = split_words(WORDS, pair=PAIR)
    whole = synthetic.probes(part, "off")
    kept = form.layer_neurons(synthetic.LAYER_SIZES)
    assert kept is not None
    rows = tuple(layer[one] for layer, one in zip(whole.activations, kept, strict=True))
    store.add_probes(part, replace(whole, activations=rows), "off", form)
    exchange.write_probes(store.snapshot().probes(PAIR), tmp_path / "probes", store.provenance)
    read = tensors(tmp_path / "probes")
    for layer, (values, one) in enumerate(zip(rows, kept, strict=True)):
        assert read[f"layer_{layer}_neurons"].tolist() == one.tolist()
        assert read[f"layer_{layer}"].shape == values.shape
        assert read[f"layer_{layer}"].tobytes() == values.tobytes()


def test_probes_come_back_with_the_same_bits_and_their_words(store: Store, tmp_path: Path) -> None:
    probes = store.snapshot().probes(PAIR)
    exchange.write_probes(probes, tmp_path / "probes", store.provenance)
    read = tensors(tmp_path / "probes")
    assert list(read) == ["layer_0", "layer_1", "layer_2"]
    for layer in range(3):
        expected = probes.layer(layer)
        assert read[f"layer_{layer}"].shape == expected.shape
        assert read[f"layer_{layer}"].tobytes() == expected.tobytes()
    with safe_open(tmp_path / "probes", "np") as file:
        about = json.loads(file.metadata()["bridgex"])
    assert about["words"] == [[word.source, list(word.targets)] for word in WORDS]
    assert (about["source"], about["target"], about["gold"]) == ("id", "tl", "off")


def test_probes_larger_than_memory_can_be_written(tmp_path: Path) -> None:
    layer_bytes = 2000 * 64 * 4
    sizes = (2000,) * 8
    store = Store.create(tmp_path / "store", synthetic.provenance(layer_sizes=sizes))
    words = [WordPair(f"kata {number}", ("salita",)) for number in range(64)]
    for part in split_words(words, pair=PAIR):
        store.add_probes(part, synthetic.probes(part, "off", layer_sizes=sizes), "off")
    probes = store.snapshot().probes(PAIR)
    tracemalloc.start()
    try:
        exchange.write_probes(probes, tmp_path / "probes", store.provenance)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (tmp_path / "probes").stat().st_size > 8 * layer_bytes
    assert peak < 3 * layer_bytes


def tensors(path: Path) -> dict[str, Any]:
    with safe_open(path, "np") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping


def test_sets_come_back_as_they_were_chosen(store: Store) -> None:
    snapshot = store.snapshot()
    statistics = {code: snapshot.statistics(code) for code in snapshot.languages}
    neurons = select_neurons(statistics, OFFSETS, Selection(top_percent=40))
    frame = exchange.sets_table(neurons, statistics, PROVENANCE)
    for language in neurons.languages:
        rows = frame.filter(language=language)
        flat = OFFSETS[rows["layer"].to_numpy()] + rows["neuron"].to_numpy()
        assert flat.tolist() == np.flatnonzero(neurons.mask(language)).tolist()
        expected = statistics[language].activation_probability[flat]
        assert rows["activation_probability"].to_list() == expected.tolist()


@given(st.lists(st.booleans(), min_size=12, max_size=12).filter(any))
def test_a_list_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, members: list[bool]
) -> None:
    path = tmp_path_factory.mktemp("lists") / "top_neurons_sw.txt"
    mask = np.array(members)
    exchange.write_neuron_list(mask, OFFSETS, path)
    assert exchange.read_neuron_list(path, OFFSETS).tolist() == members
    # As the published scripts read it.
    pairs = [ast.literal_eval(line) for line in path.read_text().splitlines()]
    assert [OFFSETS[layer] + neuron for layer, neuron in pairs] == np.flatnonzero(mask).tolist()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(0, 1)\n0, 2\n", r"expected \(layer, neuron\) .* neuron 2 of the list is '0, 2'"),
        ("((0, 1), 0.5)\n", r"expected \(layer, neuron\)"),
        ("(0, -1)\n", r"expected \(layer, neuron\)"),
        ("(1, 3)\n", "neuron 3 of layer 1, which the model does not have: it has 3 layers of 3 to"),
        ("(3, 0)\n", "neuron 0 of layer 3, which the model does not have"),
        ("(0, 1)\n(0,1)\n", "neuron 1 of layer 0 twice"),
        ("\n", "holds no text"),
    ],
)
def test_what_is_no_list_of_neurons_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "list.txt"
    path.write_text(text)
    with pytest.raises(InvalidInputError, match=message) as caught:
        exchange.read_neuron_list(path, OFFSETS)
    assert str(path) in caught.value.message
    with pytest.raises(NotFoundError, match="absent"):
        exchange.read_neuron_list(tmp_path / "absent", OFFSETS)


def test_a_damaged_store_leaves_no_file(store: Store, tmp_path: Path) -> None:
    probes = store.snapshot().probes(PAIR)
    for chunk in store.path.glob("parts/*/layer_2/c/0/0"):
        chunk.unlink()
    target = tmp_path / "out"
    target.mkdir()
    with pytest.raises(StoreError, match="layer_2"):
        exchange.write_probes(probes, target / "probes.safetensors", store.provenance)
    assert list(target.iterdir()) == []


def writers(store: Store) -> dict[str, Callable[[Path], None]]:
    snapshot = store.snapshot()
    statistics = snapshot.statistics("sw")
    frame = exchange.statistics_table("sw", statistics, PROVENANCE)
    return {
        "table": lambda path: exchange.write_table(frame, path, {}),
        "arrays": lambda path: exchange.write_statistics_tensors(
            "sw", statistics, path, store.provenance
        ),
        "probes": lambda path: exchange.write_probes(snapshot.probes(PAIR), path, store.provenance),
        "list": lambda path: exchange.write_neuron_list(np.ones(12, np.bool_), OFFSETS, path),
    }


@pytest.mark.parametrize("kind", ["table", "arrays", "probes", "list"])
def test_a_disk_that_takes_no_more_is_said_and_keeps_what_was_there(
    store: Store, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"before")
    write = writers(store)[kind]
    with no_larger_file_than(20), pytest.raises(InvalidInputError, match=r"cannot write .*out"):
        write(path)
    assert path.read_bytes() == b"before"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["out", "store"]


class no_larger_file_than:  # noqa: N801 - reads as a sentence
    """Let no file grow beyond some bytes, as a full disk does."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __enter__(self) -> None:
        self.handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        self.limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.size, self.limits[1]))

    def __exit__(self, *_: object) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self.limits)
        signal.signal(signal.SIGXFSZ, self.handler)


def test_a_file_has_the_permissions_that_the_mask_allows(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "file", b"content")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


def test_an_interrupted_block_leaves_nothing(tmp_path: Path) -> None:
    def interrupted() -> None:
        with atomic_file(tmp_path / "file") as file:
            file.write(b"some")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []
