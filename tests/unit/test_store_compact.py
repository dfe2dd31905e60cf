"""Compaction: fewer parts, the same bits, and refusals that change nothing."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pytest
import zarr
from tests.dying_folder import scratch

from bridgex.corpora import CorpusPart, WordPart, split_parts, split_words
from bridgex.errors import InvalidInputError, MissingDependencyError, NotFoundError, StoreError
from bridgex.schema import Pair, ProbeBlock, ProbeForm, WordPair
from bridgex.store import Compaction, Coverage, Store, compact
from bridgex.store.encoding import Codec
from bridgex.store.joined import round_in_place
from bridgex.testing import synthetic

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PAIR = Pair("id", "tl")
TEXT = [f"rekodi ya {number}" for number in range(11)]
WORDS = [WordPair(f"kata {number}", (f"salita {number}",)) for number in range(11)]
COMPRESSED = ["zstd", "blosc", "pcodec"]


@pytest.fixture
def place() -> Iterator[Path]:
    with scratch() as name:
        yield Path(name)


@pytest.fixture
def store(place: Path) -> Store:
    created = Store.create(place / "store", synthetic.provenance(), part_bytes=25, probe_block=3)
    ingest(created, TEXT)
    probe(created, WORDS)
    return created


def parts_of(text: list[str], language: str = "sw", corpus: str = "default") -> list[CorpusPart]:
    return list(split_parts(text, language=language, corpus=corpus, part_bytes=25))


def words_of(words: list[WordPair]) -> list[WordPart]:
    return list(split_words(words, pair=PAIR, block=3))


def ingest(store: Store, text: list[str], **place: str) -> None:
    for part in store.missing_parts(parts_of(text, **place)):
        store.add_statistics(part, synthetic.statistics(part.records))


def probe(store: Store, words: list[WordPair]) -> None:
    for part in store.missing_probes(words_of(words), "off"):
        store.add_probes(part, synthetic.probes(part, "off"), "off")


def bits(store: Store) -> list[object]:
    """Everything that a reader sees."""
    snapshot = store.snapshot()
    probes = snapshot.probes(PAIR)
    return [
        *(np.asarray(value).tobytes() for value in vars(snapshot.statistics("sw")).values()),
        probes.words,
        probes.considered,
        *(probes.layer(layer).tobytes() for layer in range(3)),
        *(probes.rows(layer, [2, 0, 2]).tobytes() for layer in range(3)),
    ]


def by_kind(rows: Iterable[Compaction]) -> dict[str, Compaction]:
    return {row.kind: row for row in rows}


def markers(store: Store, series: str) -> list[dict[str, Any]]:
    directory = store.path / "commits" / series
    return [json.loads(path.read_text()) for path in sorted(directory.iterdir())]


@pytest.mark.parametrize("codec", get_args(Codec))
def test_every_bit_stays(store: Store, codec: Codec) -> None:
    before = bits(store)
    rows = by_kind(compact(store, codec=codec))
    assert (rows["statistics"].parts_before, rows["statistics"].parts_after) == (6, 2)
    assert (rows["probes"].parts_before, rows["probes"].parts_after) == (4, 2)
    assert {row.largest_relative_error for row in rows.values()} == {0.0}
    assert bits(store) == before
    assert store.coverage(parts_of(TEXT)) == Coverage(6, 0, 11, 0)
    assert not any(store.add_statistics(p, synthetic.statistics(p.records)) for p in parts_of(TEXT))


def test_bytes_are_those_of_the_parts_that_count(store: Store) -> None:
    info = store.info()
    rows = by_kind(compact(store, codec="zstd"))
    after = store.info()
    assert rows["statistics"].bytes_before == info.languages[0].bytes
    assert rows["statistics"].bytes_after == after.languages[0].bytes
    assert rows["probes"].bytes_before == info.probes[0].bytes
    assert rows["probes"].bytes_after == after.probes[0].bytes
    assert (after.languages[0].records, after.probes[0].samples) == (11, 11)


@pytest.mark.parametrize("codec", get_args(Codec))
def test_compact_again_does_nothing(store: Store, codec: Codec) -> None:
    assert [row.written_parts for row in compact(store, codec=codec)] != [0, 0]
    before = sorted(store.path.rglob("*"))
    again = compact(store, codec=codec)
    assert [row.written_parts for row in again] == [0, 0]
    assert all(row.bytes_before == row.bytes_after for row in again)
    assert sorted(store.path.rglob("*")) == before


def test_from_codec_to_codec_and_back(store: Store) -> None:
    before = bits(store)
    for codec in ("zstd", "pcodec", "zstd", "none", "zstd", "none"):
        assert [row.written_parts for row in compact(store, codec=codec)] == [2, 2]
        assert bits(store) == before


def test_another_level_is_written_only_when_it_is_asked_for(store: Store) -> None:
    compact(store, codec="zstd", level=9)
    assert {row.written_parts for row in compact(store, codec="zstd")} == {0}
    assert {row.written_parts for row in compact(store, codec="zstd", level=9)} == {0}
    assert {row.written_parts for row in compact(store, codec="zstd", level=3)} == {2}


def test_the_last_part_can_still_grow(store: Store) -> None:
    compact(store, codec="zstd")
    ingest(store, [*TEXT, "rekodi ya 11", "rekodi ya 12"])
    probe(store, [*WORDS, WordPair("kata 11", ("x",))])
    compact(store)
    assert store.snapshot().statistics("sw").record_count == 13
    assert store.snapshot().probes(PAIR).considered == 12


def test_what_lies_behind_a_gap_stays_alone(place: Path) -> None:
    store = Store.create(place / "store", synthetic.provenance(), part_bytes=25)
    parts = parts_of(TEXT)
    for part in [*parts[:3], *parts[4:]]:
        store.add_statistics(part, synthetic.statistics(part.records))
    (row,) = compact(store)
    assert (row.parts_before, row.parts_after, row.written_parts) == (5, 4, 1)
    store.add_statistics(parts[3], synthetic.statistics(parts[3].records))
    (row,) = compact(store)
    assert (row.parts_before, row.parts_after) == (5, 2)
    assert store.coverage(parts) == Coverage(6, 0, 11, 0)


def test_corpora_and_languages_are_kept_apart(store: Store) -> None:
    ingest(store, TEXT[:6], corpus="news")
    ingest(store, TEXT, language="en")
    rows = compact(store, languages=["sw"])
    assert [row.series for row in rows] == [("sw", "default"), ("sw", "news")]
    assert [row.series for row in compact(store, pairs=[PAIR])] == [("id", "tl", "off")]
    assert len(store.snapshot().markers("commits/statistics/en")) == 6


def test_the_marker_says_what_became_one(store: Store) -> None:
    parts = {marker["part"]: marker for marker in markers(store, "statistics/sw")}
    compact(store, codec="zstd", level=7)
    new = [one for one in markers(store, "statistics/sw") if one["part"] not in parts]
    whole = next(one for one in new if one["place"]["records_before"] == 0)
    assert whole["encoding"] == {"codec": "zstd", "level": 7, "keep_bits": None}
    assert whole["records"] == 10
    assert [member["records_before"] for member in whole["members"]] == [0, 2, 4, 6, 8]
    assert whole["supersedes"] == sorted(member["part"] for member in whole["members"])
    for member in whole["members"]:
        old = parts[member["part"]]
        assert member["counted"] == old["tokens"]
        assert (member["records"], member["chain_after"]) == (old["records"], old["chain_after"])
        assert member["chain_before"] == old["place"]["chain_before"]


def test_superseded_parts_may_go_and_come_back(store: Store) -> None:
    before = bits(store)
    originals = list((store.path / "commits/statistics/sw").iterdir())
    kept = originals[0].read_bytes()
    compact(store)
    for marker in originals:
        if json.loads(marker.read_text())["place"]["records_before"] < 10:
            marker.unlink()
    opened = Store.open(store.path)
    assert bits(opened) == before
    assert opened.coverage(parts_of(TEXT)) == Coverage(6, 0, 11, 0)
    originals[0].write_bytes(kept)
    assert bits(Store.open(store.path)) == before


def test_a_late_shorter_part_at_a_members_place_does_not_count(place: Path) -> None:
    """A worker that was suspended while the text was short commits after the compaction."""
    stores = [
        Store.create(place / name, synthetic.provenance(), part_bytes=25)
        for name in ("early", "late")
    ]
    ingest(stores[0], TEXT[:3])
    ingest(stores[1], TEXT)
    compact(stores[1])
    whole = stores[1].snapshot().statistics("sw")
    for name in ("parts", "commits/statistics/sw"):
        for path in (place / "early" / name).iterdir():
            if not (place / "late" / name / path.name).exists():
                path.rename(place / "late" / name / path.name)
    late = Store.open(place / "late")
    assert len(markers(late, "statistics/sw")) == 6 + 1 + 1
    assert late.snapshot().statistics("sw").sum.tobytes() == whole.sum.tobytes()
    assert late.snapshot().statistics("sw").record_count == 11


@pytest.mark.parametrize("member", [0, 2])
def test_a_changed_record_is_found_in_a_compacted_part(store: Store, member: int) -> None:
    compact(store)
    changed = [*TEXT]
    changed[2 * member + 1] = "nyingine"
    with pytest.raises(InvalidInputError, match=f"record number {2 * member + 2} differs"):
        Store.open(store.path).coverage(parts_of(changed))


@pytest.mark.parametrize("codec", COMPRESSED)
def test_any_zarr_reader_opens_a_compacted_array(store: Store, codec: Codec) -> None:
    compact(store, codec=codec)
    whole = store.snapshot().probes(PAIR)
    (holder, _) = store.snapshot().markers("commits/probes/id-tl")
    with warnings.catch_warnings():
        # Zarr says of every codec from numcodecs that other libraries may not have it.
        warnings.simplefilter("ignore")
        array = zarr.open_array(str(store.path / holder.directory / "layer_1"), mode="r")
    assert holder.encoding.codec == codec
    assert np.asarray(array[...]).tobytes() == whole.layer(1)[:, : holder.counted].tobytes()


def test_an_uncompressed_compacted_layer_is_one_raw_chunk(store: Store) -> None:
    compact(store)
    (holder, _) = store.snapshot().markers("commits/probes/id-tl")
    raw = (store.path / holder.directory / "layer_1/c/0/0").read_bytes()
    assert raw == store.snapshot().probes(PAIR).layer(1)[:, : holder.counted].tobytes()


def test_blocks_without_samples_are_compacted_too(place: Path) -> None:
    store = Store.create(place / "store", synthetic.provenance(), probe_block=3)
    for part in words_of(WORDS):
        block = synthetic.probes(WordPart(part.place, (), part.chain_after), "keep")
        empty = ProbeBlock(words=(), activations=block.activations, considered=len(part.records))
        store.add_probes(part, empty, "keep")
    (row,) = compact(store, codec="zstd")
    assert (row.parts_before, row.parts_after) == (4, 2)
    probes = store.snapshot().probes(PAIR)
    assert (probes.sample_count, probes.considered) == (0, 11)


def test_activations_are_rounded_and_statistics_are_not(store: Store) -> None:
    before = [store.snapshot().probes(PAIR).layer(layer) for layer in range(3)]
    statistics = store.snapshot().statistics("sw")
    rows = by_kind(compact(store, codec="zstd", keep_bits=7))
    after = [store.snapshot().probes(PAIR).layer(layer) for layer in range(3)]
    exact = np.concatenate([layer.ravel() for layer in before]).astype(np.float64)
    found = np.concatenate([layer.ravel() for layer in after]).astype(np.float64)
    largest = (np.abs(found - exact) / np.abs(exact)).max()
    assert rows["probes"].largest_relative_error == largest
    assert 0 < largest <= 2**-8
    assert rows["statistics"].largest_relative_error == 0
    assert store.snapshot().statistics("sw").sum.tobytes() == statistics.sum.tobytes()
    assert {row.written_parts for row in compact(store, codec="zstd", keep_bits=9)} == {0}
    assert compact(store, codec="zstd", keep_bits=5)[1].written_parts == 2
    compact(store)
    holder = store.snapshot().markers("commits/probes/id-tl")[0]
    assert holder.encoding.keep_bits == 5, "what was rounded stays so, and says so"


def test_what_came_after_a_rounding_is_exact_until_it_is_asked_for(place: Path) -> None:
    store = Store.create(place / "store", synthetic.provenance(), probe_block=3)
    probe(store, WORDS[:6])
    compact(store, codec="zstd", keep_bits=3)
    probe(store, WORDS)
    compact(store, codec="zstd")
    holder = store.snapshot().markers("commits/probes/id-tl")[0]
    assert (holder.encoding.keep_bits, holder.encoding.fewest_bits) == (None, 3)
    assert store.info().probes[0].codecs == ("zstd", "zstd, some of 3 bits")
    (row,) = compact(store, codec="zstd", keep_bits=3)
    assert row.written_parts == 2
    for marker in store.snapshot().markers("commits/probes/id-tl"):
        assert (marker.encoding.keep_bits, marker.encoding.fewest_bits) == (3, None)
    for layer in range(3):
        values = store.snapshot().probes(PAIR).layer(layer)
        rounded = values.copy()
        round_in_place(rounded, 3)
        assert values.tobytes() == rounded.tobytes()


def test_all_bits_kept_are_all_bits(store: Store) -> None:
    before = bits(store)
    compact(store, codec="zstd", keep_bits=23)
    assert bits(store) == before


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_rounding_is_to_the_nearest_and_ties_go_to_even(dtype: type[np.floating[Any]]) -> None:
    values = np.array([1.0, 1.25, 1.375, 1.5, 1.75, 1.125, -1.25, 0.0, -0.0, 3.0], dtype=dtype)
    error = round_in_place(values, 1)
    expected = [1.0, 1.0, 1.5, 1.5, 2.0, 1.0, -1.0, 0.0, -0.0, 3.0]
    assert values.tobytes() == np.array(expected, dtype=dtype).tobytes()
    assert error == 0.2


def test_rounding_to_infinity_is_refused() -> None:
    values = np.array([np.finfo(np.float32).max], dtype=np.float32)
    with pytest.raises(InvalidInputError, match=r"(?s)3.4\d+e\+38 is rounded to infinity.*more"):
        round_in_place(values, 3)
    with pytest.raises(InvalidInputError, match="cannot keep 11 bits: values of float16 have 10"):
        round_in_place(np.ones(1, dtype=np.float16), 11)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"codec": "gzip"}, "expected one of the codecs none, zstd, blosc, pcodec, got 'gzip'"),
        ({"codec": "zstd", "keep_bits": 0}, "expected 1 to 23 mantissa bits to keep, got 0"),
        ({"codec": "zstd", "keep_bits": 24}, "expected 1 to 23 mantissa bits to keep, got 24"),
        ({"keep_bits": 8}, "makes nothing smaller without a codec"),
        ({"codec": "zstd", "keep_bits": 8, "languages": ["sw"]}, "there are no probes in what"),
        ({"level": 3}, "without a codec there is no level, got 3"),
        ({"codec": "zstd", "level": 23}, "expected a level of zstd from 1 to 22, got 23"),
        ({"codec": "blosc", "level": 0}, "expected a level of blosc from 1 to 9, got 0"),
        ({"codec": "pcodec", "level": 13}, "expected a level of pcodec from 1 to 12, got 13"),
    ],
)
def test_choices_that_make_no_sense(store: Store, options: dict[str, Any], message: str) -> None:
    before = sorted(store.path.rglob("*"))
    with pytest.raises(InvalidInputError, match=message):
        compact(store, **options)
    assert sorted(store.path.rglob("*")) == before


def test_half_precision_has_fewer_bits_to_keep(place: Path) -> None:
    half = ProbeForm(dtype="f16")
    store = Store.create(place / "half", synthetic.provenance(), part_bytes=25, probe_block=3)
    ingest(store, TEXT)
    for part in words_of(WORDS):
        store.add_probes(part, synthetic.probes(part, "off"), "off", half)
    before = sorted(store.path.rglob("*"))
    with pytest.raises(InvalidInputError, match="cannot keep 11 bits: values of float16 have 10"):
        compact(store, codec="zstd", keep_bits=11)
    assert sorted(store.path.rglob("*")) == before
    exact = bits(store)
    compact(store, codec="pcodec", keep_bits=10)
    assert bits(store) == exact
    rows = by_kind(compact(store, codec="zstd", keep_bits=6))
    assert 0 < rows["probes"].largest_relative_error <= 2**-7


def test_what_is_not_there(store: Store) -> None:
    with pytest.raises(NotFoundError, match="the store has nothing of en to compact"):
        compact(store, languages=["sw", "en"])
    with pytest.raises(NotFoundError, match="the store has nothing of en-sw to compact"):
        compact(store, pairs=[Pair("en", "sw")])
    assert len(store.snapshot().markers("commits/statistics/sw")) == 6


def test_an_empty_store(place: Path) -> None:
    assert compact(Store.create(place / "store", synthetic.provenance())) == ()


def test_pcodec_is_not_installed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    compact(store, codec="pcodec")
    monkeypatch.setattr("bridgex.store.encoding.find_spec", lambda _: None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'bridgex\[pcodec\]'"):
        compact(store, codec="pcodec")
    with pytest.raises(MissingDependencyError, match=r"pip install 'bridgex\[pcodec\]'"):
        store.snapshot().probes(PAIR).layer(0)


@pytest.mark.parametrize("name", ["sum/c/0", "record_digests/c/0", "maximum/zarr.json"])
def test_a_damaged_part_is_not_compacted(store: Store, name: str) -> None:
    marker = store.snapshot().markers("commits/statistics/sw")[1]
    path = store.path / marker.directory / name
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)
    before = sorted(store.path.rglob("*"))
    with pytest.raises(StoreError, match=rf"damaged at .*{name}: it is not what was committed"):
        compact(store)
    assert sorted(store.path.rglob("*")) == before


def test_damaged_words_are_not_compacted(store: Store) -> None:
    marker = store.snapshot().markers("commits/probes/id-tl")[0]
    path = store.path / marker.directory / "zarr.json"
    path.write_text(path.read_text().replace("kata 0", "kata 9"))
    with pytest.raises(StoreError, match=r"zarr\.json: it is not what was committed"):
        compact(store, pairs=[PAIR])


def test_a_file_that_is_gone(store: Store) -> None:
    marker = store.snapshot().markers("commits/probes/id-tl")[0]
    (store.path / marker.directory / "layer_2/c/0/0").unlink()
    with pytest.raises(StoreError, match=r"layer_2/c/0/0: the file is missing"):
        compact(store, codec="zstd")


def test_a_marker_whose_members_are_not_the_part(store: Store) -> None:
    from bridgex.store.checked import with_checksum, without_checksum

    compact(store, languages=["sw"])
    holder = store.snapshot().markers("commits/statistics/sw")[0]
    path = store.path / "commits/statistics/sw" / f"{holder.part}.json"
    value = without_checksum(json.loads(path.read_text()))
    del value["members"][1]
    path.write_text(json.dumps(with_checksum(value)))
    with pytest.raises(StoreError, match=r"is damaged.*its members are not the part"):
        store.snapshot().statistics("sw")


def test_what_does_not_come_back_as_it_was_written(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that keeps something else than it was given, just before the marker."""
    write = type(store.folder).write_group

    def write_badly(folder: Any, path: str, *rest: Any) -> Any:
        files = write(folder, path, *rest)
        chunk = store.path / path / "sum/c/0"
        chunk.write_bytes(bytes(chunk.stat().st_size))
        return files

    monkeypatch.setattr(type(store.folder), "write_group", write_badly)
    before = sorted(store.path.rglob("*"))
    with pytest.raises(StoreError, match="sum does not come back as it was written"):
        compact(store)
    assert sorted(store.path.rglob("*")) == before
