"""What the probes of a pair keep: decided by one committed part, before any of the probes.

The id of that part does not depend on what it says, so of several writers exactly one decides, and
all others and all later ones keep what it chose.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from bridgex.corpora import CHAIN_START
from bridgex.errors import InvalidInputError, StoreError
from bridgex.schema import FULL_PROBES, Pair, ProbeDtype, ProbeForm
from bridgex.store.arrays import damaged
from bridgex.store.candidate import Candidate
from bridgex.store.committed import read_counting
from bridgex.store.layout import NEURONS_ARRAY, neuron_commits, pair_commits, part_id
from bridgex.store.markers import Marker, marker_names
from bridgex.store.parts import part_attributes, read_part
from bridgex.store.places import Span, describe
from bridgex.store.writer import commit, new_attempt

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bridgex.schema import GoldFilter, Provenance, WordPair
    from bridgex.store.folder import Folder


PROBE_TYPES: dict[ProbeDtype, np.dtype[Any]] = {
    "f32": np.dtype(np.float32),
    "f16": np.dtype(np.float16),
}


class Forms:
    """The forms of a store's probes. Every form is read once: it never changes."""

    def __init__(self, folder: Folder, provenance: Provenance, writer: str) -> None:
        self._folder = folder
        self._provenance = provenance
        self._writer = writer
        self._known: dict[str, ProbeForm] = {}

    def stored(self, pair: Pair, gold: GoldFilter) -> ProbeForm | None:
        """Return the form of a pair's probes, or None while that is not decided."""
        candidate = form_candidate(pair, gold, self._provenance)
        if candidate.part not in self._known:
            decided = self._folder.exists(candidate.marker_path)
            if not decided and not _has_full_probes(self._folder, pair, gold):
                return None
            # If it was decided before these probes were added, but just now, this finds it.
            self._known[candidate.part] = form_of(self._folder, pair, gold, self._provenance)
        return self._known[candidate.part]

    def decide(self, pair: Pair, gold: GoldFilter, form: ProbeForm) -> ProbeForm:
        """Decide on the form of a pair's probes, unless that was done before; return it.

        Raises
        ------
        InvalidInputError
            If the neurons are not ascending ones of the model.
        StoreError
            If other neurons are kept (all, or another percentage), or another precision; or if
            nothing can be written.
        """
        check_neurons(form, self._provenance)
        stored = self.stored(pair, gold)
        if stored is None:
            self._commit(form_candidate(pair, gold, self._provenance), form)
            stored = self.stored(pair, gold)
        assert stored is not None
        _check_same(stored, form, (*pair, gold))
        return stored

    def _commit(self, candidate: Candidate, form: ProbeForm) -> None:
        rows = self._provenance.neuron_count if form.neurons is None else form.neurons.size
        commit(
            self._folder,
            candidate.marker(counted=rows, attempt=new_attempt(), writer=self._writer),
            candidate.marker_path,
            arrays={} if form.neurons is None else {NEURONS_ARRAY: form.neurons},
            attributes={
                "kind": candidate.kind,
                "dtype": form.dtype,
                "percent": form.percent,
                "languages": list(form.languages),
                "digest": form.digest,
            },
        )


OVERFLOW = 65_520.0
"""Where rounding to float16 gives infinity: half-way from its largest number to the next."""


def form_candidate(pair: Pair, gold: GoldFilter, provenance: Provenance) -> Candidate:
    """Say where the form of a pair's probes goes."""
    series, chains = (*pair, gold), (CHAIN_START, CHAIN_START)
    span = Span(series, 0, *chains, np.empty(0, dtype=np.uint64))
    part = part_id(provenance.fingerprint, "neurons", series, chains)
    return Candidate("neurons", neuron_commits(pair), span, part)


def form_of(folder: Folder, pair: Pair, gold: GoldFilter, provenance: Provenance) -> ProbeForm:
    """Return the form of stored probes; all neurons where none was decided. See ``read_form``."""
    path = form_candidate(pair, gold, provenance).marker_path
    return read_form(folder, Marker.read(folder, path)) if folder.exists(path) else FULL_PROBES


def _has_full_probes(folder: Folder, pair: Pair, gold: GoldFilter) -> bool:
    """Say whether there are probes of all neurons, which nobody need have decided on."""
    commits = pair_commits(pair)
    list_names = partial(marker_names, folder, commits)
    _, counting = read_counting(folder, commits, list_names(), list_names)
    return any(
        marker.series == (*pair, gold) and "neurons" not in part_attributes(folder, marker)
        for marker in counting
    )


def pair_of(probes: Marker) -> tuple[Pair, GoldFilter]:
    """Return whose probes a part holds."""
    source, target, gold = probes.series
    return Pair(source, target), cast("GoldFilter", gold)


def read_form(folder: Folder, marker: Marker) -> ProbeForm:
    """Read the form that a part decided on.

    Raises
    ------
    StoreError
        If it is not what was committed.
    """
    shapes = dict.fromkeys(marker.arrays, (marker.counted,))
    neurons = read_part(folder, marker, shapes).get(NEURONS_ARRAY)
    attributes = part_attributes(folder, marker)
    languages = tuple(attributes["languages"])
    form = ProbeForm(attributes["dtype"], neurons, attributes["percent"], languages)
    if form.digest != attributes["digest"]:
        raise damaged(folder.display(marker.directory), "its neurons have another digest")
    return form


def check_neurons(form: ProbeForm, provenance: Provenance) -> None:
    """Refuse neurons that are not ascending ones of the model."""
    neurons = form.neurons
    if neurons is None:
        return
    inside = (
        neurons.dtype == np.int64
        and neurons.ndim == 1
        and neurons.size > 0
        and neurons[0] >= 0
        and neurons[-1] < provenance.neuron_count
    )
    if not inside or (np.diff(neurons) <= 0).any():
        raise InvalidInputError(
            f"expected ascending neurons of 0 to {provenance.neuron_count - 1} as int64, got "
            f"{neurons.dtype} of shape {neurons.shape}: {neurons}"
        )


def _check_same(stored: ProbeForm, given: ProbeForm, series: tuple[str, ...]) -> None:
    if (stored.percent, stored.dtype) == (given.percent, given.dtype):
        return
    kept = "all" if stored.percent is None else f"top --top-percent {stored.percent:g}"
    raise StoreError(
        f"the probes of {describe(series)} keep {stored.describe()} in this store, and "
        f"{given.describe()} were asked for",
        hint=f"Go on with --neurons {kept} --probe-dtype {stored.dtype}, or use another store.",
    )


def in_half_precision(
    layers: tuple[NDArray[np.float32], ...],
    words: tuple[WordPair, ...],
    form: ProbeForm,
    layer_sizes: tuple[int, ...],
) -> tuple[NDArray[np.float16], ...]:
    """Round activations to float16.

    Raises
    ------
    InvalidInputError
        If a value rounds to more than 65,504, which float16 cannot hold.
    """
    if any(max(values.max(initial=0), -values.min(initial=0)) >= OVERFLOW for values in layers):
        raise _overflow(layers, words, form, layer_sizes)
    return tuple(values.astype(np.float16) for values in layers)


def _overflow(
    layers: tuple[NDArray[np.float32], ...],
    words: tuple[WordPair, ...],
    form: ProbeForm,
    layer_sizes: tuple[int, ...],
) -> InvalidInputError:
    overflows = [np.abs(values) >= OVERFLOW for values in layers]
    count = sum(int(values.sum()) for values in overflows)
    layer = next(layer for layer, values in enumerate(overflows) if values.any())
    row, sample = np.argwhere(overflows[layer])[0]
    kept = form.layer_neurons(layer_sizes)
    neuron = row if kept is None else kept[layer][row]
    return InvalidInputError(
        f"{count:,} activations are beyond 65,504, the largest float16; the first is "
        f"{layers[layer][row, sample]:.6g} at neuron {neuron} of layer {layer}, word "
        f"{words[sample].source!r}",
        hint="Keep the probes as f32 (--probe-dtype f32); in another store, where this one "
        "has decided on f16.",
    )
