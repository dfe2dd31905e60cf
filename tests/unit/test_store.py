"""The store with good input: what goes in comes out, and anybody can read it."""

from __future__ import annotations

import json
import os
import re
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np
import pytest
import zarr

from bridgex.corpora import CorpusPart, WordPart, split_parts, split_words
from bridgex.errors import InvalidInputError, NotFoundError, StoreError
from bridgex.schema import NeuronStatistics, Pair, WordPair
from bridgex.store import Coverage, Store
from bridgex.testing import synthetic

if TYPE_CHECKING:
    from pathlib import Path

PART_BYTES = 25
BLOCK = 3
PAIR = Pair("id", "tl")
TEXT = [f"rekodi ya {number}" for number in range(8)]
WORDS = [WordPair(f"kata {number}", ("salita", f"ibang {number}")) for number in range(8)]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.create(
        tmp_path / "store", synthetic.provenance(), part_bytes=PART_BYTES, probe_block=BLOCK
    )


def parts_of(text: list[str], language: str = "sw", corpus: str = "default") -> list[CorpusPart]:
    return list(split_parts(text, language=language, corpus=corpus, part_bytes=PART_BYTES))


def word_parts(words: list[WordPair], pair: Pair = PAIR) -> list[WordPart]:
    return list(split_words(words, pair=pair, block=BLOCK))


def ingest(store: Store, parts: list[CorpusPart]) -> list[bool]:
    return [store.add_statistics(part, synthetic.statistics(part.records)) for part in parts]


def assert_equal(left: NeuronStatistics, right: NeuronStatistics) -> None:
    for name in ("positive_count", "sum", "sum_squares", "maximum"):
        assert getattr(left, name).tobytes() == getattr(right, name).tobytes(), name
        assert getattr(left, name).dtype == getattr(right, name).dtype, name
    assert (left.token_count, left.record_count) == (right.token_count, right.record_count)


def test_statistics_come_back_as_they_went_in(store: Store) -> None:
    (part,) = parts_of(TEXT[:2])
    assert ingest(store, [part]) == [True]
    assert_equal(store.snapshot().statistics("sw"), synthetic.statistics(part.records))


def test_statistics_of_parts_and_corpora_add_up(store: Store) -> None:
    ingest(store, parts_of(TEXT))
    ingest(store, parts_of(["nyingine"], corpus="news"))
    snapshot = Store.open(store.path).snapshot()
    whole = synthetic.statistics([*TEXT, "nyingine"])
    both = snapshot.statistics("sw")
    assert (both.token_count, both.record_count) == (whole.token_count, 9)
    np.testing.assert_array_equal(both.positive_count, whole.positive_count)
    np.testing.assert_allclose(both.sum, whole.sum, rtol=1e-12)
    assert_equal(snapshot.statistics("sw", "news"), synthetic.statistics(["nyingine"]))
    assert snapshot.statistics("sw", "default").record_count == 8


def test_parts_are_added_in_the_order_of_their_places_and_corpora_by_name(store: Store) -> None:
    news = [f"habari {number}" for number in range(5)]
    for part in reversed([*parts_of(TEXT), *parts_of(news, corpus="a")]):
        ingest(store, [part])
    sums = []
    for parts in (parts_of(news, corpus="a"), parts_of(TEXT)):
        total = NeuronStatistics.zeros(12)
        for part in parts:
            total = total.merge(synthetic.statistics(part.records))
        sums.append(total)
    whole = sums[0].merge(sums[1])
    assert_equal(store.snapshot().statistics("sw"), whole)
    one_after_the_other = reduce(
        NeuronStatistics.merge,
        (synthetic.statistics(part.records) for part in parts_of(TEXT)),
        sums[0],
    )
    assert one_after_the_other.sum_squares.tobytes() != whole.sum_squares.tobytes(), (
        "choose another text"
    )


def test_the_same_text_again_changes_nothing(store: Store) -> None:
    parts = parts_of(TEXT)
    assert ingest(store, parts) == [True] * len(parts)
    before = sorted(store.path.rglob("*"))
    assert ingest(store, parts) == [False] * len(parts)
    assert all(store.has_statistics(part) for part in parts)
    assert list(store.missing_parts(parts)) == []
    assert sorted(store.path.rglob("*")) == before


def test_only_missing_parts_are_asked_for(store: Store) -> None:
    parts = parts_of(TEXT)
    ingest(store, parts[1:2])
    assert store.coverage(parts) == Coverage(4, 3, 8, 6)
    missing = store.missing_parts(parts)
    assert next(missing) == parts[0]
    ingest(Store.open(store.path), parts[2:3])  # another worker, meanwhile
    assert list(missing) == [parts[3]]


def test_a_text_that_grew_counts_once(store: Store) -> None:
    ingest(store, parts_of(TEXT[:3]))
    ingest(store, parts_of(TEXT))
    snapshot = store.snapshot()
    assert snapshot.statistics("sw").record_count == 8
    assert store.info().languages[0].parts == 4


def test_a_prefix_of_what_is_stored_is_stored(store: Store) -> None:
    ingest(store, parts_of(TEXT))
    assert store.coverage(parts_of(TEXT[:5])).missing_parts == 0
    assert ingest(store, parts_of(TEXT[:5])) == [False] * 3


def test_probes_come_back_as_they_went_in(store: Store) -> None:
    (part,) = word_parts(WORDS[:3])
    block = synthetic.probes(part, "off")
    assert store.add_probes(part, block, "off")
    probes = store.snapshot().probes(PAIR)
    assert (probes.pair, probes.gold, probes.words) == (PAIR, "off", part.records)
    assert (probes.sample_count, probes.considered) == (3, 3)
    for layer, values in enumerate(block.activations):
        assert probes.layer(layer).tobytes() == values.tobytes()
        assert probes.layer(layer).dtype == np.float32
        np.testing.assert_array_equal(probes.rows(layer, [2, 0, 2]), values[[2, 0, 2]])


def test_samples_are_in_the_order_of_the_word_list(store: Store) -> None:
    for part in reversed(word_parts(WORDS)):
        store.add_probes(part, synthetic.probes(part, "keep"), "keep")
    (whole,) = split_words(WORDS, pair=PAIR)
    expected = synthetic.probes(whole, "keep")
    probes = store.snapshot().probes(PAIR)
    assert probes.words == expected.words
    assert 0 < probes.sample_count < probes.considered == 8
    np.testing.assert_array_equal(probes.layer(1), expected.activations[1])


def test_a_block_without_samples_is_stored_and_counted(store: Store) -> None:
    (part,) = word_parts(WORDS[:3])
    empty = synthetic.probes(WordPart(part.place, (), part.chain_after), "keep")
    block = type(empty)(words=(), activations=empty.activations, considered=3)
    assert store.add_probes(part, block, "keep")
    assert store.has_probes(part, "keep")
    probes = store.snapshot().probes(PAIR)
    assert (probes.sample_count, probes.considered) == (0, 3)
    assert probes.layer(0).shape == (5, 0)


def test_both_gold_policies_are_kept_apart(store: Store) -> None:
    (part,) = word_parts(WORDS[:3])
    store.add_probes(part, synthetic.probes(part, "off"), "off")
    assert store.snapshot().probes(PAIR).gold == "off"
    assert list(store.missing_probes([part], "off")) == []
    assert list(store.missing_probes([part], "keep")) == [part]
    store.add_probes(part, synthetic.probes(part, "keep"), "keep")
    snapshot = store.snapshot()
    assert snapshot.probes(PAIR).gold == "keep"
    assert snapshot.probes(PAIR, "off").sample_count == 3


def test_a_snapshot_does_not_change(store: Store) -> None:
    ingest(store, parts_of(TEXT[:2]))
    snapshot = store.snapshot()
    ingest(store, parts_of(TEXT))
    ingest(store, parts_of(TEXT, language="en"))
    assert snapshot.languages == ("sw",)
    assert snapshot.statistics("sw").record_count == 2


def test_languages_and_pairs_are_listed(store: Store) -> None:
    assert (store.snapshot().languages, store.snapshot().pairs) == ((), ())
    for language in ("zh-Hans", "en"):
        ingest(store, parts_of(TEXT, language=language))
    for pair in (PAIR, Pair("zh-Hans", "id")):
        (part,) = word_parts(WORDS[:1], pair)
        store.add_probes(part, synthetic.probes(part, "off"), "off")
    assert store.snapshot().languages == ("en", "zh-Hans")
    assert store.snapshot().pairs == (PAIR, Pair("zh-Hans", "id"))


def test_info_counts_what_is_there(store: Store) -> None:
    parts = parts_of(TEXT)
    ingest(store, [parts[0], parts[3]])
    ingest(store, parts_of(["nyingine"], corpus="news"))
    for part in word_parts(WORDS):
        store.add_probes(part, synthetic.probes(part, "keep"), "keep")
    info = store.info()
    (language,) = info.languages
    (probes,) = info.probes
    assert (language.language, language.corpora) == ("sw", ("default", "news"))
    assert (language.records, language.parts, language.missing_records) == (5, 3, 4)
    assert language.tokens == store.snapshot().statistics("sw").token_count
    assert (probes.pair, probes.gold, probes.considered, probes.parts) == (PAIR, "keep", 8, 3)
    assert probes.samples == store.snapshot().probes(PAIR).sample_count
    files = [path for path in store.path.rglob("*") if path.is_file()]
    assert info.bytes_on_disk == sum(path.stat().st_size for path in files)
    (deciding,) = store.path.glob("commits/neurons/*/*.json")
    in_parts = [path for path in files if "parts" in path.parts and deciding.stem not in str(path)]
    assert language.bytes + probes.bytes == sum(path.stat().st_size for path in in_parts)


def test_any_zarr_reader_opens_every_array(store: Store) -> None:
    ingest(store, parts_of(TEXT))
    for part in word_parts(WORDS):
        store.add_probes(part, synthetic.probes(part, "off"), "off")
    attributes = zarr.open_group(str(store.path), mode="r").attrs["bridgex"]
    assert isinstance(attributes, dict)
    assert attributes["layer_offsets"] == [0, 5, 8, 12]
    names = set()
    for directory in (store.path / "parts").iterdir():
        for name, array in zarr.open_group(str(directory), mode="r").arrays():
            names.add(name)
            raw = (directory / name).joinpath("c", *["0"] * array.ndim).read_bytes()
            assert np.asarray(array[...]).tobytes() == raw
            assert array.dtype.byteorder in "=<"
    assert names == {
        *("positive_count", "sum", "sum_squares", "maximum", "record_digests"),
        *("layer_0", "layer_1", "layer_2"),
    }


def test_a_marker_lists_every_file_with_its_size_and_checksum(store: Store) -> None:
    ingest(store, parts_of(TEXT[:1]))
    (path,) = (store.path / "commits/statistics/sw").iterdir()
    marker = json.loads(path.read_text())
    directory = store.path / "parts" / f"{marker['part']}.{marker['attempt']}"
    files = {
        file.relative_to(directory).as_posix(): file
        for file in directory.rglob("*")
        if file.is_file()
    }
    assert files.keys() == marker["files"].keys()
    for name, file in files.items():
        assert marker["files"][name]["size"] == file.stat().st_size
        assert int(marker["files"][name]["crc32c"], 16) == crc32c(file.read_bytes())


def crc32c(content: bytes) -> int:
    """The checksum bit by bit, as RFC 3720 defines it."""
    value = 0xFFFFFFFF
    for byte in content:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def test_the_checksum_is_the_one_that_is_specified() -> None:
    assert crc32c(b"123456789") == 0xE3069283


def test_zeros_are_stored_too(store: Store) -> None:
    (part,) = parts_of(TEXT[:1])
    zeros = NeuronStatistics.zeros(12)
    store.add_statistics(
        part, NeuronStatistics(**{**zeros.__dict__, "token_count": 0, "record_count": 1})
    )
    assert len(list(store.path.glob("parts/*/*/c/0"))) == 5
    assert store.snapshot().statistics("sw").token_count == 0


def test_what_is_absent_is_named_with_what_there_is(store: Store) -> None:
    snapshot = store.snapshot()
    with pytest.raises(NotFoundError, match="no statistics of sw: it has no languages yet"):
        snapshot.statistics("sw")
    with pytest.raises(NotFoundError, match="no probes of id-tl: it has no pairs yet"):
        snapshot.probes(PAIR)
    ingest(store, parts_of(TEXT[:1]))
    (part,) = word_parts(WORDS[:1])
    store.add_probes(part, synthetic.probes(part, "off"), "off")
    snapshot = store.snapshot()
    with pytest.raises(NotFoundError, match=r"(?s)no statistics of en.*languages: sw"):
        snapshot.statistics("en")
    with pytest.raises(NotFoundError, match=r"(?s)no corpus 'news' of sw.*corpora: default"):
        snapshot.statistics("sw", "news")
    with pytest.raises(NotFoundError, match=r"(?s)no probes of tl-id.*pairs: id-tl"):
        snapshot.probes(Pair("tl", "id"))
    with pytest.raises(NotFoundError, match=r"(?s)gold filter keep.*policies: off"):
        snapshot.probes(PAIR, "keep")


@pytest.mark.parametrize(
    ("layer", "indices", "message"),
    [
        (3, [0], "no layer 3: the model has layers 0 to 2"),
        (-1, [0], "no layer -1"),
        (1, [3], "neuron 3 is not in layer 1, which has 3 neurons"),
        (1, [0, -1], "neuron -1 is not in layer 1"),
        (1, [0.5], "integers of shape"),
        (1, [[0]], "integers of shape"),
        (1, [True, False, True], "integers of shape"),
    ],
)
def test_rows_outside_the_matrix_are_refused(
    store: Store, layer: int, indices: list[int], message: str
) -> None:
    (part,) = word_parts(WORDS[:1])
    store.add_probes(part, synthetic.probes(part, "off"), "off")
    probes = store.snapshot().probes(PAIR)
    with pytest.raises((NotFoundError, InvalidInputError), match=message):
        probes.rows(layer, indices)


def test_no_rows_are_no_rows(store: Store) -> None:
    (part,) = word_parts(WORDS[:3])
    store.add_probes(part, synthetic.probes(part, "off"), "off")
    assert store.snapshot().probes(PAIR).rows(0, []).shape == (0, 3)


def test_a_leftover_attempt_does_not_exist(store: Store) -> None:
    ingest(store, parts_of(TEXT[:2]))
    (attempt,) = store.path.glob("parts/*.*")
    leftover = attempt.with_name(attempt.name.split(".")[0] + ".0000000000000000")
    leftover.mkdir()
    (leftover / "zarr.json").write_text("{")
    (store.path / "commits/statistics/sw/.bridgex-1.tmp").write_text("{")
    assert store.snapshot().statistics("sw").record_count == 2
    assert store.info().languages[0].parts == 1
    assert ingest(Store.open(store.path), parts_of(TEXT)) == [False, True, True, True]


def test_where_links_are_not_supported_markers_are_still_exclusive(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", unsupported)
    parts = parts_of(TEXT[:1])
    assert ingest(store, parts) == [True]
    assert ingest(store, parts) == [False]
    assert_equal(store.snapshot().statistics("sw"), synthetic.statistics(TEXT[:1]))


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), FileExistsError(17, "Exists")])
def test_a_link_that_reports_failure_after_success_has_won(
    store: Store, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    """A network file system may lose the reply, and may then try again by itself."""
    link = os.link

    def lost_reply(source: Path, target: Path) -> None:
        link(source, target)
        raise error

    monkeypatch.setattr(os, "link", lost_reply)
    assert ingest(store, parts_of(TEXT)) == [True] * 4
    assert store.snapshot().statistics("sw").record_count == 8


def test_a_marker_that_cannot_be_created_is_not_left_half_written(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", full)
        with pytest.raises(StoreError, match="No space left on device"):
            ingest(store, parts_of(TEXT[:1]))
    assert list((store.path / "commits/statistics/sw").iterdir()) == []
    assert ingest(store, parts_of(TEXT[:1])) == [True]


def test_a_part_that_cannot_be_written_leaves_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StoreError, match=r"(?s)No space left on device.*Make room"):
            ingest(store, parts_of(TEXT[:1]))
    assert list(store.path.glob("parts/*.*")) == []
    assert ingest(store, parts_of(TEXT[:1])) == [True]


def test_part_ids_depend_on_what_goes_in_only(store: Store) -> None:
    ingest(store, parts_of(["habari"]))
    (marker,) = (store.path / "commits/statistics/sw").iterdir()
    assert re.fullmatch(r"[0-9a-f]{32}\.json", marker.name)
    other = Store.create(store.path.parent / "other", synthetic.provenance(), part_bytes=PART_BYTES)
    ingest(other, parts_of(["habari"]))
    assert [path.name for path in (other.path / "commits/statistics/sw").iterdir()] == [marker.name]
