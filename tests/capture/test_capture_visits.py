"""Batches in a sweep for which memory runs out, or that give what is no number."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from tests.notes import Notes

from bridgex.capture import collect_probes, collect_statistics
from bridgex.capture.batching import batches, record_rows
from bridgex.capture.choices import choose
from bridgex.capture.costs import LOADINGS, Budget
from bridgex.capture.families import FAMILIES, RESIDENT
from bridgex.capture.models import load_model
from bridgex.capture.recording import call_of_rows, tensors_of
from bridgex.capture.visits import record_without_parameters
from bridgex.errors import InvalidInputError, ModelSupportError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bridgex.capture import CaptureModel

    OpenModel = Callable[..., CaptureModel]

RECORDS = [letters * 3 for letters in ("ab", "cd", "ef", "gh", "ij", "kl", "xy", "zz")]
# More than any machine has.
EXABYTE = 1 << 60


def limit_rows(model: CaptureModel, rows: int) -> list[int]:
    """Let memory suffice in the second layer for some rows only; tell how many came each time."""
    seen: list[int] = []

    def allocate(_module: object, inputs: tuple[torch.Tensor]) -> None:
        seen.append(inputs[0].shape[0])
        if seen[-1] > rows:
            torch.empty(EXABYTE, dtype=torch.uint8)

    decoder: Any = model.decoder
    decoder.layers[1].mlp.up_proj.register_forward_pre_hook(allocate)
    return seen


@pytest.mark.parametrize("loading", LOADINGS)
def test_a_batch_that_does_not_fit_passes_a_layer_in_halves(
    open_model: OpenModel, monkeypatch: pytest.MonkeyPatch, loading: str
) -> None:
    monkeypatch.setattr(Budget, "loading", lambda *_: loading)
    notes = Notes()
    model = open_model(mode="sweep", progress=notes)
    seen = limit_rows(model, 2)
    found = collect_statistics(model, RECORDS)
    assert seen == [8, 4, 2, 2, 4, 2, 2]
    whole = collect_statistics(open_model(mode="resident"), RECORDS)
    assert found.token_count == whole.token_count
    for name in ("positive_count", "sum", "sum_squares", "maximum"):
        left, right = getattr(found, name), getattr(whole, name)
        np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-6)
    (note,) = notes.notes
    assert note.startswith("memory ran out in 1 of 3 forward passes")


def test_probes_and_choices_are_those_of_the_halves(open_model: OpenModel) -> None:
    model, whole = (open_model(mode=mode) for mode in ("sweep", "resident"))
    seen = limit_rows(model, 3)
    for left, right in zip(
        collect_probes(model, RECORDS), collect_probes(whole, RECORDS), strict=True
    ):
        np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-5)
    rows = [np.array(whole.tokenizer(text).input_ids) for text in RECORDS]
    starts = [1] * len(rows)
    for word, other in zip(choose(model, rows, starts), choose(whole, rows, starts), strict=True):
        np.testing.assert_array_equal(word, other)
    assert seen.count(8) == 2


def test_a_single_row_that_does_not_fit_is_refused(open_model: OpenModel) -> None:
    model = open_model(mode="sweep")
    limit_rows(model, 0)
    with pytest.raises(InvalidInputError, match="a row of 7 tokens was expected to fit"):
        collect_statistics(model, RECORDS)
    assert {parameter.device.type for parameter in model.model.parameters()} == {"meta"}


def test_a_layer_that_wrote_to_what_it_was_given_does_not_run_again(
    open_model: OpenModel,
) -> None:
    model = open_model(mode="sweep")
    limit_rows(model, 2)
    decoder: Any = model.decoder

    def spoil(_module: object, inputs: tuple[torch.Tensor]) -> None:
        inputs[0].mul_(2)

    decoder.layers[1].input_layernorm.register_forward_pre_hook(spoil)
    with pytest.raises(ModelSupportError, match="leave what it is given as it is"):
        collect_statistics(model, RECORDS)


@pytest.mark.parametrize("architecture", sorted(FAMILIES.keys() - RESIDENT))
def test_what_layers_are_given_with_some_rows(architecture: str, open_model: OpenModel) -> None:
    model = open_model(architecture, mode="sweep")
    assert model.skeleton is not None
    # As many rows as tokens: which axis is that of the rows does not show in one shape.
    (batch,) = batches(record_rows(model, RECORDS[:7]), batch_tokens=100)
    assert batch.ids.shape == (7, 7)
    part = slice(2, 5)
    whole = record_without_parameters(model.skeleton, batch)
    alone = record_without_parameters(model.skeleton, batch.part(part))
    for call, expected in zip(whole.calls, alone.calls, strict=True):
        found = call_of_rows(call, part, alike=expected)
        pairs = zip(tensors_of(list(found)), tensors_of(list(expected)), strict=True)
        assert all(torch.equal(left, right) for left, right in pairs)
        assert found.keyword == expected.keyword


def test_rows_of_arguments_are_theirs(open_model: OpenModel) -> None:
    model = open_model(mode="sweep")
    assert model.skeleton is not None
    (batch,) = batches(record_rows(model, RECORDS), batch_tokens=100)
    call = record_without_parameters(model.skeleton, batch).calls[0]
    alike = record_without_parameters(model.skeleton, batch.part(slice(0, 2))).calls[0]
    own = {"mine": torch.arange(8), "all": torch.arange(7), "no": None}
    other = {"mine": torch.arange(2), "all": torch.arange(7), "no": None}
    found = call_of_rows(call._replace(kwargs=own), slice(3, 5), alike=alike._replace(kwargs=other))
    assert found.kwargs["mine"].tolist() == [3, 4]
    assert found.kwargs["all"].tolist() == list(range(7))
    assert found.kwargs["no"] is None


@pytest.mark.parametrize("loading", LOADINGS)
@pytest.mark.parametrize("collect", [collect_statistics, collect_probes])
def test_an_activation_that_is_no_number_is_named_with_its_text(
    model_directory: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    collect: Any,
    loading: str,
) -> None:
    from safetensors.torch import load_file, save_file

    shutil.copytree(model_directory("llama"), tmp_path, dirs_exist_ok=True)
    tensors = load_file(tmp_path / "model.safetensors")
    monkeypatch.setattr(Budget, "loading", lambda *_: loading)
    swept, whole = (
        load_model(tmp_path, device="cpu", mode=mode, site="post") for mode in ("sweep", "resident")
    )
    word = swept.tokenizer("水", add_special_tokens=False).input_ids[-1]
    tensors["model.embed_tokens.weight"][word] = torch.nan
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    whole.model.get_input_embeddings().weight.data[word] = torch.nan  # type: ignore[operator]  # it is an embedding
    told = []
    for model in (swept, whole):
        with pytest.raises(InvalidInputError) as refused:
            collect(model, ["abcde", "abcdf", "ab水", "Hund"])
        told.append(refused.value.message)
    assert told[0] == told[1]
    assert "layer 0, neuron 0 gave NaN" in told[0]
    assert told[0].endswith("on 'ab水'")
    assert {parameter.device.type for parameter in swept.model.parameters()} == {"meta"}
