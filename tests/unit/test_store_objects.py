"""Objects in memory as the place of a store: what object storage does, without a server."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import obstore
import pytest
from obstore.exceptions import GenericError, PermissionDeniedError
from obstore.store import LocalStore, MemoryStore

from bridgex.corpora import split_parts, split_words
from bridgex.errors import InvalidInputError, NotFoundError, StoreError
from bridgex.schema import Pair, WordPair
from bridgex.store import Store, compact
from bridgex.store.garbage import collect_garbage
from bridgex.store.objects import ObjectFolder
from bridgex.store.root import Root, create_root, read_root
from bridgex.testing import synthetic

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PAIR = Pair("id", "tl")
TEXT = [f"rekodi ya {number}" for number in range(8)]
WORDS = [WordPair(f"kata {number}", ("salita",)) for number in range(8)]


@pytest.fixture
def folder() -> ObjectFolder:
    return ObjectFolder("s3://bucket/store/", MemoryStore())


def open_store(folder: ObjectFolder) -> Store:
    create_root(folder, Root(synthetic.provenance(), part_bytes=25, probe_block=3))
    return Store(folder, read_root(folder))


def ingest(store: Store) -> None:
    for part in split_parts(TEXT, language="sw", part_bytes=25):
        assert store.add_statistics(part, synthetic.statistics(part.records))
    for words in split_words(WORDS, pair=PAIR, block=3):
        assert store.add_probes(words, synthetic.probes(words, "off"), "off")


def contents(store: Store) -> list[bytes]:
    snapshot = store.snapshot()
    statistics = [np.asarray(value).tobytes() for value in vars(snapshot.statistics("sw")).values()]
    probes = snapshot.probes(PAIR)
    layers = [probes.layer(layer).tobytes() for layer in range(len(probes.layer_sizes))]
    return [*statistics, *layers, probes.rows(1, [2, 0, 2]).tobytes(), str(probes.words).encode()]


def test_it_holds_what_a_directory_holds(folder: ObjectFolder, tmp_path: Path) -> None:
    store = open_store(folder)
    local = Store.create(tmp_path / "s", store.provenance, part_bytes=25, probe_block=3)
    for one in (store, local):
        ingest(one)
    assert contents(store) == contents(local)
    found, expected = store.info(), local.info()
    assert found.path == store.location == "s3://bucket/store"
    assert (found.languages, found.probes) == (expected.languages, expected.probes)
    with pytest.raises(InvalidInputError, match="s3://bucket/store is not in a directory"):
        _ = store.path


def test_ingesting_again_changes_nothing(folder: ObjectFolder) -> None:
    ingest(open_store(folder))
    before = sorted(folder.walk())
    store = open_store(folder)
    for part in split_parts(TEXT, language="sw", part_bytes=25):
        assert not store.add_statistics(part, synthetic.statistics(part.records))
    assert sorted(folder.walk()) == before


def test_compaction_and_cleaning_keep_what_counts(folder: ObjectFolder) -> None:
    store = open_store(folder)
    ingest(store)
    before = contents(store)
    compact(store, codec="zstd")
    assert contents(open_store(folder)) == before
    collect_garbage(store, older_than=0)
    assert contents(open_store(folder)) == before
    info = store.info()
    assert (info.languages[0].parts, info.probes[0].parts) == (2, 2)


def test_listing(folder: ObjectFolder) -> None:
    assert not folder.exists()
    for path in ("a/one", "a/b/two", "ab/three"):
        assert folder.create_exclusively(path, path.encode())
    assert folder.exists()
    assert folder.exists("a/one")
    assert not folder.exists("a")
    assert folder.names("a") == ["one"]
    assert folder.folders("a") == ["b"]
    assert folder.folders() == ["a", "ab"]
    assert folder.names("absent") == folder.folders("absent") == []
    assert list(folder.walk("absent")) == []
    assert sorted((entry.path, entry.size) for entry in folder.walk("a")) == [
        ("a/b/two", 7),
        ("a/one", 5),
    ]
    newest = folder.newest("a")
    assert newest == max(entry.modified for entry in folder.walk("a"))
    assert folder.newest("absent") is None
    folder.remove(["a/one", "a/absent"])
    folder.remove_tree("ab")
    assert [entry.path for entry in folder.walk()] == ["a/b/two"]


def test_one_writer_wins(folder: ObjectFolder) -> None:
    assert folder.create_exclusively("marker", b"mine")
    assert not folder.create_exclusively("marker", b"yours")
    assert folder.read("marker") == b"mine"


def test_a_writer_whose_answer_was_lost_has_won(folder: ObjectFolder) -> None:
    assert folder.create_exclusively("marker", b"mine")
    assert folder.create_exclusively("marker", b"mine")


def test_nothing_is_left_of_what_fails(folder: ObjectFolder) -> None:
    def dies() -> Any:
        yield "one", np.zeros(3, np.uint8)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        folder.write_files("parts/x", dies())
    assert list(folder.walk()) == []


def test_nothing_there(folder: ObjectFolder) -> None:
    with pytest.raises(NotFoundError, match="no store at s3://bucket/store"):
        read_root(folder)
    obstore.put(folder._store, "thesis.tex", b"precious")
    with pytest.raises(StoreError, match="s3://bucket/store is not a bridgex store"):
        read_root(folder)
    with pytest.raises(StoreError, match="not empty and is not a bridgex store"):
        open_store(folder)


DAMAGE: dict[str, tuple[Callable[[ObjectFolder, str], object], str]] = {
    "removed": (lambda folder, path: folder.remove([path]), "the file is missing"),
    "short": (
        lambda folder, path: obstore.put(folder._store, path, folder.read(path)[:-1]),
        r"expected \d+ bytes, the file has \d+",
    ),
    "flipped": (
        lambda folder, path: obstore.put(
            folder._store, path, folder.read(path)[:-1] + bytes([folder.read(path)[-1] ^ 1])
        ),
        "it is not what was committed",
    ),
}


@pytest.mark.parametrize("kind", DAMAGE)
@pytest.mark.parametrize("array", ["sum/c/0", "layer_1/c/0/0", "layer_1/zarr.json"])
def test_damage_is_named(folder: ObjectFolder, kind: str, array: str) -> None:
    store = open_store(folder)
    ingest(store)
    path = min(entry.path for entry in folder.walk("parts") if entry.path.endswith(array))
    damage, message = DAMAGE[kind]
    damage(folder, path)
    with pytest.raises(StoreError, match=message) as error:
        contents(store)
    assert f"s3://bucket/store/{path}" in error.value.message


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (PermissionDeniedError("no"), r"access to s3://bucket/store/x is refused"),
        (GenericError("Server returned non-2xx status code: 403 Forbidden"), "is refused"),
        (FileNotFoundError("<Code>NoSuchBucket</Code>"), "there is no such bucket"),
        (GenericError("PUT http://169.254.169.254/latest/api/token"), "no credentials were given"),
        (GenericError("one line\n\nDebug source:\nmany"), "s3://bucket/store: one line\n"),
    ],
)
def test_what_a_service_answers_is_explained(
    folder: ObjectFolder, answer: Exception, message: str
) -> None:
    with pytest.raises(StoreError, match=message) as error, folder._explained("x"):
        raise answer
    assert error.value.hint is not None
    assert "AWS_" in error.value.hint
    assert "\n" not in error.value.message


def test_without_the_package() -> None:
    code = (
        "import sys; sys.modules['obstore'] = None\n"
        "from bridgex.errors import MissingDependencyError\n"
        "from bridgex.store import Store\n"
        "try: Store.open('s3://bucket/store')\n"
        "except MissingDependencyError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "'obstore', which is not installed" in done.stdout
    assert "pip install 'bridgex[s3]'" in done.stdout


def test_a_file_that_is_gone_keeps_no_other_from_being_removed(tmp_path: Path) -> None:
    folder = ObjectFolder("gs://bucket/store", LocalStore(tmp_path))  # it says what is not there
    paths = [f"commits/{number}" for number in range(100)]
    for path in paths[1:]:
        obstore.put(folder._store, path, b"marker")
    folder.remove(paths)
    assert folder.names("commits") == []
    folder.remove([])


def test_what_is_known_to_be_stored_is_not_asked_for_again(
    folder: ObjectFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(open_store(folder))
    store = Store(folder, read_root(folder))
    parts = list(split_parts([*TEXT, "rekodi ya 8", "rekodi ya 9"], language="sw", part_bytes=25))
    asked: list[str] = []
    exists = folder.exists

    def noted(path: str = "") -> bool:
        asked.append(path)
        return exists(path)

    monkeypatch.setattr(folder, "exists", noted)
    coverage = store.coverage(parts)
    assert (coverage.parts, coverage.missing_parts) == (5, 1)
    assert asked == []
    assert list(store.missing_parts(parts)) == parts[4:]
    assert len(asked) == 1, "another writer may have stored what is missing in the meantime"
