"""Whatever was ingested when, by whom and how far: every record counts exactly once.

The same statistics must come out bit for bit. Their sums are of floating-point numbers that
depend on every letter, so another order of addition shows as well.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bridgex.corpora import split_parts, split_words
from bridgex.schema import GoldFilter, NeuronStatistics, Pair, WordPair
from bridgex.store import Probes, Store
from bridgex.store.arrays import read_array, read_by_zarr, write_group
from bridgex.store.encoding import Codec, chosen_encoding
from bridgex.testing import synthetic

PART_BYTES = 12
BLOCK = 3
PAIR = Pair("id", "tl")
RECORDS = st.lists(st.text("abc", min_size=1, max_size=6), min_size=1, max_size=14, unique=True)
# What one worker did: parts of the text as it was when it had some length, in any order.
STEPS = st.lists(st.tuples(st.integers(1, 14), st.integers(0, 5)), max_size=5)
WORKERS = st.lists(STEPS, max_size=3)


def new_store(directory: Path) -> Store:
    return Store.open_or_create(
        directory, synthetic.provenance(), part_bytes=PART_BYTES, probe_block=BLOCK
    )


def add_statistics(store: Store, text: list[str], chosen: int | None = None) -> None:
    parts = list(split_parts(text, language="sw", part_bytes=PART_BYTES))
    for part in parts if chosen is None else parts[chosen : chosen + 1]:
        store.add_statistics(part, synthetic.statistics(part.records))


def add_probes(store: Store, text: list[str], gold: GoldFilter, chosen: int | None = None) -> None:
    words = (WordPair(record, (record[::-1],)) for record in text)
    parts = list(split_words(words, pair=PAIR, block=BLOCK))
    for part in parts if chosen is None else parts[chosen : chosen + 1]:
        store.add_probes(part, synthetic.probes(part, gold), gold)


def bits(statistics: NeuronStatistics) -> list[object]:
    return [
        value.tobytes() if isinstance(value, np.ndarray) else value
        for value in vars(statistics).values()
    ]


def probe_bits(probes: Probes) -> list[object]:
    layers = [probes.layer(layer).tobytes() for layer in range(len(probes.layer_sizes))]
    return [probes.words, probes.considered, probes.sample_count, *layers]


def scratch() -> tempfile.TemporaryDirectory[str]:
    """A directory in memory where there is one: flushing to a disk is not what is tested here."""
    memory = Path("/dev/shm")  # noqa: S108  # the name of a file system, not of a file
    return tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None)


def gather(target: Path, sources: list[Path]) -> None:
    """Put what workers committed on their own into one store: what any race could have left."""
    for source in sources:
        shutil.copytree(source, target, dirs_exist_ok=True)


@given(RECORDS, WORKERS)
@settings(max_examples=12, deadline=None)
def test_statistics_of_a_growing_text(records: list[str], workers: list[Any]) -> None:
    with scratch() as name:
        root = Path(name)
        for index, steps in enumerate(workers):
            worker = new_store(root / f"worker{index}")
            for length, chosen in steps:
                add_statistics(worker, records[:length], chosen)
        grown = new_store(root / "grown")
        gather(grown.path, sorted(root.glob("worker*")))
        add_statistics(grown, records)
        once = new_store(root / "once")
        add_statistics(once, records)
        result = grown.snapshot().statistics("sw")
        assert result.record_count == len(records)
        assert bits(result) == bits(once.snapshot().statistics("sw"))
        assert grown.info().languages[0].missing_records == 0


@given(RECORDS, WORKERS, st.sampled_from(["keep", "off"]))
@settings(max_examples=8, deadline=None)
def test_probes_of_a_growing_word_list(
    records: list[str], workers: list[Any], gold: GoldFilter
) -> None:
    with scratch() as name:
        root = Path(name)
        for index, steps in enumerate(workers):
            worker = new_store(root / f"worker{index}")
            for length, chosen in steps:
                add_probes(worker, records[:length], gold, chosen)
        grown = new_store(root / "grown")
        gather(grown.path, sorted(root.glob("worker*")))
        add_probes(grown, records, gold)
        once = new_store(root / "once")
        add_probes(once, records, gold)
        result = grown.snapshot().probes(PAIR)
        assert result.considered == len(records)
        assert probe_bits(result) == probe_bits(once.snapshot().probes(PAIR))


@given(RECORDS, st.randoms(use_true_random=False))
@settings(max_examples=10, deadline=None)
def test_the_order_of_commits_does_not_matter(records: list[str], random: Any) -> None:
    with scratch() as name:
        parts = list(split_parts(records, language="sw", part_bytes=PART_BYTES))
        results = []
        for index in range(2):
            store = new_store(Path(name, f"store{index}"))
            for part in parts:
                assert store.add_statistics(part, synthetic.statistics(part.records))
            random.shuffle(parts)
            results.append(bits(store.snapshot().statistics("sw")))
        assert results[0] == results[1]


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
