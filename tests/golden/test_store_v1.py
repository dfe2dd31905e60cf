"""The store of version 1 that is kept: what is in it, who can read it, and the page about it."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.data import make_store_v1 as made
from tests.plain_store import PlainStore

from bridgex.corpora import split_parts, split_words
from bridgex.errors import StoreError
from bridgex.store import Coverage, Store, verify
from bridgex.testing import synthetic

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "tests/data/store-v1"
NUMBERS: dict[str, Any] = json.loads((ROOT / "tests/data/store-v1.json").read_bytes())
STATISTICS = [name for name in NUMBERS if "token_count" in NUMBERS[name]]
PROBES = [name for name in NUMBERS if "words" in NUMBERS[name]]
PAGE = (ROOT / "docs/store-format.md").read_text()
EXAMPLES = dict(re.findall(r"^`(\S+)`:\n\n```json\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return Path(shutil.copytree(KEPT, tmp_path / "store"))


def files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.is_file())


def test_the_store_is_as_it_was() -> None:
    digest = hashlib.sha256()
    for path in files(KEPT):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(KEPT).as_posix()} {len(content)}\n".encode() + content)
    assert digest.hexdigest() == "3e9b7ac66b408bc4d2a7bb55e02f0ac13b94a5050e5e018fdf7d9dda1c4ea4cb"


def test_it_gives_the_numbers_that_it_gave() -> None:
    assert made.numbers(Store.open(KEPT).snapshot()) == NUMBERS


def test_it_is_whole() -> None:
    found = verify(KEPT)
    assert found.findings == ()
    # What killed writers left.
    assert [note.kind for note in found.notes] == ["uncommitted", "uncommitted"]


@pytest.mark.parametrize("name", STATISTICS)
def test_statistics_are_read_by_the_document_alone(name: str) -> None:
    language, corpus = name.split()
    found = PlainStore(KEPT).statistics(language, None if corpus == "all" else corpus)
    assert {key: np.asarray(value).tolist() for key, value in found.items()} == NUMBERS[name]


@pytest.mark.parametrize("name", PROBES)
def test_probes_are_read_by_the_document_alone(name: str) -> None:
    pair, gold = name.split()
    source, target = pair.split("-", 1)
    found = PlainStore(KEPT).probes(source, target, gold)
    found["layers"] = [layer.tolist() for layer in found["layers"]]
    assert found == NUMBERS[name]


def test_the_texts_are_known() -> None:
    store = Store.open(KEPT)
    for language, corpus, text in (
        ("sw", "default", made.SWAHILI),
        ("sw", "news", made.SWAHILI[3:]),
        ("en", "default", made.ENGLISH),
    ):
        parts = split_parts(text, language=language, corpus=corpus, part_bytes=store.part_bytes)
        assert store.coverage(parts).missing_records == 0
    words = split_words(made.WORDS, pair=made.BACK, block=store.probe_block)
    assert store.probe_coverage(words, "off") == Coverage(3, 0, 7, 0)


def test_what_is_written_by_the_document_alone_is_read(store: Path) -> None:
    text = [*made.ENGLISH, "night"]
    *before, last = split_parts(text, language="en", part_bytes=made.PART_BYTES)
    sums = vars(synthetic.statistics(last.records, layer_sizes=made.LAYER_SIZES))
    known = [record for part in before for record in part.records]
    assert len(known) == 4, "the last part takes the place of a shorter one"
    plain = PlainStore(store)
    plain.commit_statistics(("en", "default"), known, list(last.records), sums)
    opened = Store.open(store)
    assert opened.has_statistics(last)
    found = opened.snapshot().statistics("en")
    assert (found.record_count, verify(store).findings) == (6, ())
    for name, value in plain.statistics("en").items():
        assert np.asarray(value).tobytes() == np.asarray(getattr(found, name)).tobytes()


@pytest.mark.parametrize("name", ["zarr.json", "commits/statistics/sw/*.json"])
def test_a_newer_version_is_refused_by_name(store: Path, name: str) -> None:
    path = min(path for path in store.glob(name) if not path.name.startswith("."))
    changed = re.sub(r'("format(_version)?": )1', r"\g<1>2", path.read_text())
    path.write_text(changed)
    with pytest.raises(StoreError, match=r"format version 2.*reads versions up to 1") as refused:
        Store.open(store).snapshot().statistics("sw")
    assert str(path.parent if name == "zarr.json" else path) in str(refused.value)


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_are_files_of_the_store(name: str) -> None:
    assert json.loads(EXAMPLES[name]) == json.loads((KEPT / name).read_bytes())


def test_there_is_an_example_of_every_file() -> None:
    assert {shape_of(name) for name in EXAMPLES} == {shape_of(name) for name in all_json()}


def shape_of(name: str) -> tuple[str, str]:
    """Say what kind of file that is: where it is, and of which kind of part, or compacted."""
    value = json.loads((KEPT / name).read_bytes())
    attributes = value.get("attributes", {}).get("bridgex", {})
    kind = value.get("kind") or attributes.get("kind") or value["node_type"]
    return name.partition("/")[0], "compacted" if "members" in value else kind


def all_json() -> Iterator[str]:
    """Yield the names of the JSON files in the store that are not what a killed writer left."""
    for path in files(KEPT):
        if path.suffix == ".json" and path.read_text() != "{":
            yield path.relative_to(KEPT).as_posix()


def test_every_name_is_in_the_page() -> None:
    for file in all_json():
        value = json.loads((KEPT / file).read_bytes())
        ours = value if "format" in value else value["attributes"].get("bridgex", {})
        for name in names(ours):
            assert f"`{name}`" in PAGE, (file, name)


def names(value: object) -> Iterator[str]:
    """Yield the names of all members of objects, but for those that are a user's."""
    if isinstance(value, dict):
        for name, member in value.items():
            yield name
            if name not in {"files", "policies", "versions"}:
                yield from names(member)
    elif isinstance(value, list):
        for member in value:
            yield from names(member)
