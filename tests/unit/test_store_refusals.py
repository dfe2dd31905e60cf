"""The store with bad input: one clear message with the remedy, nothing written or damaged."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.other_layouts import lay_out

from bridgex.corpora import CorpusPart, WordPart, split_parts, split_words
from bridgex.errors import InvalidInputError, NotFoundError, ProvenanceError, StoreError
from bridgex.schema import NeuronStatistics, Pair, Provenance, WordPair
from bridgex.store import Store, merge, verify
from bridgex.store.files import StoredFile
from bridgex.testing import synthetic

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PART_BYTES = 25
BLOCK = 3
PAIR = Pair("id", "tl")
TEXT = [f"rekodi ya {number}" for number in range(8)]
WORDS = [WordPair(f"kata {number}", ("salita",)) for number in range(8)]


def parts_of(text: list[str], **options: Any) -> list[CorpusPart]:
    options = {"language": "sw", "part_bytes": PART_BYTES, **options}
    return list(split_parts(text, **options))


def word_parts(words: list[WordPair]) -> list[WordPart]:
    return list(split_words(words, pair=PAIR, block=BLOCK))


def ingest(store: Store, parts: list[CorpusPart]) -> None:
    for part in parts:
        assert store.add_statistics(part, synthetic.statistics(part.records))


def probe(store: Store, parts: list[WordPart]) -> None:
    for part in parts:
        assert store.add_probes(part, synthetic.probes(part, "off"), "off")


def tree(path: Path) -> dict[str, bytes | None]:
    return {
        str(entry): entry.read_bytes() if entry.is_file() else None for entry in path.rglob("*")
    }


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.create(
        tmp_path / "store", synthetic.provenance(), part_bytes=PART_BYTES, probe_block=BLOCK
    )


# The place and what is there


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"no store at .*absent"):
        Store.open(tmp_path / "absent")
    assert not (tmp_path / "absent").exists()


@pytest.mark.parametrize("name", ["memory:///", "file:///tmp/store", "nowhere://bucket/path"])
def test_an_address_that_is_none_of_a_store(name: str) -> None:
    with pytest.raises(InvalidInputError, match=rf"address.*{name}"):
        Store.open_or_create(name, synthetic.provenance())


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("precious")
    for use in (Store.open, lambda path: Store.open_or_create(path, synthetic.provenance())):
        with pytest.raises(StoreError, match=r"file is a file"):
            use(path)
    assert path.read_text() == "precious"


def test_a_directory_that_holds_something_else(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(StoreError, match="not empty and is not a bridgex store"):
        Store.open_or_create(tmp_path, synthetic.provenance())
    with pytest.raises(StoreError, match="is not a bridgex store"):
        Store.open(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_another_zarr_group(tmp_path: Path) -> None:
    (tmp_path / "zarr.json").write_text('{"zarr_format":3,"node_type":"group","attributes":{}}')
    before = tree(tmp_path)
    for use in (Store.open, lambda path: Store.open_or_create(path, synthetic.provenance())):
        with pytest.raises(StoreError, match="is not a bridgex store"):
            use(tmp_path)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("content", ["", "{", "[]", "\xff"])
def test_a_damaged_root(store: Store, content: str) -> None:
    (store.path / "zarr.json").write_text(content, encoding="latin-1")
    with pytest.raises(StoreError, match=r"zarr\.json is damaged"):
        Store.open(store.path)


def test_a_root_with_a_field_missing(store: Store) -> None:
    change_root(store, lambda attributes: attributes.pop("part_bytes"))
    with pytest.raises(StoreError, match=r"zarr\.json is damaged: .*does not match its checksum"):
        Store.open(store.path)


def test_a_newer_format(store: Store) -> None:
    ingest(store, parts_of(TEXT))
    change_root(store, lambda attributes: attributes.update(format_version=2))
    before = tree(store.path)
    for use in (Store.open, lambda path: Store.open_or_create(path, synthetic.provenance())):
        with pytest.raises(StoreError, match=r"(?s)format version 2.*up to 1.*newer bridgex"):
            use(store.path)
    assert tree(store.path) == before


def change_root(store: Store, change: Callable[[dict[str, Any]], object]) -> None:
    path = store.path / "zarr.json"
    root = json.loads(path.read_text())
    change(root["attributes"]["bridgex"])
    path.write_text(json.dumps(root))


def test_a_store_is_not_created_twice(store: Store) -> None:
    before = tree(store.path)
    with pytest.raises(StoreError, match=r"a store at .* already"):
        Store.create(store.path, synthetic.provenance())
    assert tree(store.path) == before


@pytest.mark.parametrize("options", [{"part_bytes": 0}, {"probe_block": -1}])
def test_a_part_size_below_one(tmp_path: Path, options: dict[str, int]) -> None:
    with pytest.raises(InvalidInputError, match="is at least 1, not"):
        Store.create(tmp_path / "store", synthetic.provenance(), **options)
    assert not (tmp_path / "store").exists()


# Another origin


def test_another_identity_is_shown_with_both_values(store: Store) -> None:
    before = tree(store.path)
    other = replace(
        synthetic.provenance(weights="other"),
        site="post",
        policies={"special tokens": "counted", "gold": 1},
    )
    with pytest.raises(ProvenanceError) as refusal:
        Store.open_or_create(store.path, other)
    assert refusal.value.message.splitlines()[1:] == [
        '  weights: the store has "weights", yours is "other"',
        '  site: the store has "act", yours is "post"',
        '  policy special tokens: the store has "excluded", yours is "counted"',
        "  policy gold: the store has nothing, yours is 1",
    ]
    assert refusal.value.hint is not None
    assert tree(store.path) == before


@pytest.mark.parametrize(
    "same",
    [
        lambda provenance: replace(provenance, model="the same model by another name"),
        lambda provenance: replace(provenance, versions={"synthetic": "1.2.4"}),
    ],
)
def test_what_does_not_change_the_numbers_may_differ(
    store: Store, same: Callable[[Provenance], Provenance]
) -> None:
    given = same(store.provenance)
    assert given != store.provenance
    assert Store.open_or_create(store.path, given).provenance == store.provenance


# A text that changed


@pytest.mark.parametrize("changed", range(8))
def test_a_changed_record_is_named(store: Store, changed: int) -> None:
    ingest(store, parts_of(TEXT))
    before = tree(store.path)
    other = [*TEXT, "mpya"]
    other[changed] = other[changed].replace("r", "R", 1)
    with pytest.raises(InvalidInputError, match=rf"record number {changed + 1} differs") as error:
        store.coverage(parts_of(other))
    assert error.value.hint is not None
    assert "--corpus" in error.value.hint
    with pytest.raises(InvalidInputError, match=rf"record number {changed + 1} differs"):
        list(store.missing_parts(parts_of(other)))
    assert tree(store.path) == before


def test_an_inserted_and_a_removed_record_are_named(store: Store) -> None:
    ingest(store, parts_of(TEXT))
    for other in ([*TEXT[:3], "mpya", *TEXT[3:]], [*TEXT[:3], *TEXT[4:]]):
        with pytest.raises(InvalidInputError, match="record number 4 differs"):
            store.coverage(parts_of(other))


def test_a_change_before_what_is_stored_is_noticed(store: Store) -> None:
    first, second, third, _ = parts_of(TEXT)
    ingest(store, [second])
    other = [TEXT[0].upper(), *TEXT[1:]]
    changed_first, moved_second, *_ = parts_of(other)
    with pytest.raises(InvalidInputError, match="a record among numbers 1 to 2 differs"):
        store.has_statistics(changed_first)
    with pytest.raises(InvalidInputError, match="a record before number 3 differs"):
        store.add_statistics(moved_second, synthetic.statistics(moved_second.records))
    changed_third = parts_of([TEXT[0], *TEXT[1:3], "x" * 11, *TEXT[4:]])[2]
    with pytest.raises(InvalidInputError, match="a record before number 5 differs"):
        store.has_statistics(changed_third)
    ingest(store, [first, third])


def test_a_changed_text_may_be_another_corpus(store: Store) -> None:
    ingest(store, parts_of(TEXT))
    ingest(store, parts_of([text.upper() for text in TEXT], corpus="upper"))
    assert store.snapshot().statistics("sw").record_count == 16


def test_parts_of_another_size_are_refused(store: Store) -> None:
    ingest(store, parts_of(TEXT)[2:3])
    with pytest.raises(InvalidInputError, match="lies within a stored part"):
        store.coverage(parts_of(TEXT, part_bytes=11))
    with pytest.raises(InvalidInputError, match=r"88 bytes.*parts of at most 25 bytes"):
        store.coverage(parts_of(TEXT, part_bytes=1000))
    with pytest.raises(InvalidInputError, match=r"8 word pairs.*at most 3"):
        store.probe_coverage(split_words(WORDS, pair=PAIR), "off")


def test_a_changed_word_pair_is_named(store: Store) -> None:
    probe(store, word_parts(WORDS))
    other = [*WORDS[:4], WordPair("kata 4", ("ibang salita",)), *WORDS[5:]]
    with pytest.raises(InvalidInputError, match=r"(?s)number 5 differs.*lexicons first"):
        store.probe_coverage(word_parts(other), "off")
    assert store.probe_coverage(word_parts(other), "keep").missing_parts == 3


def test_two_versions_of_a_text_are_never_added_up(store: Store) -> None:
    """What two workers could do that began with different versions at the same time."""
    ingest(store, parts_of(TEXT[:1]))
    other = Store.create(store.path.parent / "other", store.provenance, part_bytes=PART_BYTES)
    ingest(other, parts_of(["nyingine", *TEXT[1:]]))
    shutil.copytree(other.path, store.path, dirs_exist_ok=True)
    with pytest.raises(StoreError, match=r"(?s)two versions of the text.*Delete the marker"):
        store.snapshot().statistics("sw")


# Numbers that contradict themselves


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"record_count": 3}, "the part has 2 records, its statistics have 3"),
        ({"sum": np.zeros(11)}, r"expected sum as float64 of shape \(12,\), got .*\(11,\)"),
        ({"maximum": np.zeros(12)}, "expected maximum as float32.*got float64"),
        ({"positive_count": np.full(12, 10**9)}, "positive counts lie between.*number of tokens"),
        ({"positive_count": np.full(12, -1)}, "positive counts lie between -1"),
    ],
)
def test_wrong_statistics(store: Store, change: dict[str, Any], message: str) -> None:
    part = parts_of(TEXT)[0]
    with pytest.raises(InvalidInputError, match=message):
        store.add_statistics(part, replace(synthetic.statistics(part.records), **change))
    assert not (store.path / "parts").exists()


@pytest.mark.parametrize("name", ["sum", "sum_squares", "maximum"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_statistics_that_are_not_finite(store: Store, name: str, value: float) -> None:
    part = parts_of(TEXT)[0]
    statistics: NeuronStatistics = synthetic.statistics(part.records)
    getattr(statistics, name)[6] = value
    with pytest.raises(InvalidInputError, match=f"{name} is {value} at neuron 1 of layer 1"):
        store.add_statistics(part, statistics)
    assert not (store.path / "parts").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda _: {"considered": 4}, "3 word pairs, 4 were considered"),
        (lambda b: {"words": b.words[::-1]}, "is not a word pair of the part"),
        (lambda b: {"words": (b.words[0], *b.words[:2])}, "is not a word pair of the part"),
        (lambda b: {"activations": b.activations[:2]}, "of 3 layers, got 2"),
        (lambda b: {"words": b.words[:2]}, r"layer 0 as float32 of shape \(5, 2\), got"),
        (lambda b: {"activations": b.activations[::-1]}, r"layer 0 .* got float32 of shape \(4"),
    ],
)
def test_wrong_probes(store: Store, change: Callable[[Any], Any], message: str) -> None:
    part = word_parts(WORDS)[0]
    block = synthetic.probes(part, "off")
    with pytest.raises(InvalidInputError, match=message):
        store.add_probes(part, replace(block, **change(block)), "off")
    assert not (store.path / "parts").exists()


def test_probes_that_are_not_finite(store: Store) -> None:
    part = word_parts(WORDS)[0]
    block = synthetic.probes(part, "off")
    block.activations[1][2, 1] = np.inf
    with pytest.raises(InvalidInputError, match=r"1 hold inf at neuron 2, sample 1 \('kata 1'\)"):
        store.add_probes(part, block, "off")


@pytest.mark.parametrize("code", ["", "..", "sw/../../x", "sw ", ".bridgex-x"])
def test_a_language_that_is_no_code(store: Store, code: str) -> None:
    part = parts_of(TEXT, language=code)[0]
    with pytest.raises(InvalidInputError, match="expected a language code"):
        store.add_statistics(part, synthetic.statistics(part.records))
    with pytest.raises(InvalidInputError, match="expected a language code"):
        store.snapshot().statistics(code)


# Damage


def one(store: Store, pattern: str) -> Path:
    return next(iter(sorted(store.path.glob(pattern))))


@pytest.mark.parametrize("name", ["positive_count", "sum", "sum_squares", "maximum"])
@pytest.mark.parametrize("missing", ["zarr.json", "c/0"])
def test_a_removed_file_is_never_a_fill_value(store: Store, name: str, missing: str) -> None:
    ingest(store, parts_of(TEXT))
    path = one(store, f"parts/*/{name}/{missing}")
    path.unlink()
    with pytest.raises(StoreError, match=r"(?s)the file is missing.*ingest the same text") as error:
        store.snapshot().statistics("sw")
    assert str(path) in str(error.value)


@pytest.mark.parametrize("length", [0, 95, 97])
def test_a_file_of_another_size(store: Store, length: int) -> None:
    ingest(store, parts_of(TEXT))
    path = one(store, "parts/*/sum/c/0")
    path.write_bytes(path.read_bytes().ljust(length, b"\0")[:length])
    with pytest.raises(StoreError, match=f"expected 96 bytes, the file has {length}") as error:
        store.snapshot().statistics("sw")
    assert str(path) in str(error.value)


@pytest.mark.parametrize("name", ["positive_count", "sum", "sum_squares", "maximum"])
def test_flipped_bits_of_statistics(store: Store, name: str) -> None:
    ingest(store, parts_of(TEXT))
    path = one(store, f"parts/*/{name}/c/0")
    content = bytearray(path.read_bytes())
    content[5] ^= 1
    path.write_bytes(content)
    with pytest.raises(StoreError, match="it is not what was committed") as error:
        store.snapshot().statistics("sw")
    assert str(path) in str(error.value)


def test_a_removed_chunk_of_probes(store: Store) -> None:
    probe(store, word_parts(WORDS))
    one(store, "parts/*/layer_1/c/0/0").unlink()
    probes = store.snapshot().probes(PAIR)
    assert probes.layer(0).shape == (5, 8)
    with pytest.raises(StoreError, match=r"layer_1/c/0/0: the file is missing"):
        probes.rows(1, [0])


@pytest.mark.parametrize("layout", [{"chunks": (2, 3)}, {"chunks": (1, 1), "shards": (5, 3)}])
def test_a_removed_chunk_that_only_zarr_reads(store: Store, layout: dict[str, Any]) -> None:
    probe(store, word_parts(WORDS[:3]))
    directory = lay_out(store, "layer_0", np.ones((5, 3), np.float32), **layout)
    chunk = directory / "c/0/0"
    content = chunk.read_bytes()
    probes = store.snapshot().probes(PAIR)
    assert (probes.layer(0) == 1).all()
    chunk.unlink()
    with pytest.raises(StoreError, match=r"layer_0/c/0/0: the file is missing"):
        probes.rows(0, [4])
    chunk.write_bytes(content[:-1])
    with pytest.raises(StoreError, match=r"layer_0/c/0/0: expected \d+ bytes, the file has \d+"):
        probes.rows(0, [4])
    chunk.write_bytes(content[:-1] + b"x")
    with pytest.raises(StoreError, match=r"layer_0/c/0/0: it is not what was committed"):
        probes.rows(0, [4])


def test_a_chunk_that_was_never_committed(store: Store) -> None:
    """Zarr leaves out a chunk that holds the fill value only."""
    probe(store, word_parts(WORDS[:3]))
    values = np.ones((5, 3), np.float32)
    values[2:4] = 0
    lay_out(store, "layer_0", values, chunks=(2, 3))
    with pytest.raises(StoreError, match=r"layer_0: 1 of 3 chunks are missing"):
        store.snapshot().probes(PAIR).rows(0, [4])


def test_an_array_of_another_shape(store: Store) -> None:
    probe(store, word_parts(WORDS[:3]))
    for options in ({"compressors": None, "chunks": (5, 4)}, {"chunks": (2, 3)}):
        lay_out(store, "layer_0", np.ones((5, 4), np.float32), **options)
        with pytest.raises(StoreError, match=r"shape \[5, 3\], found \[5, 4\]"):
            store.snapshot().probes(PAIR).rows(0, [4])


DAMAGED_METADATA = [
    ('"shape": [', '"shape": [1,', r"expected an array of shape \[5, 3\], found \[1, 5, 3\]"),
    ('"data_type"', '"date_type"', "it is not what was committed"),
    ("{", "", "Extra data|Expecting"),
    ("{", "[{", "Expecting"),
]


@pytest.mark.parametrize(("old", "new", "message"), DAMAGED_METADATA)
def test_damaged_metadata(store: Store, old: str, new: str, message: str) -> None:
    probe(store, word_parts(WORDS[:3]))
    ingest(store, parts_of(TEXT[:1]))
    for path in (one(store, "parts/*/sum/zarr.json"), one(store, "parts/*/layer_0/zarr.json")):
        path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(StoreError, match=r"sum/zarr\.json: (expected \d+ bytes|it is not)"):
        store.snapshot().statistics("sw")
    with pytest.raises(StoreError, match=rf"layer_0/zarr\.json: {message}"):
        store.snapshot().probes(PAIR).rows(0, [0])


@pytest.mark.parametrize("content", ["[]", "{}", '{"attributes": {"bridgex": {"words": []}}}'])
def test_damaged_words(store: Store, content: str) -> None:
    probe(store, word_parts(WORDS[:3]))
    path = one(store, "parts/*/layer_0").parent / "zarr.json"
    path.write_text(content)
    with pytest.raises(StoreError, match=rf"expected \d+ bytes, .* {len(content)}") as error:
        store.snapshot().probes(PAIR)
    assert str(path) in str(error.value)


def test_a_removed_part(store: Store) -> None:
    probe(store, word_parts(WORDS))
    shutil.rmtree(one(store, "parts/*.*"))
    with pytest.raises(StoreError, match=r"zarr\.json: the file is missing"):
        store.snapshot().probes(PAIR)


@pytest.mark.parametrize("content", ["", "{}", '{"format": 1', "null", "[1]"])
def test_a_damaged_marker(store: Store, content: str) -> None:
    ingest(store, parts_of(TEXT))
    ingest(store, parts_of(TEXT, language="en"))
    path = one(store, "commits/statistics/sw/*.json")
    path.write_text(content)
    with pytest.raises(StoreError, match=r"(?s)marker .* is damaged.*Delete it") as error:
        store.snapshot().statistics("sw")
    assert str(path) in str(error.value)
    assert store.snapshot().statistics("en").record_count == 8
    path.unlink()
    ingest(store, list(store.missing_parts(parts_of(TEXT))))
    assert store.snapshot().statistics("sw").record_count == 8


def test_a_marker_under_another_name(store: Store) -> None:
    ingest(store, parts_of(TEXT))
    path = one(store, "commits/statistics/sw/*.json")
    shutil.copy(path, path.with_name("copy.json"))
    with pytest.raises(StoreError, match=r"copy\.json is damaged.*it is the marker of part"):
        store.snapshot().statistics("sw")


FILE = StoredFile(0, 0)
ELSEWHERE = [
    "../stolen", "/etc/passwd", "a/../../b", "a//b", "a/", "./a", "..", "", "a\\b", "a\0b",
]  # fmt: skip
LEADING_OUT: list[tuple[dict[str, Any], str]] = [
    *(({"files": {name: FILE}}, "is no file of a part") for name in ELSEWHERE),
    *(
        ({"attempt": name}, "is no attempt")
        for name in ("..", "0" * 15, "0" * 16 + "/..", "G" * 16)
    ),
    ({"supersedes": ("../x",), "members": True}, "is no id of a part"),
    ({"series": ("../sw", "default")}, "is no language code"),
]


@pytest.mark.parametrize(("change", "message"), LEADING_OUT)
def test_a_marker_that_leads_out_of_the_store(
    store: Store, change: dict[str, Any], message: str
) -> None:
    ingest(store, parts_of(TEXT))
    (marker, *_) = store.snapshot().markers("commits/statistics/sw")
    if "members" in change:
        change = {**change, "members": tuple(piece.member for piece in marker.pieces)}
    (store.path / marker.path).write_bytes(replace(marker, **change).to_bytes())
    with pytest.raises(StoreError, match=rf"{marker.part}\.json is damaged.*{message}"):
        store.snapshot().statistics("sw")
    with pytest.raises(StoreError, match="is damaged"):
        merge([store], store.path.parent / "merged")
    assert not (store.path.parent / "merged").exists()
    assert [finding.kind for finding in verify(store.path).findings] == ["damaged"]


@pytest.mark.parametrize("part", ["0" * 31, "A" * 32, "x"])
def test_a_part_id_of_another_form(store: Store, part: str) -> None:
    ingest(store, parts_of(TEXT))
    (marker, *_) = store.snapshot().markers("commits/statistics/sw")
    other = replace(marker, part=part)
    (store.path / other.path).write_bytes(other.to_bytes())
    with pytest.raises(StoreError, match=rf"{part}\.json is damaged.*is no id of a part"):
        store.snapshot().statistics("sw")


def test_a_marker_of_a_newer_format(store: Store) -> None:
    ingest(store, parts_of(TEXT))
    path = one(store, "commits/statistics/sw/*.json")
    path.write_text(path.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(StoreError, match=r"(?s)format version 2.*newer bridgex"):
        store.snapshot().statistics("sw")


def test_foreign_files_are_left_alone(store: Store) -> None:
    ingest(store, parts_of(TEXT))
    for name in ("README", "parts/notes.txt", "commits/x", "commits/statistics/sw/notes.txt"):
        (store.path / name).write_text("mine")
    assert Store.open_or_create(store.path, store.provenance).info().languages[0].parts == 4
