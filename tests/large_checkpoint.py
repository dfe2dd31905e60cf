"""A checkpoint of any size with random or absent numbers, and the memory of a process beside it."""

from __future__ import annotations

import json
import struct
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from accelerate import init_empty_weights  # type: ignore[import-untyped]  # no annotations
from tests.small_models import make_tokenizer
from transformers import AutoConfig, AutoModelForCausalLM

if TYPE_CHECKING:
    from collections.abc import Callable

_DTYPES = {"BF16": 2, "F32": 4}


def write_checkpoint(
    directory: Path,
    *,
    architecture: str = "llama",
    dtype: str = "BF16",
    sparse: bool = False,
    shard_bytes: int,
    **values: Any,
) -> int:
    """Write a model of some shape in shards, tensor by tensor; return the bytes of its tensors.

    ``sparse`` leaves holes where numbers would be: they read as zeros and take no disk.
    """
    directory.mkdir(parents=True, exist_ok=True)
    config = AutoConfig.for_model(architecture, **values)
    config.save_pretrained(directory)
    make_tokenizer().save_pretrained(directory)
    with init_empty_weights():
        untyped: Any = AutoModelForCausalLM
        shapes = {
            name: shape
            for merged, value in untyped.from_config(config).state_dict().items()
            for name, shape in _as_published(merged, tuple(value.shape))
        }
    if config.tie_word_embeddings:
        shapes.pop("lm_head.weight")
    shards: list[dict[str, tuple[int, ...]]] = [{}]
    held = 0
    for name, shape in shapes.items():
        size = int(np.prod(shape)) * _DTYPES[dtype]
        if held and held + size > shard_bytes:
            shards.append({})
            held = 0
        shards[-1][name] = shape
        held += size
    generator = np.random.default_rng(5)
    total = 0
    for number, shard in enumerate(shards):
        path = directory / f"model-{number + 1:05}-of-{len(shards):05}.safetensors"
        total += _write_shard(path, shard, dtype, None if sparse else generator)
    return total


def _as_published(name: str, shape: tuple[int, ...]) -> list[tuple[str, tuple[int, ...]]]:
    """Return the matrices of single experts, as files of most families hold them."""
    path, _, leaf = name.rpartition(".")
    if not path.endswith(".experts"):
        return [(name, shape)]
    leaves = ("gate_proj", "up_proj") if leaf == "gate_up_proj" else (leaf,)
    one = (shape[1] // len(leaves), shape[2])
    return [
        (f"{path}.{expert}.{leaf}.weight", one) for leaf in leaves for expert in range(shape[0])
    ]


def _write_shard(
    path: Path,
    shapes: dict[str, tuple[int, ...]],
    dtype: str,
    generator: np.random.Generator | None,
) -> int:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in shapes.items():
        start, end = end, end + int(np.prod(shape)) * _DTYPES[dtype]
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        start = file.tell()
        if generator is not None:
            for shape in shapes.values():
                # The same few numbers again and again: quick to make, and of both signs.
                few = torch.from_numpy(generator.normal(0, 0.02, 4096)).to(
                    {"BF16": torch.bfloat16, "F32": torch.float32}[dtype]
                )
                piece = few.view(torch.uint8).numpy().tobytes()
                size = int(np.prod(shape)) * _DTYPES[dtype]
                file.write((piece * (size // len(piece) + 1))[:size])
        file.truncate(start + end)
    return end


def anonymous_bytes() -> int:
    """Return the memory of this process that is in no file."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("this needs Linux")


def peak_of(work: Callable[[], object]) -> int:
    """Return the largest ``anonymous_bytes`` while some work runs."""
    seen = [anonymous_bytes()]
    done = threading.Event()

    def sample() -> None:
        while not done.is_set():
            seen.append(anonymous_bytes())
            time.sleep(0.002)

    watcher = threading.Thread(target=sample)
    watcher.start()
    try:
        work()
    finally:
        done.set()
        watcher.join()
    return max(seen)
