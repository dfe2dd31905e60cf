"""An array comes back as it went in, however it is laid out and whoever reads it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.dying_folder import scratch

from bridgex.corpora import split_words
from bridgex.schema import Pair, WordPair
from bridgex.store import Store
from bridgex.store.arrays import read_array, read_by_zarr, write_group
from bridgex.store.encoding import Codec, chosen_encoding
from bridgex.testing import synthetic

PAIR = Pair("id", "tl")
ARRAYS = hnp.arrays(
    st.sampled_from([np.int64, np.uint64, np.float64, np.float32, np.float16]),
    hnp.array_shapes(min_dims=1, max_dims=2, max_side=9),
    elements={"allow_nan": True},
)


@given(ARRAYS)
@settings(max_examples=30, deadline=None)
def test_a_memory_map_holds_what_zarr_reads(values: np.ndarray[Any, Any]) -> None:
    with scratch() as name:
        directory = Path(name, "part")
        write_group(directory, {"values": values}, {})
        mapped = read_array(directory / "values", values.shape)
        through_zarr = read_by_zarr(directory / "values")
        assert isinstance(mapped, np.memmap)
        assert not isinstance(through_zarr, np.memmap)
        assert mapped.tobytes() == through_zarr.tobytes() == values.tobytes()
        assert mapped.dtype == through_zarr.dtype == values.dtype


@given(
    hnp.arrays(
        st.sampled_from([np.int64, np.float64, np.float32, np.float16]),
        hnp.array_shapes(min_dims=1, max_dims=2, max_side=9),
        elements={"allow_nan": True},
    ),
    st.sampled_from(["zstd", "blosc", "pcodec"]),
    st.lists(st.integers(0, 8), max_size=6),
)
@settings(max_examples=30, deadline=None)
def test_what_was_compressed_comes_back(
    values: np.ndarray[Any, Any], codec: Codec, indices: list[int]
) -> None:
    rows = np.array([index % len(values) for index in indices], dtype=np.intp)
    with scratch() as name:
        directory = Path(name, "part")
        write_group(directory, {"values": values}, {}, chosen_encoding(codec, None, None))
        assert not (set(codec_names(directory / "values")) <= {"bytes"})
        back = read_array(directory / "values", values.shape)
        assert back.tobytes() == values.tobytes()
        assert back.dtype == values.dtype
        chosen = read_by_zarr(directory / "values", rows)
        assert chosen.tobytes() == values[rows].tobytes()


def codec_names(directory: Path) -> list[str]:
    """Names of the codecs in an array's metadata, those inside of shards for a sharded one."""
    codecs = json.loads((directory / "zarr.json").read_text())["codecs"]
    if codecs[0]["name"] == "sharding_indexed":
        codecs = codecs[0]["configuration"]["codecs"]
    return [codec["name"] for codec in codecs]


LAYOUTS: list[dict[str, Any]] = [
    {"compressors": "auto"},
    {"serializer": zarr.codecs.BytesCodec(endian="big")},
    {"chunks": (2, 3)},
    {"chunk_key_encoding": {"name": "default", "separator": "."}},
    {"chunks": (1, 1), "shards": (4, 6)},
]


@given(st.sampled_from(LAYOUTS), st.lists(st.integers(0, 3), max_size=6))
@settings(max_examples=15, deadline=None)
def test_rows_are_the_same_however_the_array_is_laid_out(
    layout: dict[str, Any], indices: list[int]
) -> None:
    words = [WordPair(letter, ("x",)) for letter in "abcdef"]
    (part,) = split_words(words, pair=PAIR)
    block = synthetic.probes(part, "off", layer_sizes=(4,))
    with scratch() as name:
        store = Store.create(Path(name, "store"), synthetic.provenance(layer_sizes=(4,)))
        store.add_probes(part, block, "off")
        (directory,) = store.path.glob("parts/*/layer_0")
        shutil.rmtree(directory)
        options = {"chunks": (4, 6), "compressors": None, **layout}
        array = zarr.create_array(
            str(directory), shape=(4, 6), dtype="float32", fill_value=np.nan, **options
        )
        array[...] = block.activations[0]
        rows = store.snapshot().probes(PAIR).rows(0, indices)
        assert not isinstance(read_array(directory, (4, 6)), np.memmap)
        assert rows.tobytes() == block.activations[0][indices].tobytes()
