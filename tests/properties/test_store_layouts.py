"""However an array is laid out, a memory map and zarr read the same values from it."""

from __future__ import annotations

import json
import mmap
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.dying_folder import scratch
from tests.other_layouts import lay_out

from bridgex.corpora import split_words
from bridgex.schema import Pair, WordPair
from bridgex.store import Store
from bridgex.store.arrays import decoded, encoded_group
from bridgex.store.encoding import Codec, chosen_encoding
from bridgex.store.local import LocalFolder
from bridgex.testing import synthetic

PAIR = Pair("id", "tl")
ARRAYS = hnp.arrays(
    st.sampled_from([np.int64, np.uint64, np.float64, np.float32, np.float16]),
    hnp.array_shapes(min_dims=1, max_dims=2, max_side=9),
    elements={"allow_nan": True},
)
ORDERS = st.sampled_from([np.ascontiguousarray, np.asfortranarray, lambda values: values[::-1]])


def is_mapped(values: np.ndarray[Any, Any]) -> bool:
    """Say whether an array lies in a mapped file."""
    base: object = values
    while isinstance(base, np.ndarray):
        base = base.base
    return isinstance(base.obj if isinstance(base, memoryview) else base, mmap.mmap)


@given(ARRAYS, ORDERS, st.data())
@settings(max_examples=60, deadline=None)
def test_a_memory_map_holds_what_zarr_reads(
    values: np.ndarray[Any, Any], order: Any, data: st.DataObject
) -> None:
    values = order(values)
    indices = data.draw(st.lists(st.integers(0, len(values) - 1), min_size=1, max_size=6))
    with scratch() as name:
        folder = LocalFolder(Path(name))
        folder.write_group("part", {"values": values}, {})
        mapped = folder.array("part/values", values.shape, {})
        through_zarr = zarr.open_array(str(Path(name, "part/values")), mode="r")
        assert is_mapped(mapped)
        assert not mapped.flags.writeable
        assert mapped.dtype == through_zarr.dtype == values.dtype
        assert mapped.tobytes() == np.asarray(through_zarr[...]).tobytes() == values.tobytes()
        rows = np.asarray(through_zarr.oindex[np.array(indices)])
        assert mapped[indices].tobytes() == rows.tobytes() == values[indices].tobytes()


@given(ARRAYS, st.sampled_from(["zstd", "blosc", "pcodec"]), st.data())
@settings(max_examples=40, deadline=None)
def test_what_was_compressed_comes_back(
    values: np.ndarray[Any, Any], codec: Codec, data: st.DataObject
) -> None:
    indices = np.array(data.draw(st.lists(st.integers(0, len(values) - 1), max_size=6)), np.intp)
    encoding = chosen_encoding(codec, None, None)
    files = {
        name.removeprefix("values/"): content.tobytes()
        for name, content in encoded_group({"values": values}, {}, encoding)
        if name.startswith("values/")
    }
    assert not codec_names(files["zarr.json"]) <= {"bytes"}
    back = decoded(files, values.shape, "values")
    assert back.tobytes() == values.tobytes()
    assert back.dtype == values.dtype
    assert decoded(files, values.shape, "values", indices).tobytes() == values[indices].tobytes()


def codec_names(metadata: bytes) -> set[str]:
    """Names of the codecs in an array's metadata, those inside of shards for a sharded one."""
    codecs = json.loads(metadata)["codecs"]
    if codecs[0]["name"] == "sharding_indexed":
        codecs = codecs[0]["configuration"]["codecs"]
    return {codec["name"] for codec in codecs}


LAYOUTS: list[dict[str, Any]] = [
    {"compressors": "auto"},
    {"serializer": zarr.codecs.BytesCodec(endian="big")},
    {"filters": [zarr.codecs.TransposeCodec(order=(1, 0))]},
    {"chunks": (2, 3)},
    {"chunks": (4, 7)},
    {"chunk_key_encoding": {"name": "default", "separator": "."}},
    {"chunks": (1, 1), "shards": (4, 6)},
]
DTYPES = st.sampled_from([np.float16, np.float32, np.float64])


@given(st.sampled_from(LAYOUTS), DTYPES, st.lists(st.integers(0, 3), max_size=6))
@settings(max_examples=40, deadline=None)
def test_rows_are_the_same_however_the_array_is_laid_out(
    layout: dict[str, Any], dtype: type[np.floating[Any]], indices: list[int]
) -> None:
    words = [WordPair(letter, ("x",)) for letter in "abcdef"]
    (part,) = split_words(words, pair=PAIR)
    block = synthetic.probes(part, "off", layer_sizes=(4,))
    with scratch() as name:
        store = Store.create(Path(name, "store"), synthetic.provenance(layer_sizes=(4,)))
        store.add_probes(part, block, "off")
        values = block.activations[0].astype(dtype)
        options = {"chunks": (4, 6), "compressors": None, "fill_value": np.nan, **layout}
        directory = lay_out(store, "layer_0", values, **options)
        assert not is_mapped(store_array(store, directory))
        rows = store.snapshot().probes(PAIR).rows(0, indices)
        assert rows.tobytes() == values.astype(np.float32)[indices].tobytes()


def store_array(store: Store, directory: Path) -> np.ndarray[Any, Any]:
    folder = LocalFolder(store.path)
    files = {
        file.relative_to(directory).as_posix(): folder.measure(str(file.relative_to(store.path)))
        for file in directory.rglob("*")
        if file.is_file()
    }
    return folder.array(directory.relative_to(store.path).as_posix(), (4, 6), files)
