"""What verify finds in a store: each with its path, and with what to do about it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bridgex.corpora import CorpusPart, WordPart, split_parts, split_words
from bridgex.errors import NotFoundError, StoreError
from bridgex.schema import Pair, WordPair
from bridgex.store import Finding, Store, verify
from bridgex.store.candidate import probes_candidate, statistics_candidate
from bridgex.store.layout import DIGESTS_ARRAY, layer_array
from bridgex.store.writer import commit, new_attempt
from bridgex.testing import synthetic

if TYPE_CHECKING:
    from bridgex.store.candidate import Candidate

PAIR = Pair("id", "tl")
TEXT = [f"rekodi ya {number}" for number in range(6)]
WORDS = [WordPair(f"kata {number}", ("salita",)) for number in range(5)]


def parts_of(text: list[str], language: str = "sw") -> list[CorpusPart]:
    return list(split_parts(text, language=language, part_bytes=25))


def word_parts() -> list[WordPart]:
    return list(split_words(WORDS, pair=PAIR, block=3))


def new_store(path: Path, **provenance: Any) -> Store:
    return Store.create(path, synthetic.provenance(**provenance), part_bytes=25, probe_block=3)


def fill(store: Store) -> None:
    for part in [*parts_of(TEXT), *parts_of(TEXT[:2], "en")]:
        assert store.add_statistics(part, synthetic.statistics(part.records))
    for words in word_parts():
        assert store.add_probes(words, synthetic.probes(words, "off"), "off")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = new_store(tmp_path / "store")
    fill(store)
    return store


def path_of(store: Store, pattern: str = "") -> Path:
    return min(Path(store.path).glob(pattern)) if pattern else Path(store.path)


def only_finding(store: Store) -> Finding:
    (finding,) = verify(store.path).findings
    return finding


def test_nothing_is_found_where_nothing_is_wrong(store: Store) -> None:
    found = verify(store.path)
    assert (found.findings, found.notes) == ((), ())
    files = [path for path in path_of(store).glob("parts/**/*") if path.is_file()]
    assert (found.parts, found.files) == (7, len(files))
    assert found.bytes == sum(path.stat().st_size for path in files)


def test_an_empty_store_is_as_it_should_be(tmp_path: Path) -> None:
    found = verify(new_store(tmp_path / "store").path)
    assert (found.findings, found.notes, found.parts) == ((), (), 0)


def test_a_removed_file_is_named_with_its_remedy(store: Store) -> None:
    path = path_of(store, "parts/*/sum/c/0")
    path.unlink()
    finding = only_finding(store)
    assert (finding.path, finding.problem, finding.kind) == (
        str(path),
        "the file is missing",
        "missing",
    )
    marker = path_of(store, f"commits/*/*/{path.parents[2].name.split('.')[0]}.json")
    assert f"delete the marker {marker} and ingest the corpus 'default' of" in finding.remedy


def test_the_remedy_helps(store: Store) -> None:
    whole = store.snapshot().statistics("sw")
    path = path_of(store, "commits/statistics/sw/*.json")
    shutil.rmtree(path_of(store, f"parts/{path.stem}.*"))
    found = verify(store.path)
    assert {finding.kind for finding in found.findings} == {"missing"}
    path.unlink()
    for part in store.missing_parts(parts_of(TEXT)):
        store.add_statistics(part, synthetic.statistics(part.records))
    assert verify(store.path).findings == ()
    assert store.snapshot().statistics("sw").sum.tobytes() == whole.sum.tobytes()


@pytest.mark.parametrize("name", ["sum/c/0", "record_digests/zarr.json", "layer_1/c/0/0"])
@pytest.mark.parametrize("length", [0, 7, 2000])
def test_a_file_of_another_size(store: Store, name: str, length: int) -> None:
    path = path_of(store, f"parts/*/{name}")
    size = path.stat().st_size
    path.write_bytes(path.read_bytes().ljust(length, b"\0")[:length])
    finding = only_finding(store)
    assert (finding.path, finding.kind) == (str(path), "damaged")
    assert finding.problem == f"expected {size} bytes, the file has {length}"


def test_a_directory_where_a_file_should_be(store: Store) -> None:
    path = path_of(store, "parts/*/sum/c/0")
    path.unlink()
    path.mkdir()
    finding = only_finding(store)
    assert (finding.path, finding.kind) == (str(path), "damaged")
    assert "Is a directory" in finding.problem


@pytest.mark.parametrize("content", ["", "{}", '{"format": 1', "null", "\xff"])
def test_a_damaged_marker(store: Store, content: str) -> None:
    path = path_of(store, "commits/statistics/en/*.json")
    path.write_text(content, encoding="latin-1")
    found = verify(store.path)
    (finding,) = found.findings
    assert (finding.path, finding.kind) == (str(path), "damaged")
    assert finding.remedy.startswith("Delete it")
    assert "ingest the same text again" in finding.remedy
    assert found.parts == 6


def test_a_directory_where_a_marker_should_be(store: Store) -> None:
    path = path_of(store, "commits/statistics/en/*.json")
    path.unlink()
    path.mkdir()
    found = verify(store.path)
    assert [(finding.path, finding.kind) for finding in found.findings] == [(str(path), "damaged")]
    assert [note.kind for note in found.notes] == ["uncommitted"]


def test_a_marker_in_another_directory(store: Store) -> None:
    path = path_of(store, "commits/statistics/en/*.json")
    (path_of(store) / "commits/statistics/fr").mkdir()
    moved = path.rename(path_of(store) / "commits/statistics/fr" / path.name)
    finding = only_finding(store)
    assert (finding.path, finding.kind) == (str(moved), "contradiction")
    assert finding.problem == "it belongs in commits/statistics/en"


def test_a_marker_under_another_name(store: Store) -> None:
    path = path_of(store, "commits/statistics/en/*.json")
    shutil.copy(path, path.with_name("copy.json"))
    finding = only_finding(store)
    assert finding.path == str(path.with_name("copy.json"))
    assert "it is the marker of part" in finding.problem


def test_parts_of_another_model(store: Store, tmp_path: Path) -> None:
    other = new_store(tmp_path / "other", weights="other")
    part = parts_of(TEXT, "fr")[0]
    other.add_statistics(part, synthetic.statistics(part.records))
    for name in ("parts", "commits"):
        shutil.copytree(path_of(other) / name, path_of(store) / name, dirs_exist_ok=True)
    finding = only_finding(store)
    assert finding.path == str(path_of(store, "commits/statistics/fr/*.json"))
    assert "of another model" in finding.problem


def test_two_versions_of_a_text(store: Store, tmp_path: Path) -> None:
    other = new_store(tmp_path / "other")
    part = parts_of(["nyingine"])[0]
    other.add_statistics(part, synthetic.statistics(part.records))
    for name in ("parts", "commits"):
        shutil.copytree(path_of(other) / name, path_of(store) / name, dirs_exist_ok=True)
    findings = verify(store.path).findings
    markers = {str(path) for path in path_of(store).glob("commits/statistics/sw/*.json")}
    assert {finding.kind for finding in findings} == {"contradiction"}
    assert {finding.path for finding in findings} < markers
    assert all("two versions" in finding.problem for finding in findings)


def test_records_that_no_part_holds_are_no_damage(store: Store) -> None:
    first, second, _ = sorted(
        path_of(store).glob("commits/statistics/sw/*.json"),
        key=lambda path: json.loads(path.read_text())["place"]["records_before"],
    )
    first.unlink()
    found = verify(store.path)
    assert found.findings == ()
    assert [note.kind for note in found.notes] == ["gap", "uncommitted"]
    assert found.notes[0].path == str(second.parent)
    assert "no part holds records 1 to 2 of the corpus 'default' of sw" in found.notes[0].problem


@pytest.mark.parametrize(
    "directory",
    [
        "",
        "parts",
        "parts/*.*",
        "parts/*/sum",
        "parts/*/sum/c",
        "commits",
        "commits/statistics",
        "commits/statistics/sw",
        "commits/probes/id-tl",
    ],
)
def test_foreign_files_are_noted_and_left_alone(store: Store, directory: str) -> None:
    place = path_of(store, directory)
    (place / "notes.txt").write_text("mine")
    (place / "loop").symlink_to("loop")
    (place / "dangling").symlink_to("nowhere")
    found = verify(store.path)
    assert found.findings == ()
    assert {(note.path, note.kind) for note in found.notes} == {
        (str(place / name), "foreign") for name in ("notes.txt", "loop", "dangling")
    }
    assert (place / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("directory", ["", "parts", "commits", "commits/probes/id-tl"])
def test_foreign_directories_are_noted(store: Store, directory: str) -> None:
    (path_of(store, directory) / "mine").mkdir()
    found = verify(store.path)
    assert found.findings == ()
    assert [note.path for note in found.notes] == [str(path_of(store, directory) / "mine")]


def test_a_damaged_root(store: Store) -> None:
    path = path_of(store) / "zarr.json"
    for content in ("", "{", path.read_text().replace("synthetic", "another", 1)):
        path.write_text(content)
        finding = only_finding(store)
        assert (finding.path, finding.kind) == (str(path), "damaged")
        assert "Restore it from a copy" in finding.remedy
    path.unlink()
    assert only_finding(store).path == str(path)


def test_what_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        verify(tmp_path / "absent")
    with pytest.raises(StoreError, match="is not a bridgex store"):
        verify(tmp_path)


# Numbers that no writer would have let in


def commit_raw(store: Store, candidate: Candidate, counted: int, **arrays: Any) -> None:
    marker = candidate.marker(counted=counted, attempt=new_attempt(), writer="writer")
    digests = {DIGESTS_ARRAY: candidate.span.digests}
    attributes = arrays.pop("attributes", {})
    commit(
        store._folder,
        marker,
        candidate.marker_path,
        arrays={**digests, **arrays},
        attributes=attributes,
    )


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("sum", np.nan, "the statistic sum is nan at neuron 1 of layer 1"),
        ("maximum", np.inf, "the statistic maximum is inf at neuron 1 of layer 1"),
        ("positive_count", 10**6, "positive counts lie between"),
        ("positive_count", -1, "positive counts lie between -1"),
    ],
)
def test_numbers_that_no_text_has(store: Store, name: str, value: float, problem: str) -> None:
    (part,) = parts_of(TEXT[:2], "fr")
    statistics = synthetic.statistics(part.records)
    getattr(statistics, name)[6] = value
    arrays = statistics.known()
    commit_raw(store, statistics_candidate(part, store._root), statistics.token_count, **arrays)
    finding = only_finding(store)
    assert finding.kind == "damaged"
    assert problem in finding.problem
    assert finding.path == str(
        path_of(store, f"parts/{path_of(store, 'commits/statistics/fr/*.json').stem}.*")
    )


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"sum": np.zeros(11)}, "expected an array of shape [12], found [11]"),
        ({"sum": np.zeros(12, dtype=np.float32)}, "expected sum as float64"),
        ({DIGESTS_ARRAY: np.zeros(3, dtype=np.uint64)}, "expected an array of shape [2]"),
        ({DIGESTS_ARRAY: np.zeros(2, dtype=np.int64)}, "expected uint64, found int64"),
    ],
)
def test_arrays_of_another_form(store: Store, change: dict[str, Any], problem: str) -> None:
    (part,) = parts_of(TEXT[:2], "fr")
    statistics = synthetic.statistics(part.records)
    arrays = statistics.known() | change
    commit_raw(store, statistics_candidate(part, store._root), statistics.token_count, **arrays)
    assert problem in only_finding(store).problem


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"layer_1": np.full((3, 3), np.nan, dtype=np.float32)}, "it holds nan at 0, 0"),
        ({"layer_1": np.zeros((4, 3), dtype=np.float32)}, "expected an array of shape [3, 3]"),
        ({"layer_1": np.zeros((3, 3))}, "expected float32, found float64"),
        ({"attributes": {"words": [], "considered": 3}}, "expected 3 words out of 3, found 0"),
        ({"attributes": {"words": [[], [], []], "considered": 2}}, "found 3 out of 2"),
    ],
)
def test_probes_of_another_form(store: Store, change: dict[str, Any], problem: str) -> None:
    part = replace(word_parts()[0], place=replace(word_parts()[0].place, pair=Pair("id", "sw")))
    block = synthetic.probes(part, "off")
    arrays = {layer_array(layer): values for layer, values in enumerate(block.activations)}
    words = [[word.source, list(word.targets)] for word in block.words]
    right = {**arrays, "attributes": {"words": words, "considered": 3}}
    commit_raw(store, probes_candidate(part, "off", store._root), 3, **{**right, **change})
    assert problem in only_finding(store).problem
