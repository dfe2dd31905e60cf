"""Lists of neurons as text: one ``(layer, neuron)`` on every line, as the published scripts do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from bridgex.errors import InvalidInputError
from bridgex.files import write_atomically
from bridgex.texts import open_text

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from bridgex.analysis import LanguageNeurons
    from bridgex.schema import Pair

_LINE = re.compile(r"\(\s*(\d{1,9})\s*,\s*(\d{1,9})\s*\)", re.ASCII)


def pair_masks(neurons: LanguageNeurons, pair: Pair) -> dict[str, NDArray[np.bool_]]:
    """Return the sets that the published scripts read for a pair, by what is in the files' names.

    Parameters
    ----------
    neurons
        The sets of the pair's languages and of the candidates.
    pair
        Source and target.

    Returns
    -------
    What the pair shares, and what every other language has without the pair: bool (neuron,).
    """
    source, target = pair
    masks = {f"{source}_{target}": neurons.combined(pair)}
    for language in neurons.languages:
        if language not in pair:
            name = f"{language}_specific_bridge_{source}_{target}_k"
            masks[name] = neurons.combined([language], without=pair)
    return masks


def write_neuron_list(
    mask: NDArray[np.bool_], layer_offsets: NDArray[np.int64], path: Path
) -> None:
    """Write the neurons of a set, complete or not at all.

    Parameters
    ----------
    mask
        Membership on the flat neuron axis, bool (neuron,).
    layer_offsets
        Start of every layer on the flat neuron axis, and its end: int64 (layer + 1,).
    path
        The file; one that is there is replaced.

    Raises
    ------
    InvalidInputError
        If it cannot be written.
    """
    flat = np.flatnonzero(mask)
    layers = np.searchsorted(layer_offsets, flat, side="right") - 1
    neurons = flat - layer_offsets[layers]
    pairs = zip(layers.tolist(), neurons.tolist(), strict=True)
    write_atomically(path, "".join(f"({layer}, {neuron})\n" for layer, neuron in pairs).encode())


def read_neuron_list(path: Path, layer_offsets: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Read a set of neurons.

    Parameters
    ----------
    path
        A text file with ``(layer, neuron)`` on every line that is not blank, counted from 0.
    layer_offsets
        Start of every layer on the flat neuron axis, and its end: int64 (layer + 1,).

    Returns
    -------
    Membership on the flat neuron axis, bool (neuron,).

    Raises
    ------
    NotFoundError
        There is no such file.
    InvalidInputError
        The file names no neuron, one twice, or one that the model does not have; or a line is
        something else.
    """
    mask = np.zeros(int(layer_offsets[-1]), dtype=np.bool_)
    sizes = np.diff(layer_offsets)
    for number, line in enumerate(open_text(path, format="text"), start=1):
        found = _LINE.fullmatch(line.strip())
        if found is None:
            raise InvalidInputError(
                f"expected (layer, neuron) on every line of {path}, such as (12, 3401); neuron "
                f"{number} of the list is {line.strip()[:40]!r}"
            )
        layer, neuron = int(found[1]), int(found[2])
        if layer >= sizes.size or neuron >= sizes[layer]:
            raise InvalidInputError(
                f"{path} names neuron {neuron} of layer {layer}, which the model does not have: "
                f"it has {_shape(sizes)}",
                hint="Take the list of the same model.",
            )
        place = int(layer_offsets[layer]) + neuron
        if mask[place]:
            raise InvalidInputError(f"{path} names neuron {neuron} of layer {layer} twice")
        mask[place] = True
    return mask


def _shape(sizes: NDArray[np.int64]) -> str:
    width = str(sizes[0]) if (sizes == sizes[0]).all() else f"{sizes.min()} to {sizes.max()}"
    return f"{sizes.size} layers of {width} neurons"
