"""A sweep gives what the model in memory gives, or says why it does not."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from bridgex.capture import collect_statistics
from bridgex.capture.choices import choose
from bridgex.capture.models import load_model
from bridgex.errors import ModelSupportError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import torch

    from bridgex.capture import CaptureModel
    from bridgex.capture.policies import Mode

    OpenModel = Callable[..., CaptureModel]

RECORDS = ('English:"dog"', "Hund und Katze", "the\nthird")
MODES: tuple[Mode, ...] = ("resident", "sweep")


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("architecture", ["codegen", "gptj", "gemma2", "deepseek_v3", "gpt_oss"])
def test_half_precision_has_the_bits_of_the_resident_model(
    architecture: str, dtype: str, open_model: OpenModel
) -> None:
    whole, swept = (open_model(architecture, mode=mode, dtype=dtype) for mode in MODES)
    assert swept.provenance == whole.provenance
    left, right = (collect_statistics(model, RECORDS) for model in (swept, whole))
    for name in ("positive_count", "sum", "sum_squares", "maximum", "seen"):
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name))


@pytest.mark.parametrize("mode", MODES)
def test_a_buffer_that_is_in_no_file_is_named(
    model_directory: Callable[..., Path], tmp_path: Path, mode: Mode
) -> None:
    shutil.copytree(model_directory("deepseek_v3"), tmp_path, dirs_exist_ok=True)
    tensors = load_file(tmp_path / "model.safetensors")
    del tensors["model.layers.2.mlp.gate.e_score_correction_bias"]
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelSupportError, match=r"layers\.2.*e_score_correction_bias"):
        collect_statistics(load_model(tmp_path, device="cpu", mode=mode), RECORDS)


@pytest.mark.parametrize("architecture", ["llama", "bloom", "mpt"])
def test_a_single_layer_is_taken_for_what_it_returns(
    architecture: str, open_model: OpenModel
) -> None:
    whole, swept = (
        open_model(architecture, changes={"num_hidden_layers": 1}, mode=mode) for mode in MODES
    )
    # As many rows as tokens: one of them may pass for all.
    rows = [np.array([1, 20, 30 + row]) for row in range(3)]
    starts = [1] * len(rows)
    for word, other in zip(choose(swept, rows, starts), choose(whole, rows, starts), strict=True):
        np.testing.assert_array_equal(word, other)


def test_states_of_another_precision_are_refused(open_model: OpenModel) -> None:
    model = open_model(mode="sweep")
    decoder: Any = model.decoder

    def widen(_module: object, _inputs: object, output: torch.Tensor) -> torch.Tensor:
        return output.double()

    with (
        decoder.layers[1].mlp.down_proj.register_forward_hook(widen),
        pytest.raises(ModelSupportError, match=r"float32, it returned .* of torch.float64"),
    ):
        collect_statistics(model, RECORDS)
