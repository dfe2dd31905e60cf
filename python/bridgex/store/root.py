"""The root of a store: one file that says what the store is, created once and never changed."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bridgex.corpora import PART_BYTES, PROBE_BLOCK
from bridgex.errors import InvalidInputError, NotFoundError, ProvenanceError, StoreError
from bridgex.schema import Provenance
from bridgex.store.checked import with_checksum, without_checksum
from bridgex.store.layout import FORMAT_VERSION, ROOT, TEMPORARY_PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridgex.store.folder import Folder

_GROUP = {"zarr_format": 3, "node_type": "group"}


@dataclass(frozen=True)
class Root:
    """What the root of a store records.

    Attributes
    ----------
    provenance
        Where all activations in the store come from.
    part_bytes, probe_block
        Size of the parts that corpora and word lists are split into.
    """

    provenance: Provenance
    part_bytes: int = PART_BYTES
    probe_block: int = PROBE_BLOCK

    def __post_init__(self) -> None:
        for name in ("part_bytes", "probe_block"):
            if getattr(self, name) < 1:
                raise InvalidInputError(f"{name} is at least 1, not {getattr(self, name)}")


def create_root(folder: Folder, root: Root) -> bool:
    """Create the root of a new store.

    Returns
    -------
    bool
        False if there is one already.

    Raises
    ------
    StoreError
        If the directory holds something else, or cannot be written.
    """
    # The root is the first file of a store, so in this order a store that another process creates
    # meanwhile is never taken for something else.
    holds_something = _holds_something(folder)
    if folder.exists(ROOT):
        return False
    if holds_something:
        raise StoreError(
            f"the directory {folder} is not empty and is not a bridgex store",
            hint="Choose another path, or an empty directory.",
        )
    attributes = {
        "format_version": FORMAT_VERSION,
        "id": secrets.token_hex(16),
        "provenance": root.provenance.to_json(),
        "layer_offsets": root.provenance.layer_offsets.tolist(),
        "part_bytes": root.part_bytes,
        "probe_block": root.probe_block,
    }
    group = {**_GROUP, "attributes": {"bridgex": with_checksum(attributes)}}
    content = (json.dumps(group, ensure_ascii=False, indent=1) + "\n").encode()
    try:
        return folder.create_exclusively(ROOT, content)
    except StoreError:
        raise
    except OSError as error:
        raise StoreError(
            f"cannot create a store at {folder}: {error.strerror or error}",
            hint="Choose a path where you may write.",
        ) from error


def _holds_something(folder: Folder) -> bool:
    found = folder.names() + folder.folders()
    return any(not name.startswith(TEMPORARY_PREFIX) for name in found)


def read_root(folder: Folder) -> Root:
    """Read the root of a store.

    Raises
    ------
    NotFoundError
        If there is nothing at the path.
    StoreError
        If there is no store, a damaged one, or one of a newer format.
    """
    if not folder.exists():
        raise NotFoundError(
            f"there is no store at {folder}", hint="Check the path, or ingest something into it."
        )
    attributes = _read_attributes(folder)
    version = attributes.get("format_version")
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise StoreError(
            f"the store {folder} has format version {version}; this bridgex reads versions up to "
            f"{FORMAT_VERSION}",
            hint="Install a newer bridgex.",
        )
    try:
        attributes = without_checksum(attributes)
        return Root(
            Provenance.from_json(attributes["provenance"]),
            attributes["part_bytes"],
            attributes["probe_block"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"the file {folder.display(ROOT)} is damaged: {error!r}", hint="Restore it from a copy."
        ) from error


def _read_attributes(folder: Folder) -> dict[str, Any]:
    file = folder.display(ROOT)
    try:
        group = json.loads(folder.read(ROOT))
        attributes = group.get("attributes", {}).get("bridgex")
    except FileNotFoundError:
        group = attributes = None
    except (ValueError, AttributeError) as error:
        raise StoreError(
            f"the file {file} is damaged: {error}", hint="Restore it from a copy."
        ) from error
    if not isinstance(attributes, dict):
        raise StoreError(
            f"{folder} is not a bridgex store", hint="Name a directory that bridgex ingested into."
        )
    if group != {**_GROUP, "attributes": {"bridgex": attributes}}:
        raise StoreError(
            f"the file {file} is damaged: it is not the Zarr group that was created",
            hint="Restore it from a copy.",
        )
    return attributes


def check_identity(folder: Folder, stored: Provenance, given: Provenance) -> None:
    """Refuse activations that may not be added to those of a store.

    Raises
    ------
    ProvenanceError
        Naming every difference, with both values.
    """
    theirs, yours = stored.identity(), given.identity()
    differing = [
        f"  {key}: the store has {_show(theirs, key)}, yours is {_show(yours, key)}"
        for key in {**theirs, **yours}
        if _show(theirs, key) != _show(yours, key)
    ]
    if differing:
        raise ProvenanceError(
            "\n".join([f"the store {folder} holds activations of another origin:", *differing]),
            hint="Use another store, or the same model and settings as before "
            f"(the store was made from {stored.model}).",
        )


def check_sizes(folder: Folder, root: Root, given: Mapping[str, int]) -> None:
    """Refuse parts of other sizes than those of a store.

    Raises
    ------
    StoreError
        Naming both sizes.
    """
    for name, size in given.items():
        stored = getattr(root, name)
        if size != stored:
            raise StoreError(
                f"the store {folder} was created with {name} {stored}, and {size} was asked for",
                hint=f"Leave --{name.replace('_', '-')} out, or use another store.",
            )


def _show(identity: dict[str, Any], key: str) -> str:
    return json.dumps(identity[key], ensure_ascii=False) if key in identity else "nothing"
