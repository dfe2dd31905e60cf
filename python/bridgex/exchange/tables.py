"""Tables as Parquet."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from bridgex.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from bridgex.analysis import LanguageNeurons
    from bridgex.schema import NeuronStatistics


def statistics_table(
    language: str, statistics: NeuronStatistics, layer_offsets: NDArray[np.int64]
) -> pl.DataFrame:
    """Return the statistics of a language, a row for every neuron in the order of the layers.

    Parameters
    ----------
    language
        Code of the language.
    statistics
        Its statistics.
    layer_offsets
        Start of every layer on the flat neuron axis, and its end: int64 (layer + 1,).

    Returns
    -------
    Columns: language; layer, neuron (within the layer): Int32; positive_count Int64; sum,
    sum_squares Float64; maximum Float32; token_count Int64; activation_probability, mean Float64.
    What is not known is null.
    """
    columns = {
        "layer": np.repeat(
            np.arange(layer_offsets.size - 1, dtype=np.int32), np.diff(layer_offsets)
        ),
        "neuron": _within(np.arange(layer_offsets[-1]), layer_offsets),
        "positive_count": statistics.positive_count,
        "sum": statistics.sum,
        "sum_squares": statistics.sum_squares,
        "maximum": statistics.maximum,
        "activation_probability": statistics.activation_probability,
        "mean": statistics.per_token(statistics.sum),
    }
    frame = pl.DataFrame(columns).with_columns(
        pl.lit(language).alias("language"),
        pl.lit(statistics.token_count, pl.Int64).alias("token_count"),
        pl.col("sum", "sum_squares", "maximum", "mean").fill_nan(None),
    )
    return frame.select(
        "language", "layer", "neuron", "positive_count", "sum", "sum_squares", "maximum",
        "token_count", "activation_probability", "mean",
    )  # fmt: skip


def sets_table(
    neurons: LanguageNeurons, statistics: Mapping[str, NeuronStatistics]
) -> pl.DataFrame:
    """Return the neurons of languages, a row for every language and neuron of its set.

    Parameters
    ----------
    neurons
        The sets.
    statistics
        The statistics that they were chosen from, by language code.

    Returns
    -------
    Columns: language; layer, neuron (within the layer): Int32; activation_probability, mean
    Float64, null where it is not known.
    """
    frames = []
    for language in neurons.languages:
        flat = np.flatnonzero(neurons.mask(language))
        one = statistics[language]
        layers = np.searchsorted(neurons.layer_offsets, flat, side="right") - 1
        columns = {
            "layer": layers.astype(np.int32),
            "neuron": _within(flat, neurons.layer_offsets),
            "activation_probability": one.activation_probability[flat],
            "mean": one.per_token(one.sum)[flat],
        }
        frame = pl.DataFrame(columns).with_columns(
            pl.lit(language).alias("language"), pl.col("mean").fill_nan(None)
        )
        frames.append(frame.select("language", *columns))
    return pl.concat(frames)


def write_table(frame: pl.DataFrame, path: Path, about: dict[str, str]) -> None:
    """Write a table as Parquet, complete or not at all.

    Parameters
    ----------
    frame
        The table.
    path
        The file; one that is there is replaced.
    about
        What ``describe`` returned: goes into the file's metadata.

    Raises
    ------
    InvalidInputError
        If it cannot be written.
    """
    buffer = io.BytesIO()
    frame.write_parquet(buffer, metadata=about)
    write_atomically(path, buffer.getvalue())


def _within(flat: NDArray[np.int64], layer_offsets: NDArray[np.int64]) -> NDArray[np.int32]:
    """Return the indices within their layers of neurons on the flat axis."""
    layers = np.searchsorted(layer_offsets, flat, side="right") - 1
    return (flat - layer_offsets[layers]).astype(np.int32)
