"""What else keeps the activations of every layer on a disk, used as well as it can be.

A rival is given single precision, as capture is, and writes single or half precision below a
directory. It opens that as functions that give a layer, or some of its rows, as arrays of their own
in single precision, as the analysis takes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
import safetensors
import safetensors.numpy
import torch
import zarr

from bridgex.corpora import split_words
from bridgex.schema import FULL_PROBES, Pair, ProbeBlock, ProbeForm, WordPair
from bridgex.store import Store
from bridgex.testing import synthetic

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    Rows = NDArray[Any]
    Layers = list[Rows]
    Read = Callable[..., Rows]

PAIR = Pair("id", "tl")
BLOCK_ROWS = 128
FORMS = {"float32": FULL_PROBES, "float16": ProbeForm("f16")}


class Rival(NamedTuple):
    """How to write layers, and how to open them: a layer by its index, rows of a layer."""

    write: Callable[[Path, Layers, str], object]
    open: Callable[[Path], tuple[Read, Read]]


def write_store(path: Path, layers: Layers, dtype: str) -> None:
    """Commit all layers as one part of a pair's probes: with checks, checksums and flushes."""
    sizes = tuple(len(layer) for layer in layers)
    samples = layers[0].shape[1]
    words = [WordPair(f"kata {number}", ("salita",)) for number in range(samples)]
    (part,) = split_words(words, pair=PAIR, block=samples)
    store = Store.create(
        path / "store", synthetic.provenance(layer_sizes=sizes), probe_block=samples
    )
    block = ProbeBlock(tuple(words), tuple(layers), considered=samples)
    assert store.add_probes(part, block, "off", FORMS[dtype])


def open_store(path: Path) -> tuple[Read, Read]:
    probes = Store.open(path / "store").snapshot().probes(PAIR)
    return probes.layer, probes.rows


def write_memmap(path: Path, layers: Layers, dtype: str) -> np.memmap[Any, Any]:
    shape = (len(layers), *layers[0].shape)
    mapped = np.lib.format.open_memmap(path / "layers.npy", "w+", dtype, shape)
    for target, layer in zip(mapped, layers, strict=True):
        target[...] = layer
    return mapped


def write_flushed_memmap(path: Path, layers: Layers, dtype: str) -> None:
    write_memmap(path, layers, dtype).flush()


def open_memmap(path: Path) -> tuple[Read, Read]:
    mapped = np.lib.format.open_memmap(path / "layers.npy", "r")
    return lambda layer: own(mapped[layer]), lambda layer, rows: single(mapped[layer][rows])


def write_hdf5(path: Path, layers: Layers, dtype: str) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(path / "layers.h5", "w") as file:
        for index, layer in enumerate(layers):
            file.create_dataset(str(index), data=layer.astype(dtype, copy=False))


def open_hdf5(path: Path) -> tuple[Read, Read]:
    file = pytest.importorskip("h5py").File(path / "layers.h5", "r")
    # HDF5 takes rows in order only.
    return (
        lambda layer: single(file[str(layer)][...]),
        lambda layer, rows: single(file[str(layer)][rows]),
    )


def write_zarr(path: Path, layers: Layers, dtype: str) -> None:
    """Write each layer as one shard of blocks of rows."""
    for index, layer in enumerate(layers):
        array = zarr.create_array(
            str(path / f"{index}.zarr"),
            shape=layer.shape,
            dtype=dtype,
            chunks=(BLOCK_ROWS, layer.shape[1]),
            shards=layer.shape,
            compressors=None,
        )
        array[...] = layer.astype(dtype, copy=False)


def open_zarr(path: Path) -> tuple[Read, Read]:
    count = len(list(path.glob("*.zarr")))
    arrays = [zarr.open_array(str(path / f"{index}.zarr"), mode="r") for index in range(count)]
    return (
        lambda layer: single(np.asarray(arrays[layer][...])),
        lambda layer, rows: single(np.asarray(arrays[layer].oindex[rows])),
    )


def write_safetensors(path: Path, layers: Layers, dtype: str) -> None:
    tensors = {str(index): layer.astype(dtype, copy=False) for index, layer in enumerate(layers)}
    safetensors.numpy.save_file(tensors, path / "layers.safetensors")


def open_safetensors(path: Path) -> tuple[Read, Read]:
    file: Any = safetensors.safe_open(path / "layers.safetensors", framework="np")

    def read_rows(layer: int, rows: Rows) -> Rows:
        view = file.get_slice(str(layer))
        return single(np.concatenate([view[row : row + 1] for row in rows.tolist()]))

    return lambda layer: single(file.get_tensor(str(layer))), read_rows


def write_torch(path: Path, layers: Layers, dtype: str) -> None:
    precision = getattr(torch, dtype)
    torch.save([torch.from_numpy(layer).to(precision) for layer in layers], path / "layers.pt")


def open_torch(path: Path) -> tuple[Read, Read]:
    layers = torch.load(path / "layers.pt", mmap=True, weights_only=True)
    return (
        lambda layer: layers[layer].to(torch.float32, copy=True).numpy(),
        lambda layer, rows: layers[layer][torch.from_numpy(rows)].float().numpy(),
    )


def single(values: Rows) -> Rows:
    return values.astype(np.float32, copy=False)


def own(values: Rows) -> Rows:
    return np.array(values, dtype=np.float32)


RIVALS = {
    "bridgex": Rival(write_store, open_store),
    "np.memmap": Rival(write_memmap, open_memmap),
    "hdf5": Rival(write_hdf5, open_hdf5),
    "zarr": Rival(write_zarr, open_zarr),
    "safetensors": Rival(write_safetensors, open_safetensors),
    "torch file": Rival(write_torch, open_torch),
}
