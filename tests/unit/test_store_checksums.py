"""A changed bit in the root of a store or in a marker is never read over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bridgex.corpora import split_parts
from bridgex.errors import StoreError
from bridgex.store import Store
from bridgex.store.checked import with_checksum, without_checksum
from bridgex.store.local import LocalFolder
from bridgex.store.markers import Marker
from bridgex.testing import synthetic

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store.create(tmp_path / "store", synthetic.provenance())
    (part,) = split_parts(["rekodi ya ñ", "rekodi"], language="sw")
    store.add_statistics(part, synthetic.statistics(part.records))
    return store


@pytest.mark.parametrize("bit", range(8))
def test_a_flipped_bit_anywhere_in_a_marker_is_noticed(store: Store, bit: int) -> None:
    (path,) = (store.path / "commits/statistics/sw").iterdir()
    content = path.read_bytes()
    for position in range(bit, len(content), 3):
        path.write_bytes(flipped(content, position, bit))
        with pytest.raises(StoreError) as error:
            read(path)
        assert str(path) in error.value.message
    path.write_bytes(content)
    assert read(path).records == 2


@pytest.mark.parametrize("bit", range(8))
def test_a_flipped_bit_anywhere_in_the_root_is_noticed(store: Store, bit: int) -> None:
    path = store.path / "zarr.json"
    content = path.read_bytes()
    for position in range(bit, len(content), 3):
        path.write_bytes(flipped(content, position, bit))
        with pytest.raises(StoreError) as error:
            Store.open(store.path)
        assert str(store.path) in error.value.message


def read(path: Path) -> Marker:
    return Marker.read(LocalFolder(path.parent), path.name)


def flipped(content: bytes, position: int, bit: int) -> bytes:
    changed = content[position] ^ 1 << bit
    return content[:position] + bytes([changed]) + content[position + 1 :]


def test_the_checksum_does_not_depend_on_the_order_of_keys() -> None:
    value = {"b": [1, "ñ"], "a": {"d": 1, "c": None}}
    again = {"a": {"c": None, "d": 1}, "b": [1, "ñ"]}
    assert with_checksum(value)["crc32c"] == with_checksum(again)["crc32c"]
    assert without_checksum(with_checksum(value)) == value


@pytest.mark.parametrize("change", [{"a": 2}, {"b": 1}, {"crc32c": "00000000"}])
def test_a_changed_object_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="does not match its checksum"):
        without_checksum({**with_checksum({"a": 1}), **change})


def test_an_object_without_a_checksum_is_refused() -> None:
    with pytest.raises(KeyError, match="crc32c"):
        without_checksum({"a": 1})


def test_a_flipped_digest_is_not_blamed_on_the_text(store: Store) -> None:
    (path,) = store.path.glob("parts/*/record_digests/c/0")
    path.write_bytes(flipped(path.read_bytes(), 0, 0))
    longer = split_parts(["rekodi ya ñ", "rekodi", "rekodi"], language="sw")
    with pytest.raises(StoreError, match="not what was committed") as error:
        list(Store.open(store.path).missing_parts(longer))
    assert str(path) in error.value.message
