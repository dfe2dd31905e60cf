"""Merging: the parts of several stores of one model, in one store."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bridgex.errors import InvalidInputError, ProvenanceError, StoreError
from bridgex.progress import Silent
from bridgex.store.committed import DigestReader
from bridgex.store.encoding import MANTISSA_BITS
from bridgex.store.forms import pair_of
from bridgex.store.layout import MARKER_SUFFIX, ROOT
from bridgex.store.local import open_folder
from bridgex.store.markers import Marker
from bridgex.store.places import describe, effective
from bridgex.store.root import check_identity
from bridgex.store.store import Store
from bridgex.store.writer import commit_files, new_attempt

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from bridgex.progress import Reporter
    from bridgex.schema import ProbeForm
    from bridgex.store.folder import Folder
    from bridgex.store.layout import Kind
    from bridgex.store.snapshot import Snapshot


@dataclass(frozen=True)
class Merged:
    """What a source gave of a series.

    Attributes
    ----------
    source
        Where the source is.
    kind, series
        ``statistics`` of a language and corpus; ``probes`` of a source, a target and a gold filter,
        or ``neurons``: what these keep.
    parts
        Parts that count in the source.
    copied_parts, copied_bytes
        Those that were copied; what the result has already, or has in a longer or compacted part,
        is not.
    """

    source: str
    kind: Kind
    series: tuple[str, ...]
    parts: int
    copied_parts: int
    copied_bytes: int


class _Found(NamedTuple):
    """A part, and the store that has it."""

    store: Store
    marker: Marker


def merge(
    sources: Sequence[Store],
    location: str | os.PathLike[str],
    *,
    reporter: Reporter | None = None,
) -> tuple[Merged, ...]:
    """Copy the parts of some stores into one, which then counts every record once.

    The sources stay as they are. Parts keep their ids, so that the same text in two sources counts
    once, and a merge that was interrupted goes on when it is repeated. Every file is compared with
    its checksum as it is read. A part that a compacted one supersedes is not copied beside it.

    Parameters
    ----------
    sources
        Stores of the same model, tokenizer, site, policies and part sizes; at least one.
    location
        The store to copy to. It is created where there is none, and added to where there is.
    reporter
        Who listens to progress.

    Returns
    -------
    tuple[Merged, ...]
        One for each source and series.

    Raises
    ------
    InvalidInputError
        If there are no sources.
    ProvenanceError
        If the stores were made by different models, tokenizers, sites or policies; the message
        shows what differs.
    StoreError
        If the stores split texts differently, hold different versions of a text, or rounded
        activations that would replace exact ones, before anything is written; if they are damaged
        or cannot be written to.

    Notes
    -----
    Memory: twice the largest file of a part (to object storage six times), and the markers of one
    language or pair of all stores.
    """
    if not sources:
        raise InvalidInputError("expected stores to merge, got none")
    there = [Store.open(location)] if open_folder(location).exists(ROOT) else []
    views = [(store, store.snapshot()) for store in [*there, *sources]]
    for store, _ in views[1:]:
        _check_alike(views[0][0], store)
    _check_forms(views)
    names = sorted({name for _, view in views for name in view.directories})
    missing = {name: _missing(views, name, there) for name in names}
    target = Store.open_or_create(
        location,
        sources[0].provenance,
        part_bytes=sources[0].part_bytes,
        probe_block=sources[0].probe_block,
    )
    _check_alike(target, sources[0])
    _copy_all(target, missing, reporter or Silent())
    return tuple(
        row
        for store, view in views[len(there) :]
        for name in view.directories
        for row in _rows(store, view.markers(name), missing[name])
    )


def _check_alike(store: Store, other: Store) -> None:
    try:
        check_identity(store.folder, store.provenance, other.provenance)
    except ProvenanceError as error:
        raise ProvenanceError(
            f"{other.folder} cannot be merged: {error.message}",
            hint="Merge only stores of the same model and settings.",
        ) from error
    for name in ("part_bytes", "probe_block"):
        here, theirs = getattr(store, name), getattr(other, name)
        if here != theirs:
            raise StoreError(
                f"{other.folder} cannot be merged: its {name} is {theirs}, that of {store.folder} "
                f"is {here}",
                hint="Ingest again into a store with the same part sizes.",
            )


def _missing(
    views: Sequence[tuple[Store, Snapshot]], name: str, there: Sequence[Store]
) -> dict[str, Store]:
    """Return the parts of a directory that are to be copied, by id, and where they are."""
    found: dict[str, _Found] = {}
    for store, view in views:
        for marker in view.committed(name):
            found.setdefault(marker.part, _Found(store, marker))
    read_digests = DigestReader()
    try:
        counting = effective(
            (one.marker for one in found.values()),
            lambda piece: read_digests(found[piece.holder.part].store.folder, piece),
        )
    except StoreError as error:
        stores = ", ".join(str(store.folder) for store, _ in views)
        raise StoreError(f"{stores} cannot be merged: {error.message}", hint=_HINT) from error
    _check_rounding(views, name, counting)
    return {
        marker.part: found[marker.part].store
        for marker in counting
        if found[marker.part].store not in there
    }


def _check_rounding(
    views: Sequence[tuple[Store, Snapshot]], name: str, counting: Sequence[Marker]
) -> None:
    """Refuse activations that were rounded and would replace others that were not, or less."""
    for holder in (marker for marker in counting if marker.encoding.fewest < MANTISSA_BITS):
        fewest = holder.encoding.fewest
        for store, view in views:
            for marker in view.markers(name):
                inside = holder.records_before <= marker.records_before < holder.records_end
                other = marker.series == holder.series and marker.part != holder.part
                if inside and other and fewest < marker.encoding.most:
                    raise StoreError(
                        f"the stores cannot be merged: {describe(marker.series)} keeps "
                        f"{marker.encoding.most} mantissa bits in {store.folder}, and {fewest} in "
                        "another one, which would replace it",
                        hint=f"Compact both with --keep-bits {fewest}, or leave one out.",
                    )


def _check_forms(views: Sequence[tuple[Store, Snapshot]]) -> None:
    """Refuse probes of a pair that keep different neurons, or have different precisions."""
    decided: dict[tuple[str, ...], tuple[Store, ProbeForm]] = {}
    for store, view in views:
        for series, form in _forms(view).items():
            first, kept = decided.setdefault(series, (store, form))
            if (form.digest, form.dtype) != (kept.digest, kept.dtype):
                raise StoreError(
                    f"{store.folder} cannot be merged: of {describe(series)} it keeps "
                    f"{form.describe()}, {first.folder} keeps {kept.describe()}",
                    hint="Ingest the probes of one of them again, as the other keeps them.",
                )


def _forms(view: Snapshot) -> dict[tuple[str, ...], ProbeForm]:
    """Return what the probes of every pair keep, also where nobody decided on it."""
    found: dict[tuple[str, ...], ProbeForm] = {}
    for name in view.directories:
        for marker in view.committed(name):
            if marker.kind != "statistics" and marker.series not in found:
                found[marker.series] = view.probe_form(*pair_of(marker))
    return found


_HINT = (
    "A text must be the same in all of them, as far as each has it; ingest one that changed as "
    "another corpus (--corpus)."
)


def _copy_all(target: Store, missing: dict[str, dict[str, Store]], reporter: Reporter) -> None:
    writer = secrets.token_hex(8)
    total = sum(len(parts) for parts in missing.values())
    with reporter.task("merging", total=total, unit="parts") as progress:
        for name, parts in missing.items():
            for part, source in parts.items():
                path = f"{name}/{part}{MARKER_SUFFIX}"
                marker = Marker.read(source.folder, path)
                copied = replace(marker, attempt=new_attempt(), writer=writer)
                commit_files(target.folder, copied, path, contents=_files(source.folder, marker))
                progress.advance(1)


def _files(folder: Folder, marker: Marker) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Read the files of a part, one after the other, each compared with its checksum."""
    for name, committed in marker.files.items():
        content = folder.committed(marker.directory, {name: committed})[name]
        yield name, np.frombuffer(content, dtype=np.uint8)


def _rows(store: Store, counting: Sequence[Marker], missing: dict[str, Store]) -> Iterator[Merged]:
    """Say what a source gave of a directory, series by series."""
    for series in sorted({marker.series for marker in counting}):
        parts = [marker for marker in counting if marker.series == series]
        copied = [marker for marker in parts if missing.get(marker.part) is store]
        yield Merged(
            source=str(store.folder),
            kind=parts[0].kind,
            series=series,
            parts=len(parts),
            copied_parts=len(copied),
            copied_bytes=sum(marker.size for marker in copied),
        )
