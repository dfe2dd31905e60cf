"""Files that torch saved: tensors come out, and nothing in a file runs."""

from __future__ import annotations

import os
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from bridgex.capture import load_tensors
from bridgex.errors import InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from pathlib import Path


class Trap:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("zipped", [True, False])
def test_tensors_and_numbers_come_out(tmp_path: Path, *, zipped: bool) -> None:
    path = tmp_path / "file"
    counts = torch.arange(12, dtype=torch.int32).reshape(3, 4)
    content = {"n": 7, "over_zero": counts, "sum1": torch.ones(3, 4), "note": "x", "list": [1]}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    found = load_tensors(path)
    assert isinstance(found, dict)
    assert set(found) == {"n", "over_zero", "sum1"}
    assert (found["n"].item(), found["n"].dtype.kind) == (7, "i")
    assert found["over_zero"].dtype == np.int32
    assert found["over_zero"].tolist() == counts.tolist()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_half_precision_becomes_single_precision_exactly(
    tmp_path: Path, dtype: torch.dtype
) -> None:
    values = torch.randn(2, 3, 4).to(dtype).requires_grad_()
    torch.save(values, tmp_path / "file")
    found = load_tensors(tmp_path / "file")
    assert isinstance(found, np.ndarray)
    assert found.dtype == np.float32
    assert found.tolist() == values.detach().float().tolist()


@pytest.mark.parametrize("zipped", [True, False])
def test_what_would_run_is_refused_and_does_not_run(tmp_path: Path, *, zipped: bool) -> None:
    made = tmp_path / "made by the file"
    path = tmp_path / "activation.zh.flores.llama"
    content = {"n": 3, "over_zero": torch.zeros(2, 2, dtype=torch.int32), "trap": Trap(made)}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(InvalidInputError, match=r"it holds posix\.mkdir") as caught:
        load_tensors(path)
    assert str(path) in caught.value.message
    assert "weights_only" not in str(caught.value)
    assert not made.exists()
    torch.load(path, weights_only=False)
    assert made.exists(), "the trap of this test works"


def test_a_plain_pickle_is_refused_and_does_not_run(tmp_path: Path) -> None:
    made = tmp_path / "made"
    (tmp_path / "file").write_bytes(pickle.dumps(Trap(made)))
    with pytest.raises(InvalidInputError, match="expected"):
        load_tensors(tmp_path / "file")
    assert not made.exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"text\n", b"\x80\x02"])
def test_what_torch_did_not_save_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(InvalidInputError, match=r"that torch\.save wrote"):
        load_tensors(path)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_that_was_cut_short_is_refused(tmp_path: Path, *, zipped: bool) -> None:
    path = tmp_path / "file"
    torch.save({"n": 3}, path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    for size in range(1, len(whole) - 1, 37):
        path.write_bytes(whole[:size])
        with pytest.raises(InvalidInputError, match="expected"):
            load_tensors(path)


@pytest.mark.parametrize("content", [[1, 2], "text", 3, {"a": torch.eye(3).to_sparse()}])
def test_other_content_is_refused(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "file")
    with pytest.raises(InvalidInputError, match="expected"):
        load_tensors(tmp_path / "file")


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(NotFoundError, match="there is no file"):
            load_tensors(path)
