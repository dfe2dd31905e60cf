"""Where a file holds a tensor decides no bit."""

from __future__ import annotations

import json
import shutil
import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from bridgex.capture import collect_statistics, load_model
from bridgex.capture.alignment import align

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bridgex.capture.policies import Mode
    from bridgex.schema import NeuronStatistics

# A pass over one token multiplies matrices and vectors.
RECORDS = ("a", "b", "c")


def moved(source: Path, target: Path, start: int) -> Path:
    """Copy a model, its numbers beginning ``start`` bytes after a multiple of 64."""
    shutil.copytree(source, target)
    path = target / "model.safetensors"
    raw = path.read_bytes()
    (size,) = struct.unpack("<Q", raw[:8])
    header = raw[8 : 8 + size].rstrip(b" ")
    padding = (start - 8 - len(header)) % 64
    wide = header + b" " * padding
    path.write_bytes(struct.pack("<Q", len(wide)) + wide + raw[8 + size :])
    assert (8 + len(wide)) % 64 == start
    return target


def without_first_token(source: Path, target: Path) -> Path:
    """Copy a model whose texts are to begin without a mark."""
    shutil.copytree(source, target)
    path = target / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"post_processor": None}))
    return target


def bits(found: NeuronStatistics) -> list[bytes]:
    return [values.tobytes() for values in found.known().values()]


@pytest.mark.parametrize("mode", ["resident", "sweep"])
def test_every_place_gives_the_same_bits(
    mode: Mode, model_directory: Callable[..., Path], tmp_path: Path
) -> None:
    source = without_first_token(model_directory("llama"), tmp_path / "source")
    whole = load_model(source, device="cpu", mode="resident", batch_tokens=1)
    expected = bits(collect_statistics(whole, RECORDS))
    for start in (0, 8, 24, 56):
        there = moved(source, tmp_path / str(start), start)
        model = load_model(there, device="cpu", mode=mode, batch_tokens=1)
        assert bits(collect_statistics(model, RECORDS)) == expected


def test_only_what_begins_elsewhere_is_moved() -> None:
    numbers = torch.arange(64, dtype=torch.float32)
    shifted = numbers[1:].view(-1)
    values = shifted.clone()
    there, other = torch.nn.Parameter(numbers), torch.nn.Parameter(shifted)
    place = there.data_ptr()
    align([there, other])
    assert there.data_ptr() == place
    assert other.data_ptr() % 64 == 0
    np.testing.assert_array_equal(other.detach().numpy(), values.numpy())
