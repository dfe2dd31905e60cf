"""Merging stores: every record once, the same bits, and refusals that write nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.dying_folder import scratch

from bridgex.corpora import CorpusPart, WordPart, split_parts, split_words
from bridgex.errors import InvalidInputError, NotFoundError, ProvenanceError, StoreError
from bridgex.schema import Pair, WordPair
from bridgex.store import Store, compact, merge
from bridgex.testing import synthetic

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PAIR = Pair("id", "tl")
TEXT = [f"rekodi ya {number}" for number in range(11)]
WORDS = [WordPair(f"kata {number}", (f"salita {number}",)) for number in range(11)]


@pytest.fixture
def place() -> Iterator[Path]:
    with scratch() as name:
        yield Path(name)


def parts_of(text: list[str], corpus: str = "default") -> list[CorpusPart]:
    return list(split_parts(text, language="sw", corpus=corpus, part_bytes=25))


def words_of(words: list[WordPair]) -> list[WordPart]:
    return list(split_words(words, pair=PAIR, block=3))


def new_store(
    path: Path,
    parts: Sequence[CorpusPart] = (),
    words: Sequence[WordPart] = (),
    weights: str = "weights",
) -> Store:
    store = Store.create(path, synthetic.provenance(weights=weights), part_bytes=25, probe_block=3)
    for part in parts:
        store.add_statistics(part, synthetic.statistics(part.records))
    for word_part in words:
        store.add_probes(word_part, synthetic.probes(word_part, "off"), "off")
    return store


def bits(store: Store) -> list[object]:
    snapshot = store.snapshot()
    found: list[object] = [
        np.asarray(value).tobytes() for value in vars(snapshot.statistics("sw")).values()
    ]
    probes = snapshot.probes(PAIR)
    layers = [probes.layer(layer).tobytes() for layer in range(3)]
    return [*found, probes.words, probes.considered, *layers]


def files(path: Path) -> dict[str, bytes]:
    return {
        file.relative_to(path).as_posix(): file.read_bytes()
        for file in sorted(path.rglob("*"))
        if file.is_file()
    }


@pytest.fixture
def halves(place: Path) -> list[Store]:
    """Two workers' stores: what each ingested of the same text and word list."""
    parts, words = parts_of(TEXT), words_of(WORDS)
    return [
        new_store(place / "a", parts[:4], words[::2]),
        new_store(place / "b", parts[2:], words[1:]),
    ]


@pytest.fixture
def whole(place: Path) -> Store:
    return new_store(place / "whole", parts_of(TEXT), words_of(WORDS))


def test_two_halves_are_the_whole(place: Path, halves: list[Store], whole: Store) -> None:
    before = [files(store.path) for store in halves]
    rows = merge(halves, place / "merged")
    merged = Store.open(place / "merged")
    assert bits(merged) == bits(whole)
    assert merged.info().languages[0].missing_records == 0
    assert (merged.part_bytes, merged.probe_block) == (25, 3)
    assert [(row.source, row.kind, row.parts, row.copied_parts) for row in rows] == [
        (str(place / "a"), "statistics", 4, 4),
        (str(place / "a"), "probes", 2, 2),
        (str(place / "a"), "neurons", 1, 1),
        (str(place / "b"), "statistics", 4, 2),
        (str(place / "b"), "probes", 3, 2),
        (str(place / "b"), "neurons", 1, 0),
    ]
    info = merged.info()
    copied = sum(row.copied_bytes for row in rows if row.kind != "neurons")
    assert copied == info.languages[0].bytes + info.probes[0].bytes
    assert [files(store.path) for store in halves] == before


def test_parts_keep_their_ids_and_files_but_not_their_attempts(
    place: Path, halves: list[Store]
) -> None:
    merge(halves[:1], place / "merged")
    (old, *_) = halves[0].snapshot().markers("commits/statistics/sw")
    (new, *_) = Store.open(place / "merged").snapshot().markers("commits/statistics/sw")
    assert (new.part, new.files) == (old.part, old.files)
    assert new.attempt != old.attempt
    assert new.writer != old.writer
    assert files(place / "merged" / new.directory) == files(place / "a" / old.directory)


def test_merging_again_copies_nothing(place: Path, halves: list[Store]) -> None:
    merge(halves, place / "merged")
    before = files(place / "merged")
    assert {row.copied_parts for row in merge(halves, place / "merged")} == {0}
    assert files(place / "merged") == before


def test_merging_into_one_of_the_sources(halves: list[Store], whole: Store) -> None:
    merge(halves, halves[0].path)
    assert bits(halves[0]) == bits(whole)


def test_what_was_compacted_is_merged(place: Path, halves: list[Store], whole: Store) -> None:
    compact(halves[0], codec="zstd")
    compact(halves[1], codec="pcodec")
    merge(halves, place / "merged")
    merged = Store.open(place / "merged")
    assert bits(merged) == bits(whole)
    markers = merged.snapshot().committed("commits/statistics/sw")
    assert any(marker.members for marker in markers)
    superseded = {part for marker in markers for part in marker.supersedes}
    assert not superseded & {marker.part for marker in markers}, "it was copied for nothing"
    compact(merged)
    assert bits(merged) == bits(whole)


def test_a_longer_last_part_wins(place: Path) -> None:
    stores = [
        new_store(place / "short", parts_of(TEXT[:3])),
        new_store(place / "long", parts_of(TEXT[:8])),
    ]
    rows = merge(stores, place / "merged")
    assert [row.copied_parts for row in rows] == [1, 3]
    assert Store.open(place / "merged").snapshot().statistics("sw").record_count == 8


def test_different_corpora_add_up(place: Path) -> None:
    stores = [
        new_store(place / "default", parts_of(TEXT)),
        new_store(place / "news", parts_of(["nyingine"], "news")),
    ]
    merge(stores, place / "merged")
    assert Store.open(place / "merged").snapshot().statistics("sw").record_count == 12


def test_another_model_is_refused_with_what_differs(place: Path, halves: list[Store]) -> None:
    other = new_store(place / "other", weights="others")
    with pytest.raises(ProvenanceError) as error:
        merge([halves[0], other], place / "merged")
    assert error.value.message == (
        f"{place / 'other'} cannot be merged: the store {place / 'a'} holds activations of another "
        'origin:\n  weights: the store has "weights", yours is "others"'
    )
    assert not (place / "merged").exists()
    before = files(place / "other")
    with pytest.raises(ProvenanceError, match="weights: the store has"):
        merge(halves, place / "other")
    assert files(place / "other") == before


@pytest.mark.parametrize("name", ["part_bytes", "probe_block"])
def test_other_part_sizes_are_refused(place: Path, halves: list[Store], name: str) -> None:
    sizes = {"part_bytes": 25, "probe_block": 3} | {name: 7}
    other = Store.create(place / "other", synthetic.provenance(), **sizes)
    with pytest.raises(
        StoreError, match=f"other cannot be merged: its {name} is 7, that of .*a is"
    ):
        merge([halves[0], other], place / "merged")
    assert not (place / "merged").exists()


def test_two_versions_of_a_text_are_refused_before_anything_is_written(
    place: Path, halves: list[Store]
) -> None:
    changed = [*TEXT[:7], "nyingine", *TEXT[8:]]
    other = new_store(place / "other", parts_of(changed))
    with pytest.raises(StoreError, match=r"(?s)come from two versions of the text.*--corpus"):
        merge([*halves, other], place / "merged")
    assert not (place / "merged").exists()
    before = files(place / "a")
    with pytest.raises(StoreError, match="come from two versions of the text"):
        merge([other], place / "a")
    assert files(place / "a") == before


def test_rounded_activations_never_replace_exact_ones(place: Path, whole: Store) -> None:
    words = words_of(WORDS)
    rounded = new_store(place / "rounded", words=words)
    compact(rounded, codec="zstd", keep_bits=9)
    before = files(whole.path)
    for target in (place / "merged", whole.path):
        with pytest.raises(StoreError, match=r"(?s)keeps 23 .*whole, and 9 in.*--keep-bits 9"):
            merge([rounded, whole], target)
    assert files(whole.path) == before
    assert not (place / "merged").exists()
    compact(whole, codec="blosc", keep_bits=9)
    merge([rounded, whole], place / "merged")
    assert bits(Store.open(place / "merged")) == bits(whole)
    merge([rounded], place / "alone")


def test_partly_rounded_activations_never_replace_exact_ones(place: Path, whole: Store) -> None:
    words = words_of(WORDS)
    mixed = new_store(place / "mixed", words=words[:3])
    compact(mixed, codec="zstd", keep_bits=9)
    for part in words[3:]:
        mixed.add_probes(part, synthetic.probes(part, "keep"), "keep")
    compact(mixed)
    with pytest.raises(StoreError, match=r"(?s)keeps 23 .*whole, and 9 in.*--keep-bits 9"):
        merge([mixed, whole], place / "merged")
    merge([mixed, mixed], place / "merged")


def test_a_damaged_source_is_noticed_and_the_rest_is_kept(
    place: Path, halves: list[Store], whole: Store
) -> None:
    marker = halves[1].snapshot().markers("commits/statistics/sw")[-1]
    chunk = halves[1].path / marker.directory / "sum/c/0"
    content = chunk.read_bytes()
    chunk.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(StoreError, match=rf"damaged at {chunk}: it is not what was committed"):
        merge(halves, place / "merged")
    merged = Store.open(place / "merged")
    assert merged.snapshot().statistics("sw").record_count < 11
    assert len(list((place / "merged/parts").iterdir())) == len(
        list((place / "merged/commits").rglob("*.json"))
    )
    chunk.write_bytes(content)
    merge(halves, place / "merged")
    assert bits(merged) == bits(whole)


def test_what_is_not_a_store_to_merge_into(place: Path, halves: list[Store]) -> None:
    (place / "other").mkdir()
    (place / "other/notes.txt").write_text("mine")
    with pytest.raises(StoreError, match="is not empty and is not a bridgex store"):
        merge(halves, place / "other")
    with pytest.raises(InvalidInputError, match="expected stores to merge, got none"):
        merge([], place / "merged")
    with pytest.raises(NotFoundError, match="there is no store at"):
        merge([Store.open(place / "nowhere")], place / "merged")


def test_the_marker_of_a_merged_part_is_whole(place: Path, halves: list[Store]) -> None:
    compact(halves[0])
    merge(halves, place / "merged")
    for path in (place / "merged/commits").rglob("*.json"):
        marker = json.loads(path.read_text())
        for name, file in marker["files"].items():
            stored = place / "merged/parts" / f"{marker['part']}.{marker['attempt']}" / name
            assert stored.stat().st_size == file["size"]
