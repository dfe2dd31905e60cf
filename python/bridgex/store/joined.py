"""The arrays of several parts as those of one, made one at a time when they are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numcodecs import BitRound

from bridgex.errors import InvalidInputError, StoreError
from bridgex.store.files import checksum
from bridgex.store.forms import PROBE_TYPES
from bridgex.store.layout import DIGESTS_ARRAY, layer_array, statistics_arrays
from bridgex.store.parts import checked_array, part_array

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from bridgex.progress import Progress
    from bridgex.schema import ProbeForm, Provenance
    from bridgex.store.folder import Folder
    from bridgex.store.markers import Marker

_BLOCK_VALUES = 1 << 18


class Joined(Mapping[str, "NDArray[Any]"]):
    """Arrays of a part that several parts become. Each is read, checked and forgotten.

    Parameters
    ----------
    folder
        The store.
    parts
        The parts, in the order of their places.
    provenance
        Of the store.
    form
        Of probes.
    keep_bits
        Mantissa bits to round activations to; None leaves them as they are.
    progress
        Told of every array that was read back.

    Raises
    ------
    InvalidInputError
        If activations of the form have fewer bits than are to be kept.

    Attributes
    ----------
    largest_relative_error
        Of all activations so far, largest difference to the value before, relative to it.
    """

    def __init__(
        self,
        folder: Folder,
        parts: Sequence[Marker],
        provenance: Provenance,
        *,
        form: ProbeForm,
        keep_bits: int | None,
        progress: Progress,
    ) -> None:
        if keep_bits is not None:
            _check_bits(PROBE_TYPES[form.dtype], keep_bits)
        self.largest_relative_error = 0.0
        self._folder = folder
        self._parts = parts
        self._keep_bits = keep_bits
        self._progress = progress
        self._written: dict[str, tuple[tuple[int, ...], int]] = {}
        self._makers: dict[str, Callable[[], NDArray[Any]]] = {DIGESTS_ARRAY: self._digests}
        if parts[0].kind == "statistics":
            for name in statistics_arrays(provenance):
                # What is not known of one part that was imported is not known of the sum.
                if not provenance.imported or all(name in part.arrays for part in parts):
                    self._makers[name] = partial(self._add_up, name, provenance.neuron_count)
        elif any(part.counted for part in parts):
            for layer, size in enumerate(form.row_counts(provenance.layer_sizes)):
                name = layer_array(layer)
                if size:
                    self._makers[name] = partial(self._side_by_side, name, size)

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)

    def __getitem__(self, name: str) -> NDArray[Any]:
        values = self._makers[name]()
        self._written[name] = (values.shape, checksum(values))
        return values

    def check_written(self, part: Marker) -> None:
        """Read back what was written, and refuse it unless it is what was to be written.

        Raises
        ------
        StoreError
            If an array is not.
        """
        for name, (shape, expected) in self._written.items():
            if checksum(part_array(self._folder, part, name, shape)) != expected:
                shown = self._folder.display(f"{part.directory}/{name}")
                raise StoreError(
                    f"{shown} does not come back as it was written",
                    hint="Nothing was changed. Check the disk, or choose another codec.",
                )
            self._progress.advance(1)

    def _add_up(self, name: str, neuron_count: int) -> NDArray[Any]:
        """Add a statistic in the order of places, as a reader of the parts does."""
        operation, neutral = (np.maximum, -np.inf) if name == "maximum" else (np.add, 0)
        shape = (neuron_count,)
        total: NDArray[Any] | None = None
        for part in self._parts:
            values = self._read(part, name, shape)
            if total is None:
                total = np.full(shape, neutral, dtype=values.dtype)
            operation(total, values, out=total)
        assert total is not None
        return total

    def _side_by_side(self, name: str, row_count: int) -> NDArray[Any]:
        """Put the samples of a layer next to each other, and round them."""
        sampled = [part for part in self._parts if part.counted]
        values: NDArray[Any] | None = None
        start = 0
        for part in sampled:
            read = self._read(part, name, (row_count, part.counted))
            if values is None:
                shape = (row_count, sum(part.counted for part in sampled))
                values = np.empty(shape, dtype=read.dtype)
            values[:, start : start + part.counted] = read
            start += part.counted
        assert values is not None
        if self._keep_bits is not None:
            error = round_in_place(values, self._keep_bits)
            self.largest_relative_error = max(self.largest_relative_error, error)
        return values

    def _digests(self) -> NDArray[Any]:
        return np.concatenate(
            [self._read(part, DIGESTS_ARRAY, (part.records,)) for part in self._parts]
        )

    def _read(self, part: Marker, name: str, shape: tuple[int, ...]) -> NDArray[Any]:
        return checked_array(self._folder, part, name, shape)


def _check_bits(dtype: np.dtype[Any], keep_bits: int) -> None:
    mantissa = np.finfo(dtype).nmant
    if keep_bits > mantissa:
        raise InvalidInputError(f"cannot keep {keep_bits} bits: values of {dtype} have {mantissa}")


def round_in_place(values: NDArray[Any], keep_bits: int) -> float:
    """Round floating-point values to a number of mantissa bits, ties to even.

    Parameters
    ----------
    values
        Floating-point values, of any shape; replaced by the rounded ones.
    keep_bits
        Explicit mantissa bits to keep; the others become zero.

    Returns
    -------
    float
        Largest difference to a value other than zero, relative to it. At most
        ``2 ** -(keep_bits + 1)`` but for subnormal values.

    Raises
    ------
    InvalidInputError
        If the values have fewer bits, or one is rounded to infinity.
    """
    _check_bits(values.dtype, keep_bits)
    codec = BitRound(keep_bits)
    largest = 0.0
    flat = values.reshape(-1)
    for start in range(0, flat.size, _BLOCK_VALUES):
        before = flat[start : start + _BLOCK_VALUES]
        after = codec.encode(before).view(values.dtype)
        if not np.isfinite(after).all():
            raise InvalidInputError(
                f"{before[~np.isfinite(after)][0]} is rounded to infinity with {keep_bits} bits",
                hint="Keep more bits.",
            )
        exact = before.astype(np.float64)
        difference = np.abs(after.astype(np.float64) - exact)
        scale = np.abs(exact)
        largest = max(largest, float((difference[scale > 0] / scale[scale > 0]).max(initial=0.0)))
        before[...] = after
    return largest
