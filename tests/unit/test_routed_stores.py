"""Stores of a mixture of experts: denominators stay with the sums, whatever is done to a store."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner
from safetensors.numpy import load_file
from tests.dying_folder import scratch
from tests.plain_store import PlainStore

from bridgex import exchange
from bridgex.analysis import Selection, select_neurons
from bridgex.cli.main import cli
from bridgex.corpora import split_parts
from bridgex.errors import InvalidInputError, ProvenanceError
from bridgex.schema import Experts, NeuronStatistics
from bridgex.store import Store, collect_garbage, compact, merge, verify
from bridgex.testing import synthetic

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bridgex.store import Codec

# Two experts of two neurons and a shared one of one neuron; a dense layer; three experts.
SIZES = (5, 3, 6)
EXPERTS = (Experts(2, 2), Experts(0, 0), Experts(3, 2))
PROVENANCE = synthetic.provenance(layer_sizes=SIZES, experts=EXPERTS)
TEXTS = {code: [f"{code} rekodi {number}" for number in range(12)] for code in ("en", "sw")}
NAMES = ("positive_count", "sum", "sum_squares", "maximum", "routed_count")


def statistics(records: list[str]) -> NeuronStatistics:
    return synthetic.statistics(records, layer_sizes=SIZES, experts=EXPERTS)


def filled(path: Path, languages: tuple[str, ...] = ("en", "sw"), records: int = 12) -> Store:
    store = Store.create(path, PROVENANCE, part_bytes=30)
    for language in languages:
        texts = TEXTS[language][:records]
        for part in split_parts(texts, language=language, part_bytes=30):
            store.add_statistics(part, statistics(list(part.records)))
    return store


def bits(store: Store, language: str) -> list[bytes]:
    found = store.snapshot().statistics(language)
    return [getattr(found, name).tobytes() for name in NAMES]


@pytest.fixture
def place() -> Iterator[Path]:
    from pathlib import Path

    with scratch() as name:
        yield Path(name)


def test_a_store_is_read_by_the_document_alone(place: Path) -> None:
    store = filled(place / "store")
    plain = PlainStore(place / "store")
    assert plain.fingerprint == store.provenance.fingerprint
    for language in TEXTS:
        found, read = store.snapshot().statistics(language), plain.statistics(language)
        assert read["token_count"] == found.token_count
        for name in NAMES:
            assert read[name].tobytes() == getattr(found, name).tobytes()
    whole = statistics(TEXTS["sw"])
    np.testing.assert_array_equal(store.snapshot().statistics("sw").seen, whole.seen)
    assert (whole.seen < whole.token_count).any()


def test_what_is_written_by_the_document_alone_is_read(place: Path) -> None:
    store = filled(place / "store", ("en",))
    sums = statistics(TEXTS["sw"])
    arrays = {name: getattr(sums, name) for name in NAMES}
    PlainStore(place / "store").commit_statistics(
        ("sw", "default"), [], TEXTS["sw"], arrays | {"token_count": sums.token_count}
    )
    assert bits(store, "sw") == [getattr(sums, name).tobytes() for name in NAMES]
    assert not verify(place / "store").findings


def test_merging_compacting_and_collecting_keep_every_bit(place: Path) -> None:
    whole = filled(place / "whole")
    some = filled(place / "some", ("en",), 5)
    codecs: tuple[Codec, ...] = ("none", "zstd")
    merge([some, whole], place / "both")
    both = Store.open(place / "both")
    for codec in codecs:
        compact(both, codec=codec)
        collect_garbage(both, older_than=0)
        assert not verify(both.path).findings
        for language in TEXTS:
            assert bits(both, language) == bits(whole, language)
    read = PlainStore(place / "both").statistics("en")
    assert read["routed_count"].tobytes() == bits(whole, "en")[-1]


def test_stores_of_other_experts_are_not_merged(place: Path) -> None:
    filled(place / "store")
    swapped = (Experts(1, 4), Experts(0, 0), Experts(2, 3))
    for experts in (swapped, ()):
        other = synthetic.provenance(layer_sizes=SIZES, experts=experts)
        Store.create(place / f"other{len(experts)}", other, part_bytes=30)
        with pytest.raises(ProvenanceError, match="experts"):
            merge([Store.open(place / f"other{len(experts)}")], place / "store")


@pytest.mark.parametrize("damage", ["flip", "missing"])
def test_a_damaged_denominator_is_found(place: Path, damage: str) -> None:
    filled(place / "store", ("en",), 1)
    (path,) = (place / "store").glob("parts/*/routed_count/c/0")
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    found = verify(place / "store").findings
    assert any("routed_count" in str(finding) for finding in found)


def test_tables_and_arrays_hold_experts_and_denominators(place: Path) -> None:
    store = filled(place / "store")
    found = store.snapshot().statistics("sw")
    frame = exchange.statistics_table("sw", found, PROVENANCE)
    assert frame["expert"].to_list() == [0, 0, 1, 1, *[None] * 4, 0, 0, 1, 1, 2, 2]
    assert frame["expert_neuron"].to_list() == [0, 1, 0, 1, *[None] * 4, 0, 1, 0, 1, 0, 1]
    assert frame["routed_count"].to_list() == found.seen.tolist()
    assert frame["activation_probability"].to_list() == found.activation_probability.tolist()
    assert {frame[name].dtype for name in ("expert", "expert_neuron")} == {pl.Int32()}
    exchange.write_statistics_tensors("sw", found, place / "sw", PROVENANCE)
    assert load_file(place / "sw")["routed_count"].tobytes() == found.seen.tobytes()
    chosen = {code: store.snapshot().statistics(code) for code in TEXTS}
    rule = Selection("threshold", threshold=0.3)
    neurons = select_neurons(chosen, PROVENANCE.layer_offsets, rule)
    sets = exchange.sets_table(neurons, chosen, PROVENANCE)
    assert sets.columns[:5] == ["language", "layer", "neuron", "expert", "expert_neuron"]
    placed = sets.filter(pl.col("expert").is_not_null())
    widths = placed["layer"].replace_strict({0: 2, 2: 2})
    assert (placed["neuron"] == placed["expert"] * widths + placed["expert_neuron"]).all()


@pytest.mark.parametrize("format_", ["json", "csv", "table"])
def test_a_query_shows_experts_and_the_tokens_they_saw(place: Path, format_: str) -> None:
    found = filled(place / "store").snapshot().statistics("sw")
    command = ["query", "neurons", str(place / "store"), "--languages", "sw", "--format", format_]
    done = CliRunner().invoke(cli, [*command, "--select", "threshold", "--threshold", "0.01"])
    assert done.exit_code == 0
    if format_ == "table":
        assert "expert" in done.stdout
        return
    if format_ == "csv":
        assert done.stdout.startswith(
            "layer,neuron,expert,expert_neuron,probability_sw,mean_sw,tokens_sw\n"
        )
        return
    rows = json.loads(done.stdout)["rows"]
    shared = next(row for row in rows if (row["layer"], row["neuron"]) == (0, 4))
    assert (shared["expert"], shared["expert_neuron"]) == (None, None)
    for row in rows:
        flat = int(PROVENANCE.layer_offsets[row["layer"]]) + row["neuron"]
        assert row["tokens_sw"] == found.seen[flat]
        if row["expert"] is not None:
            assert row["neuron"] == row["expert"] * 2 + row["expert_neuron"]


def test_a_dense_store_shows_no_experts(place: Path) -> None:
    store = Store.create(place / "store", synthetic.provenance(), part_bytes=30)
    for part in split_parts(TEXTS["sw"], language="sw", part_bytes=30):
        store.add_statistics(part, synthetic.statistics(part.records))
    command = ["query", "neurons", str(place / "store"), "--languages", "sw", "--format", "csv"]
    done = CliRunner().invoke(cli, [*command, "--select", "threshold", "--threshold", "0.01"])
    assert done.stdout.startswith("layer,neuron,probability_sw,mean_sw\n")
    frame = exchange.statistics_table("sw", store.snapshot().statistics("sw"), store.provenance)
    assert not {"expert", "expert_neuron", "routed_count"} & set(frame.columns)


def test_denominators_that_cannot_be_are_refused(place: Path) -> None:
    store = Store.create(place / "store", PROVENANCE, part_bytes=30)
    part = next(iter(split_parts(TEXTS["sw"], language="sw", part_bytes=30)))
    good = statistics(list(part.records))
    assert good.routed_count is not None
    more = good.routed_count.copy()
    more[:2] = good.token_count + 1
    for wrong in (more, np.zeros_like(more), more[:-1]):
        with pytest.raises(InvalidInputError):
            store.add_statistics(part, replace(good, routed_count=wrong))
    assert not store.snapshot().languages
