"""Which files of a directory are a model's weights."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from bridgex.capture.weights import weight_files
from bridgex.errors import BridgexError, InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from pathlib import Path

INDEX = json.dumps(
    {"weight_map": {"a": "2.safetensors", "b": "1.safetensors", "c": "1.safetensors"}}
)


def made(directory: Path, *names: str, index: str = INDEX) -> Path:
    for name in names:
        (directory / name).write_text(index if name.endswith(".json") else "")
    return directory


@pytest.mark.parametrize(
    ("present", "expected"),
    [
        (("model.safetensors", "adapter.safetensors"), ["model.safetensors"]),
        (
            ("model.safetensors", "model.safetensors.index.json", "1.safetensors"),
            ["model.safetensors"],
        ),
        (
            ("model.safetensors.index.json", "1.safetensors", "2.safetensors", "3.safetensors"),
            ["1.safetensors", "2.safetensors"],
        ),
        (("model.safetensors", "pytorch_model.bin"), ["model.safetensors"]),
        (("pytorch_model.bin", "training_args.bin", "x.safetensors"), ["pytorch_model.bin"]),
        (("b.safetensors", "a.safetensors", "c.bin"), ["a.safetensors", "b.safetensors"]),
        (("b.bin", "a.bin"), ["a.bin", "b.bin"]),
    ],
)
def test_weights_are_the_files_that_transformers_reads(
    tmp_path: Path, present: tuple[str, ...], expected: list[str]
) -> None:
    assert [path.name for path in weight_files(made(tmp_path, *present))] == expected


def test_shards_that_are_not_there_are_named(tmp_path: Path) -> None:
    made(tmp_path, "model.safetensors.index.json", "1.safetensors")
    with pytest.raises(NotFoundError, match=r"2 files .* 1 of them .* 2\.safetensors among them"):
        weight_files(tmp_path)


@pytest.mark.parametrize(
    "index", ["", "[]", "{}", '{"weight_map": []}', '{"weight_map": {"a": 1, "b": "c"}}']
)
def test_what_is_no_index_is_refused(tmp_path: Path, index: str) -> None:
    made(tmp_path, "model.safetensors.index.json", index=index)
    with pytest.raises(InvalidInputError, match="an index of a model's weights was expected"):
        weight_files(tmp_path)


def test_a_directory_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BridgexError, match="has none"):
        weight_files(tmp_path)
