"""What must have reached the disk, and what is said where a killed writer left half a marker."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

import pytest

from bridgex.corpora import split_parts
from bridgex.errors import StoreError
from bridgex.store import Store, files
from bridgex.testing import synthetic

if TYPE_CHECKING:
    from pathlib import Path

TEXT = ["rekodi ya 1", "rekodi ya 2"]


def ingest(store: Store) -> None:
    for part in store.missing_parts(split_parts(TEXT, language="sw")):
        store.add_statistics(part, synthetic.statistics(part.records))


def test_a_directory_that_another_process_made_is_flushed_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "made").mkdir()
    flushed: list[Path] = []
    sync = files.sync

    def noted(path: Path) -> None:
        sync(path)
        flushed.append(path)

    monkeypatch.setattr(files, "sync", noted)
    files.make_directories(tmp_path / "made/new")
    assert flushed == [tmp_path, tmp_path / "made"]


@pytest.mark.parametrize("length", [0, 100])
def test_half_a_marker_where_there_are_no_links_is_named_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    store = Store.create(tmp_path / "store", synthetic.provenance())
    ingest(store)
    (marker,) = (tmp_path / "store/commits/statistics/sw").iterdir()
    marker.write_bytes(marker.read_bytes()[:length])  # as a kill during the write leaves it
    with pytest.raises(StoreError, match="it is cut off") as error:
        ingest(Store.open(tmp_path / "store"))
    assert str(marker) in error.value.message
    assert error.value.hint is not None
    assert "Delete it when nothing writes to the store" in error.value.hint
    marker.unlink()
    ingest(Store.open(tmp_path / "store"))
    assert Store.open(tmp_path / "store").snapshot().statistics("sw").record_count == len(TEXT)
