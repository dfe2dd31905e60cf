"""Tables as Parquet."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from bridgex.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from bridgex.analysis import LanguageNeurons
    from bridgex.schema import NeuronStatistics, Provenance


def statistics_table(
    language: str, statistics: NeuronStatistics, provenance: Provenance
) -> pl.DataFrame:
    """Return the statistics of a language, a row for every neuron in the order of the layers.

    Parameters
    ----------
    language
        Code of the language.
    statistics
        Its statistics.
    provenance
        Of the store.

    Returns
    -------
    Columns: language; layer, neuron (within the layer): Int32; positive_count Int64; sum,
    sum_squares Float64; maximum Float32; token_count Int64; activation_probability, mean Float64.
    Of a mixture of experts also expert and expert_neuron, Int32, after the neuron: its routed
    expert, and its place within that; and routed_count, Int64, after the token count. What is not
    known, and the expert of a neuron of none, is null.
    """
    places = _places(np.arange(provenance.neuron_count), provenance)
    columns = places | {
        "positive_count": statistics.positive_count,
        "sum": statistics.sum,
        "sum_squares": statistics.sum_squares,
        "maximum": statistics.maximum,
        "activation_probability": statistics.activation_probability,
        "mean": statistics.per_token(statistics.sum),
    }
    routed = {} if statistics.routed_count is None else {"routed_count": statistics.routed_count}
    frame = pl.DataFrame(columns | routed).with_columns(
        pl.lit(language).alias("language"),
        pl.lit(statistics.token_count, pl.Int64).alias("token_count"),
        pl.col("sum", "sum_squares", "maximum", "mean").fill_nan(None),
    )
    return frame.select(
        "language", *places, "positive_count", "sum", "sum_squares", "maximum",
        "token_count", *routed, "activation_probability", "mean",
    )  # fmt: skip


def sets_table(
    neurons: LanguageNeurons, statistics: Mapping[str, NeuronStatistics], provenance: Provenance
) -> pl.DataFrame:
    """Return the neurons of languages, a row for every language and neuron of its set.

    Parameters
    ----------
    neurons
        The sets.
    statistics
        The statistics that they were chosen from, by language code.
    provenance
        Of the store.

    Returns
    -------
    Columns: language; layer, neuron (within the layer): Int32; activation_probability, mean
    Float64, null where it is not known. Of a mixture of experts also expert and expert_neuron,
    Int32, as in ``statistics_table``.
    """
    frames = []
    for language in neurons.languages:
        flat = np.flatnonzero(neurons.mask(language))
        one = statistics[language]
        columns = _places(flat, provenance) | {
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


def _places(flat: NDArray[np.int64], provenance: Provenance) -> dict[str, Any]:
    """Return where neurons on the flat axis are: int32 (row,) by the name of the column."""
    offsets = provenance.layer_offsets
    layer = np.searchsorted(offsets, flat, side="right") - 1
    neuron = flat - offsets[layer]
    places: dict[str, Any] = {"layer": layer.astype(np.int32), "neuron": neuron.astype(np.int32)}
    if not provenance.experts:
        return places
    for name, found in zip(
        ("expert", "expert_neuron"), provenance.expert_neurons(layer, neuron), strict=True
    ):
        column = pl.Series(found.astype(np.int32))
        places[name] = column.set(column < 0, None)
    return places
