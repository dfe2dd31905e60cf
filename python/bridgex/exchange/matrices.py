"""Arrays as safetensors, written one after the other.

The format is its header's length (8 bytes, little-endian), the header (JSON: type, shape and place
of every tensor, and a map of strings under ``__metadata__``), and the tensors. The library wants
all tensors in memory at once; the probes of one pair can be larger than that.
"""

from __future__ import annotations

import json
import math
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bridgex.exchange.provenance import describe
from bridgex.files import atomic_file
from bridgex.store.layout import layer_array

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from bridgex.schema import NeuronStatistics, Provenance
    from bridgex.store import Probes

_TYPES = {"int64": "I64", "float64": "F64", "float32": "F32"}
_ALIGNMENT = 8


class Form(NamedTuple):
    """Type and shape of an array."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Bytes of the array."""
        return math.prod(self.shape) * self.dtype.itemsize


def write_probes(probes: Probes, path: Path, provenance: Provenance) -> None:
    """Write the probe activations of a pair as safetensors, complete or not at all.

    Parameters
    ----------
    probes
        The activations. Tensors: ``layer_0`` and so on, float32 (neuron, sample). Where only some
        neurons are kept, the rows are those, and ``layer_0_neurons`` and so on, int64 (neuron,),
        their indices within the layer.
    path
        The file; one that is there is replaced.
    provenance
        Of the store. The metadata also says which word pair every sample is: ``words`` holds
        ``[source, [target, ...]]`` for each.

    Raises
    ------
    InvalidInputError
        If it cannot be written.
    StoreError
        If a file of the store is missing or damaged.

    Notes
    -----
    No more than two layers are in memory at a time.
    """
    about = describe(
        "bridgex.probes/1",
        provenance,
        source=probes.pair.source,
        target=probes.pair.target,
        gold=probes.gold,
        considered=probes.considered,
        neurons=probes.form.describe(),
        words=[[word.source, list(word.targets)] for word in probes.words],
    )
    kept = probes.form.layer_neurons(probes.layer_sizes)
    neurons = (
        {} if kept is None else {f"{layer_array(i)}_neurons": one for i, one in enumerate(kept)}
    )
    counts = probes.form.row_counts(probes.layer_sizes)
    forms = {name: Form(one.dtype, one.shape) for name, one in neurons.items()}
    forms |= {
        layer_array(layer): Form(np.dtype(np.float32), (count, probes.sample_count))
        for layer, count in enumerate(counts)
    }
    layers = (
        probes.layer(layer) if kept is None else probes.rows(layer, kept[layer])
        for layer in range(len(counts))
    )
    _write(path, forms, chain(neurons.values(), layers), about)


def write_statistics_tensors(
    language: str, statistics: NeuronStatistics, path: Path, provenance: Provenance
) -> None:
    """Write the statistics of a language as safetensors, complete or not at all.

    Parameters
    ----------
    language
        Code of the language.
    statistics
        Its statistics. Tensors: ``positive_count``, ``sum``, ``sum_squares`` and ``maximum`` as
        far as they are known, of a mixture of experts ``routed_count``, (neuron,); and
        ``layer_offsets``, (layer + 1,).
    path
        The file; one that is there is replaced.
    provenance
        Of the store.

    Raises
    ------
    InvalidInputError
        If it cannot be written.
    """
    about = describe(
        "bridgex.neuron-statistics/1",
        provenance,
        language=language,
        token_count=statistics.token_count,
        record_count=statistics.record_count,
    )
    # Narrow numbers last, so that every tensor begins where its numbers may.
    arrays = {"layer_offsets": provenance.layer_offsets, **statistics.known()}
    forms = {name: Form(array.dtype, array.shape) for name, array in arrays.items()}
    _write(path, forms, arrays.values(), about)


def _write(
    path: Path, forms: Mapping[str, Form], arrays: Iterable[NDArray[Any]], about: dict[str, str]
) -> None:
    with atomic_file(path) as file:
        file.write(_header(forms, about))
        for form, array in zip(forms.values(), arrays, strict=True):
            little = form.dtype.newbyteorder("<")
            file.write(np.ascontiguousarray(array, dtype=little).data)


def _header(forms: Mapping[str, Form], about: dict[str, str]) -> bytes:
    header: dict[str, Any] = {"__metadata__": about}
    start = 0
    for name, form in forms.items():
        end = start + form.size
        header[name] = {
            "dtype": _TYPES[form.dtype.name],
            "shape": list(form.shape),
            "data_offsets": [start, end],
        }
        start = end
    text = json.dumps(header, ensure_ascii=False).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return len(text).to_bytes(8, "little") + text
