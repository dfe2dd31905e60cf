"""Whether a committed part is what its marker says: its files, and the numbers in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bridgex.errors import InvalidInputError, StoreError
from bridgex.schema import NeuronStatistics
from bridgex.store.checks import check_sums
from bridgex.store.forms import PROBE_TYPES, check_neurons, form_of, pair_of, read_form
from bridgex.store.layout import DIGESTS_ARRAY, layer_array, statistics_arrays
from bridgex.store.parts import part_array, part_attributes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridgex.schema import ProbeDtype, Provenance
    from bridgex.store.files import StoredFile
    from bridgex.store.folder import Folder
    from bridgex.store.markers import Marker

_SLAB_VALUES = 1 << 22
"""Activations that are looked at in one go: 16 MiB of float32."""


class Problem(NamedTuple):
    """What is wrong with a file or array, by its path relative to the store."""

    path: str
    what: str
    missing: bool = False


def file_problems(folder: Folder, marker: Marker) -> list[Problem]:
    """Compare the files of a part with the sizes and checksums that were committed."""
    found = [
        _file_problem(folder, f"{marker.directory}/{name}", committed)
        for name, committed in marker.files.items()
    ]
    return [problem for problem in found if problem]


def _file_problem(folder: Folder, path: str, committed: StoredFile) -> Problem | None:
    try:
        found = folder.measure(path)
    except FileNotFoundError:
        return Problem(path, "the file is missing", missing=True)
    except StoreError as error:
        return Problem(path, error.message)
    if found.size != committed.size:
        return Problem(path, f"expected {committed.size} bytes, the file has {found.size}")
    if found != committed:
        return Problem(
            path,
            f"its checksum (CRC-32C) is {found.crc32c:08x}, {committed.crc32c:08x} was committed",
        )
    return None


def content_problems(folder: Folder, marker: Marker, provenance: Provenance) -> list[Problem]:
    """Check the shapes, types and values in a part whose files are those that were committed."""
    try:
        return list(_PROBLEMS[marker.kind](folder, marker, provenance))
    except StoreError as error:
        return [Problem(marker.directory, error.message)]


def _statistics_problems(
    folder: Folder, marker: Marker, provenance: Provenance
) -> Iterator[Problem]:
    yield from _digest_problems(folder, marker)
    shape = (provenance.neuron_count,)
    arrays = {
        name: part_array(folder, marker, name, shape)
        for name in statistics_arrays(provenance)
        if name in marker.arrays or not provenance.imported
    }
    statistics = NeuronStatistics.of_known(arrays, token_count=marker.counted, record_count=0)
    try:
        check_sums(statistics, provenance)
    except InvalidInputError as error:
        yield Problem(marker.directory, error.message)


def _probes_problems(folder: Folder, marker: Marker, provenance: Provenance) -> Iterator[Problem]:
    yield from _digest_problems(folder, marker)
    attributes = part_attributes(folder, marker)
    words, considered = attributes.get("words", ()), attributes.get("considered")
    if (len(words), considered) != (marker.counted, marker.records):
        yield Problem(
            marker.directory,
            f"expected {marker.counted} words out of {marker.records}, found {len(words)} out of "
            f"{considered}",
        )
    try:
        form = form_of(folder, *pair_of(marker), provenance)
    except StoreError:  # of a part that is a finding itself
        return
    if attributes.get("neurons") != form.digest:
        yield Problem(marker.directory, "its neurons are not those that the pair's probes keep")
        return
    for layer, size in enumerate(form.row_counts(provenance.layer_sizes)):
        if size and marker.counted:
            name, shape = layer_array(layer), (size, marker.counted)
            yield from _layer_problems(folder, marker, name, shape, form.dtype)


def _layer_problems(
    folder: Folder, marker: Marker, name: str, shape: tuple[int, int], dtype: ProbeDtype
) -> Iterator[Problem]:
    path = f"{marker.directory}/{name}"
    values = part_array(folder, marker, name, shape)
    if values.dtype != PROBE_TYPES[dtype]:
        yield Problem(path, f"expected {PROBE_TYPES[dtype]}, found {values.dtype}")
        return
    slab = max(1, _SLAB_VALUES // shape[1])
    for start in range(0, shape[0], slab):
        finite = np.isfinite(values[start : start + slab])
        if not finite.all():
            row, sample = np.argwhere(~finite)[0]
            yield Problem(
                path, f"it holds {values[start + row, sample]} at {start + row}, {sample}"
            )
            return


def _form_problems(folder: Folder, marker: Marker, provenance: Provenance) -> Iterator[Problem]:
    form = read_form(folder, marker)
    try:
        check_neurons(form, provenance)
    except InvalidInputError as error:
        yield Problem(marker.directory, error.message)


def _digest_problems(folder: Folder, marker: Marker) -> Iterator[Problem]:
    digests = part_array(folder, marker, DIGESTS_ARRAY, (marker.records,))
    if digests.dtype != np.uint64:
        path = f"{marker.directory}/{DIGESTS_ARRAY}"
        yield Problem(path, f"expected uint64, found {digests.dtype}")


_PROBLEMS = {
    "statistics": _statistics_problems,
    "neurons": _form_problems,
    "probes": _probes_problems,
}
