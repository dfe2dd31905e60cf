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

    from bridgex.schema import GoldFilter, Pair, WordPair
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
    """

    pair: Pair
    gold: GoldFilter
    words: tuple[WordPair, ...]
    considered: int
    layer_sizes: tuple[int, ...]
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
            If the model has no such layer.
        InvalidInputError
            If an index is not that of a neuron of the layer.
        StoreError
            If a file of the store is missing or has another size than it should.
        """
        chosen = self._check(layer, np.asarray(indices))
        return self._read(layer, chosen.size, partial(part_rows, indices=chosen))

    def layer(self, layer: int) -> NDArray[np.float32]:
        """Read the activations of all neurons of a layer, float32 (neuron, sample)."""
        self._check(layer, np.arange(0))
        return self._read(layer, self.layer_sizes[layer], part_array)

    def _read(
        self, layer: int, row_count: int, read: Callable[..., NDArray[Any]]
    ) -> NDArray[np.float32]:
        def read_part(part: Marker) -> NDArray[Any]:
            shape = (self.layer_sizes[layer], part.counted)
            return read(self._folder, part, layer_array(layer), shape)

        result = np.empty((row_count, self.sample_count), dtype=np.float32)
        start = 0
        for values in self._folder.each(read_part, self._parts):
            end = start + values.shape[1]
            result[:, start:end] = values
            start = end
        return result

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
