"""The root of a store: one file that says what the store is, created once and never changed."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridgex.errors import InvalidInputError, NotFoundError, ProvenanceError, StoreError
from bridgex.schema import Provenance
from bridgex.store.files import create_exclusively
from bridgex.store.layout import FORMAT_VERSION, ROOT, TEMPORARY_PREFIX


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
    part_bytes: int
    probe_block: int

    def __post_init__(self) -> None:
        for name in ("part_bytes", "probe_block"):
            if getattr(self, name) < 1:
                raise InvalidInputError(f"{name} is at least 1, not {getattr(self, name)}")


def local_path(path: str | os.PathLike[str]) -> Path:
    """Return the path of a store, refusing addresses and files."""
    if "://" in os.fspath(path):
        raise InvalidInputError(
            f"expected a directory for the store, got the address {os.fspath(path)}",
            hint="Use a local path.",
        )
    root = Path(path)
    if root.exists() and not root.is_dir():
        raise StoreError(
            f"expected a directory for the store, but {root} is a file",
            hint="Choose another path.",
        )
    return root


def create_root(path: Path, root: Root) -> bool:
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
    holds_something = path.is_dir() and _holds_something(path)
    if (path / ROOT).exists():
        return False
    if holds_something:
        raise StoreError(
            f"the directory {path} is not empty and is not a bridgex store",
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
    group = {"zarr_format": 3, "node_type": "group", "attributes": {"bridgex": attributes}}
    content = (json.dumps(group, ensure_ascii=False, indent=1) + "\n").encode()
    try:
        return create_exclusively(path / ROOT, content)
    except OSError as error:
        raise StoreError(
            f"cannot create a store at {path}: {error.strerror or error}",
            hint="Choose a path where you may write.",
        ) from error


def _holds_something(directory: Path) -> bool:
    return any(not path.name.startswith(TEMPORARY_PREFIX) for path in directory.iterdir())


def read_root(path: Path) -> Root:
    """Read the root of a store.

    Raises
    ------
    NotFoundError
        If there is nothing at the path.
    StoreError
        If there is no store, a damaged one, or one of a newer format.
    """
    if not path.exists():
        raise NotFoundError(
            f"there is no store at {path}", hint="Check the path, or ingest something into it."
        )
    attributes = _read_attributes(path)
    version = attributes.get("format_version")
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise StoreError(
            f"the store {path} has format version {version}; this bridgex reads versions up to "
            f"{FORMAT_VERSION}",
            hint="Install a newer bridgex.",
        )
    try:
        return Root(
            Provenance.from_json(attributes["provenance"]),
            attributes["part_bytes"],
            attributes["probe_block"],
        )
    except (KeyError, TypeError) as error:
        raise StoreError(
            f"the file {path / ROOT} is damaged: {error!r}", hint="Restore it from a copy."
        ) from error


def _read_attributes(path: Path) -> dict[str, Any]:
    file = path / ROOT
    try:
        attributes = json.loads(file.read_bytes()).get("attributes", {}).get("bridgex")
    except FileNotFoundError:
        attributes = None
    except PermissionError as error:
        raise StoreError(f"cannot read {file}: {error.strerror}") from error
    except (ValueError, AttributeError) as error:
        raise StoreError(
            f"the file {file} is damaged: {error}", hint="Restore it from a copy."
        ) from error
    if not isinstance(attributes, dict):
        raise StoreError(
            f"{path} is not a bridgex store", hint="Name a directory that bridgex ingested into."
        )
    return attributes


def check_identity(path: Path, stored: Provenance, given: Provenance) -> None:
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
            "\n".join([f"the store {path} holds activations of another origin:", *differing]),
            hint="Use another store, or the same model and settings as before "
            f"(the store was made from {stored.model}).",
        )


def _show(identity: dict[str, Any], key: str) -> str:
    return json.dumps(identity[key], ensure_ascii=False) if key in identity else "nothing"
