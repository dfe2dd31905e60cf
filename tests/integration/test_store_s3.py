"""Stores on a real S3 server: many writers, and servers and addresses that cannot be used."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import zarr
from obstore.store import from_url
from tests.integration import s3_worker
from tests.s3_server import BUCKET, running
from zarr.storage import ObjectStore

from bridgex.errors import BridgexError, NotFoundError, StoreError
from bridgex.store import Codec, Store, compact, merge
from bridgex.store.objects import open_objects
from bridgex.testing import synthetic

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def forgetful_server() -> Iterator[dict[str, str]]:
    with running("forgetful") as environment:
        yield environment


def assert_readable(location: str, records: list[str]) -> int:
    """Check that a view of the store adds up exactly; return the number of records in it."""
    snapshot = Store.open(location).snapshot()
    if "sw" not in snapshot.languages:
        return 0
    numbers = [
        number
        for marker in snapshot.markers("commits/statistics/sw")
        for number in range(marker.records_before, marker.records_end)
    ]
    assert len(set(numbers)) == len(numbers), "a record counts twice"
    found = snapshot.statistics("sw")
    expected = synthetic.statistics([records[number] for number in numbers])
    assert (found.record_count, found.token_count) == (len(numbers), expected.token_count)
    assert found.positive_count.tobytes() == expected.positive_count.tobytes()
    assert found.maximum.tobytes() == expected.maximum.tobytes()
    return found.record_count


def race(location: str, parts: int) -> tuple[list[int], set[int]]:
    """Let four workers do the same parts at once; return what each won, and the views seen."""
    command = [sys.executable, "-W", "error", "-m", "tests.integration.s3_worker", location]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with ExitStack() as stack:
        workers: list[Any] = [
            stack.enter_context(
                subprocess.Popen([*command, str(parts), str(seed // 2)], cwd=ROOT, **pipes)
            )
            for seed in range(4)
        ]
        assert [worker.stdout.readline() for worker in workers] == ["ready\n"] * 4
        for worker in workers:
            worker.stdin.write("go\n")
            worker.stdin.flush()
        seen = set()
        while any(worker.poll() is None for worker in workers):
            with suppress(NotFoundError):  # no worker has created it yet
                seen.add(assert_readable(location, s3_worker.text(parts)))
        return [int(worker.communicate()[0]) for worker in workers], seen


@pytest.mark.parametrize("parts", [8, pytest.param(60, marks=pytest.mark.long)])
def test_workers_that_race_commit_every_part_once(s3: str, tmp_path: Path, parts: int) -> None:
    records = s3_worker.text(parts)
    won, seen = race(s3, parts)
    assert sum(won) == parts + parts // 2
    markers = sum(won) + 1  # and which neurons the probes have, which is decided once
    assert len(seen) >= 2
    paths = [entry.path for entry in open_objects(s3).walk()]
    assert sum(path.startswith("commits/") for path in paths) == markers
    # Losers leave nothing behind.
    assert len({path.split("/")[1] for path in paths if path.startswith("parts/")}) == markers
    assert not [path for path in paths if ".bridgex-" in path]
    local = tmp_path / "store"
    assert s3_worker.ingest(str(local), records, seed=0) == sum(won)
    assert_same_bits(Store.open(s3), Store.open(local))


def assert_same_bits(found: Store, expected: Store) -> None:
    one, other = found.snapshot(), expected.snapshot()
    mine = vars(one.statistics("sw"))
    for name, value in vars(other.statistics("sw")).items():
        assert np.asarray(mine[name]).tobytes() == np.asarray(value).tobytes(), name
    probes, all_probes = one.probes(s3_worker.PAIR), other.probes(s3_worker.PAIR)
    assert (probes.words, probes.considered) == (all_probes.words, all_probes.considered)
    for layer, size in enumerate(probes.layer_sizes):
        assert probes.layer(layer).tobytes() == all_probes.layer(layer).tobytes()
        rows = [size - 1, 0]
        assert probes.rows(layer, rows).tobytes() == all_probes.rows(layer, rows).tobytes()


@pytest.mark.parametrize("codec", ["none", "zstd"])
def test_compaction_there(s3: str, tmp_path: Path, codec: Codec) -> None:
    local = tmp_path / "store"
    for location in (s3, str(local)):
        s3_worker.ingest(location, s3_worker.text(6), seed=0)
    store = Store.open(s3)
    assert all(row.written_parts for row in compact(store, codec=codec))
    assert_same_bits(Store.open(s3), Store.open(local))
    assert not any(row.written_parts for row in compact(store, codec=codec))
    s3_worker.ingest(s3, s3_worker.text(8), seed=0)
    s3_worker.ingest(str(local), s3_worker.text(8), seed=0)
    assert_same_bits(Store.open(s3), Store.open(local))


def test_merging_to_it_and_back(s3: str, tmp_path: Path) -> None:
    """A store on a disk is merged into one on object storage, and that into one on a disk."""
    local, back = tmp_path / "store", tmp_path / "back"
    records = s3_worker.text(5)
    s3_worker.ingest(str(local), records, seed=0)
    s3_worker.ingest(s3, records[:6], seed=1)
    compact(Store.open(local), codec="zstd")
    rows = merge([Store.open(local)], s3)
    assert {row.source for row in rows} == {str(local)}
    assert_same_bits(Store.open(s3), Store.open(local))
    assert sum(row.copied_parts for row in merge([Store.open(local)], s3)) == 0
    merge([Store.open(s3)], back)
    assert_same_bits(Store.open(back), Store.open(local))


def test_any_zarr_reader_opens_it(s3: str) -> None:
    s3_worker.ingest(s3, s3_worker.text(2), seed=0)
    snapshot = Store.open(s3).snapshot()
    (marker,) = [
        marker for marker in snapshot.markers("commits/statistics/sw") if marker.records_before == 0
    ]
    group = zarr.open_group(ObjectStore(from_url(s3)), mode="r", path=marker.directory)
    expected = synthetic.statistics(s3_worker.text(1))
    assert np.asarray(group["sum"]).tobytes() == expected.sum.tobytes()


def test_a_server_that_forgets_conditions_is_refused(
    forgetful_server: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in forgetful_server.items():
        monkeypatch.setenv(name, value)
    location = f"s3://{BUCKET}/forgetful"
    for create in (Store.create, Store.open_or_create):
        with pytest.raises(StoreError, match="lets two writers create the same object") as error:
            create(location, synthetic.provenance())
        assert location in error.value.message
        assert "If-None-Match" in str(error.value)
    # Also where somebody copied a store to it: it can be read, and not be added to.
    folder = open_objects(location)
    assert list(folder.walk()) == []
    with pytest.raises(StoreError, match="lets two writers"):
        folder.create_exclusively("zarr.json", b"{}")
    assert list(folder.walk()) == []


def change(monkeypatch: pytest.MonkeyPatch, name: str, value: str | None) -> None:
    if value is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9", "cannot reach"),
        ("AWS_ALLOW_HTTP", "false", "cannot reach"),
    ],
)
def test_a_server_that_is_not_there(
    s3: str, monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    Store.create(s3, synthetic.provenance())
    change(monkeypatch, name, value)
    for use in (Store.open, s3_worker.open_store):
        with pytest.raises(StoreError, match=message) as error:
            use(s3)
        assert s3 in error.value.message
        assert "\n" not in error.value.message
        assert error.value.hint is not None
        assert name in error.value.hint


def test_a_bucket_that_is_not_there(s3: str) -> None:
    absent = s3.replace(BUCKET, "no-such-bucket")
    for use in (Store.open, s3_worker.open_store):
        with pytest.raises(StoreError, match=r"no-such-bucket.*there is no such bucket"):
            use(absent)


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("memory:///", "address of an object store"),
        ("file:///tmp/store", "address of an object store"),
        ("nowhere://bucket/path", "Unable to recognise URL"),
        ("s3://", "Unable to recognise URL"),
    ],
)
def test_addresses_that_are_none(location: str, message: str) -> None:
    with pytest.raises(BridgexError, match=message):
        Store.open_or_create(location, synthetic.provenance())
