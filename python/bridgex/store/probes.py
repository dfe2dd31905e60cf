"""The probe activations of one pair, read row by row."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bridgex.errors import InvalidInputError, NotFoundError
from bridgex.store.layout import layer_array
from bridgex.store.parts import part_array, part_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    from bridgex.schema import GoldFilter, Pair, ProbeForm, WordPair
    from bridgex.store.folder import Folder
    from bridgex.store.markers import Marker


@dataclass(frozen=True)
class Probes:
    """Probe activations of a translation direction: a (neuron, sample) matrix per layer.

    Attributes
    ----------
    pair
        Source and target language.
    gold
        Which word pairs are samples: ``keep``, those that the model translates right; ``off``,
        all of them.
    words
        The word pair of every sample, in the order of the word list.
    considered
        Number of word pairs that were looked at.
    layer_sizes
        Number of neurons of every layer.
    form
        The neurons that are kept, and the precision.
    """

    pair: Pair
    gold: GoldFilter
    words: tuple[WordPair, ...]
    considered: int
    layer_sizes: tuple[int, ...]
    form: ProbeForm
    _folder: Folder = field(repr=False)
    _parts: tuple[Marker, ...] = field(repr=False)

    @property
    def sample_count(self) -> int:
        """Number of samples."""
        return len(self.words)

    def rows(self, layer: int, indices: ArrayLike) -> NDArray[np.float32]:
        """Read the activations of some neurons of a layer.

        Parameters
        ----------
        layer
            Index of the layer.
        indices
            Indices of neurons within the layer, integer (row,), in any order.

        Returns
        -------
        NDArray[np.float32]
            Activations, (row, sample). Only the rows asked for are read where the store's arrays
            can be memory-mapped; of compressed arrays, the chunks that hold them.

        Raises
        ------
        NotFoundError
            If the model has no such layer, or a neuron is not kept.
        InvalidInputError
            If an index is not that of a neuron of the layer.
        StoreError
            If a file of the store is missing or has another size than it should.
        """
        places, stored = self._places(layer, self._check(layer, np.asarray(indices)))
        return self._read(layer, (places.size, stored), partial(part_rows, indices=places))

    def layer(self, layer: int) -> NDArray[np.float32]:
        """Read the activations of all neurons of a layer, float32 (neuron, sample).

        Raises as ``rows``: all of them have to be kept.
        """
        self._check(layer, np.arange(0))
        _, stored = self._places(layer, np.arange(self.layer_sizes[layer]))
        return self._read(layer, (stored, stored), part_array)

    def _read(
        self, layer: int, counts: tuple[int, int], read: Callable[..., NDArray[Any]]
    ) -> NDArray[np.float32]:
        """Read so many rows, of so many that are stored."""
        wanted, stored = counts

        def read_part(part: Marker) -> NDArray[Any]:
            shape = (stored, part.counted)
            return read(self._folder, part, layer_array(layer), shape)

        result = np.empty((wanted, self.sample_count), dtype=np.float32)
        start = 0
        for values in self._folder.each(read_part, self._parts if wanted else ()):
            end = start + values.shape[1]
            result[:, start:end] = values
            start = end
        return result

    def _places(self, layer: int, neurons: NDArray[np.intp]) -> tuple[NDArray[np.intp], int]:
        """Return the rows of neurons in the stored arrays of a layer, and how many these have."""
        kept = self.form.layer_neurons(self.layer_sizes)
        if kept is None:
            return neurons, self.layer_sizes[layer]
        places = np.searchsorted(kept[layer], neurons)
        absent = ~np.isin(neurons, kept[layer])
        if absent.any():
            raise self._not_kept(layer, int(neurons[absent][0]), len(kept[layer]))
        return places, len(kept[layer])

    def _not_kept(self, layer: int, neuron: int, count: int) -> NotFoundError:
        return NotFoundError(
            f"the probes of {self.pair} (gold filter {self.gold}) do not keep neuron {neuron} of "
            f"layer {layer}: of its {self.layer_sizes[layer]} neurons they keep {count}, "
            f"{self.form.describe()}",
            hint=f"Ask for at most {self.form.percent:g} percent of the default selection, with "
            "--bridges out of these languages and --random-sets 0; or ingest the probes with "
            "--neurons all into another store.",
        )

    def _check(self, layer: int, indices: NDArray[np.generic]) -> NDArray[np.intp]:
        if not 0 <= layer < len(self.layer_sizes):
            raise NotFoundError(
                f"there is no layer {layer}: the model has layers 0 to {len(self.layer_sizes) - 1}"
            )
        if indices.ndim != 1 or (indices.size and indices.dtype.kind not in "iu"):
            raise InvalidInputError(
                "expected neuron indices as integers of shape (row,), got "
                f"{indices.dtype} of shape {indices.shape}"
            )
        size = self.layer_sizes[layer]
        outside = (indices < 0) | (indices >= size)  # type: ignore[operator]  # integers: checked
        if outside.any():
            raise InvalidInputError(
                f"neuron {indices[outside][0]} is not in layer {layer}, which has {size} neurons"
            )
        return indices.astype(np.intp)
