"""Verification and collection of a store on a real S3 server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import obstore
import pytest
from obstore.store import from_url
from tests.integration import s3_worker

from bridgex.store import Store, collect_garbage, compact, verify
from bridgex.store.garbage import find_garbage

if TYPE_CHECKING:
    from obstore.store import ObjectStore


@pytest.fixture
def objects(s3: str) -> ObjectStore:
    """The objects of a store with a few parts."""
    s3_worker.ingest(s3, s3_worker.text(3), seed=0)
    return from_url(s3)


def first(objects: ObjectStore, end: str) -> str:
    paths = sorted(entry["path"] for batch in obstore.list(objects) for entry in batch)
    return next(path for path in paths if path.endswith(end))


def test_what_is_wrong_there_is_named(s3: str, objects: ObjectStore) -> None:
    assert (verify(s3).findings, verify(s3).notes) == ((), ())
    changed, removed = first(objects, "/sum/c/0"), first(objects, "/layer_1/zarr.json")
    content = bytearray(obstore.get(objects, changed).bytes())
    content[3] ^= 8
    obstore.put(objects, changed, bytes(content))
    obstore.delete(objects, removed)
    obstore.put(objects, "notes.txt", b"mine")
    found = verify(s3)
    assert {(finding.path, finding.kind) for finding in found.findings} == {
        (f"{s3}/{changed}", "damaged"),
        (f"{s3}/{removed}", "missing"),
    }
    assert [(note.path, note.kind) for note in found.notes] == [(f"{s3}/notes.txt", "foreign")]


def test_what_does_not_count_there_is_removed(s3: str, objects: ObjectStore) -> None:
    store = Store.open(s3)
    before = store.snapshot().statistics("sw")
    compact(store)
    attempt = f"parts/{'0' * 32}.{'0' * 16}"
    obstore.put(objects, f"{attempt}/sum/c/0", b"half")
    obstore.put(objects, f"{attempt}/notes.txt", b"mine")
    obstore.put(objects, "commits/statistics/sw/.bridgex-0123.tmp", b"half")
    assert collect_garbage(store).removed == ()
    kinds = {one.kind for one in collect_garbage(store, older_than=0).removed}
    assert kinds == {"superseded", "uncommitted", "temporary"}
    assert find_garbage(store.folder) == []
    assert obstore.get(objects, f"{attempt}/notes.txt").bytes() == b"mine"
    assert verify(s3).findings == ()
    found = Store.open(s3).snapshot().statistics("sw")
    assert found.sum.tobytes() == before.sum.tobytes()
