"""The doctor's look at a model: what it passes, what it refuses, and that it can find fault."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from tests.small_models import WITHIN
from transformers import AutoConfig

from bridgex.capture import batching, doctor, load_model
from bridgex.capture.doctor import examine_model, read_config
from bridgex.capture.experts import Routing, reading_experts
from bridgex.capture.families import FAMILIES, WRAPPERS
from bridgex.capture.recorder import reading
from bridgex.capture.shrink import random_model, shrink
from bridgex.capture.sites import locate_sites
from bridgex.capture.towers import find_decoder, keep_language, model_class
from bridgex.errors import InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from bridgex.capture import CaptureModel

# As many parameters as a small copy may have at most.
MOST = 50_000_000
CHECKS = [
    "architecture",
    "neurons",
    "small random copy",
    "statistics of act",
    "probes of act",
    "statistics of post",
    "probes of post",
    "batches of another size",
    "outputs with and without hooks",
    "resident and layer by layer",
]


@pytest.fixture
def config_of(tmp_path: Path) -> Callable[..., Path]:
    """Write the configuration of a family's usual size, without weights."""

    def write(architecture: str, **changes: object) -> Path:
        config = AutoConfig.for_model(architecture, **changes)
        config.save_pretrained(tmp_path / architecture)
        return tmp_path / architecture

    return write


def states(directory: Path) -> dict[str, str]:
    return {finding.check: finding.state for finding in examine_model(directory)}


@pytest.mark.parametrize(
    "architecture",
    [
        "llama", "gpt2", "gemma3_text", "bloom", "phi3",
        "mixtral", "qwen2_moe", "qwen3_moe", "olmoe", "deepseek_v3", "gpt_oss",
    ],
)  # fmt: skip
def test_a_family_passes(architecture: str, config_of: Callable[..., Path]) -> None:
    assert states(config_of(architecture)) == dict.fromkeys(CHECKS, "ok")


def test_a_family_that_cannot_be_read_layer_by_layer_is_tried_in_memory(
    config_of: Callable[..., Path],
) -> None:
    expected = dict.fromkeys(CHECKS, "ok") | {"resident and layer by layer": "note"}
    assert states(config_of("gemma4_text")) == expected


@pytest.mark.parametrize("architecture", ["jamba", "falcon_h1"])
def test_families_with_recurrent_layers_pass(
    architecture: str, config_of: Callable[..., Path]
) -> None:
    small = {"use_mamba_kernels": False} if architecture == "jamba" else {}
    assert states(config_of(architecture, **small)) == dict.fromkeys(CHECKS, "ok")


@pytest.mark.parametrize(
    ("name", "tower"), [("gemma3", "gemma3_text"), ("qwen2_vl", "qwen2_vl_text")]
)
def test_the_language_tower_of_a_model_for_pictures_is_tried(
    name: str, tower: str, config_of: Callable[..., Path]
) -> None:
    findings = examine_model(config_of(name))
    (row,) = [one for one in findings if one.check == "architecture"]
    assert row.detail.startswith(tower)
    assert {one.check: one.state for one in findings} == dict.fromkeys(CHECKS, "ok")


def test_an_unknown_family_is_refused_with_those_that_are_known(
    config_of: Callable[..., Path],
) -> None:
    (finding,) = examine_model(config_of("mamba"))
    assert finding.state == "wrong"
    assert "'mamba'" in finding.detail
    assert "llama" in finding.detail


def test_a_configuration_that_does_not_fit_is_refused(config_of: Callable[..., Path]) -> None:
    directory = config_of("nemotron")
    path = directory / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"num_key_value_heads": 0}))
    findings = examine_model(directory)
    assert [one.state for one in findings] == ["ok", "wrong"]
    assert "could not be built from the configuration" in findings[-1].detail


def test_marks_that_count_are_found(
    config_of: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def everything(_model: CaptureModel, ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        return np.ones(len(ids), dtype=np.bool_)

    monkeypatch.setattr(batching, "_counted", everything)
    wrong = [check for check, state in states(config_of("llama")).items() if state == "wrong"]
    assert wrong == ["statistics of act", "probes of act", "statistics of post", "probes of post"]


def test_a_module_that_is_not_called_is_found(
    config_of: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def bypassed(*args: Any, **options: Any) -> CaptureModel:
        model = load_model(*args, **options)
        decoder: Any = model.decoder
        decoder.layers[1].mlp.act_fn = torch.nn.SiLU()
        return model

    monkeypatch.setattr(doctor, "load_model", bypassed)
    found = examine_model(config_of("llama"))
    (act,) = [one for one in found if one.check == "statistics of act"]
    assert act.state == "wrong"
    assert "layer 1 was read 0 times" in act.detail


def test_outputs_that_a_hook_changes_are_found(
    config_of: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def meddling(sites: Any, _consume: Any) -> Any:
        def change(_site: int, values: torch.Tensor, _routing: object) -> None:
            values.mul_(1.5)

        return reading(sites, change)

    monkeypatch.setattr(doctor, "reading", meddling)
    found = examine_model(config_of("llama"))
    assert [one.check for one in found if one.state == "wrong"] == [
        "outputs with and without hooks"
    ]


def test_a_non_linearity_without_a_definition_is_mentioned(
    config_of: Callable[..., Path],
) -> None:
    found = examine_model(config_of("llama", hidden_act="mish"))
    assert [one.detail for one in found if one.state == "note"] == [
        "MishActivation is taken as the library computes it"
    ]
    assert not [one for one in found if one.state == "wrong"]


def test_a_configuration_alone_suffices(config_of: Callable[..., Path]) -> None:
    path = config_of("llama") / "config.json"
    assert read_config(path).model_type == "llama"


@pytest.mark.parametrize("name", ["./nowhere", "/no/such/config.json"])
def test_a_place_without_a_configuration_is_refused(name: str) -> None:
    with pytest.raises(NotFoundError, match=r"a config.json was expected"):
        examine_model(name)


def test_a_file_that_is_no_configuration_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("no json")
    with pytest.raises(InvalidInputError, match="configuration was expected"):
        examine_model(tmp_path)


# What transformers presumes of some cannot be built.
PRESUMED = {*FAMILIES, *WRAPPERS} - {"aya_vision", "dots1", *WITHIN}


@pytest.mark.parametrize("architecture", sorted(PRESUMED))
def test_every_family_is_shrunk_to_a_size_that_costs_nothing(architecture: str) -> None:
    small = shrink(AutoConfig.for_model(architecture))
    with torch.device("meta"):
        model = model_class(small).from_config(small)
    keep_language(model)
    assert sum(parameter.numel() for parameter in model.parameters()) < MOST
    decoder: Any = find_decoder(model)
    text = decoder.config
    assert len(locate_sites(decoder, text.num_hidden_layers, text.model_type, "act")) >= 2


def test_shrinking_keeps_every_kind_of_layer_and_how_heads_share_keys() -> None:
    large = AutoConfig.for_model("gemma3_text", num_attention_heads=8, num_key_value_heads=2)
    small: Any = shrink(large)
    assert set(small.layer_types) == set(large.layer_types)
    assert len(small.layer_types) == small.num_hidden_layers == 6
    assert (small.num_attention_heads, small.num_key_value_heads) == (4, 2)
    assert large.num_hidden_layers == 26


def test_random_weights_are_the_same_every_time() -> None:
    small = shrink(AutoConfig.for_model("llama"))
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    one = random_model(small)
    assert torch.equal(torch.random.get_rng_state(), before)
    other = random_model(small)
    for left, right in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(left, right)


def test_a_token_that_an_expert_loses_is_found(
    config_of: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Routing.counted

    def without_the_last(routing: Routing, tokens: torch.Tensor) -> tuple[torch.Tensor, Routing]:
        fewer = tokens.clone()
        fewer[tokens.nonzero()[-1]] = False
        return counted(routing, fewer)

    monkeypatch.setattr(Routing, "counted", without_the_last)
    wrong = [check for check, state in states(config_of("mixtral")).items() if state == "wrong"]
    assert wrong == [
        "statistics of act",
        "probes of act",
        "statistics of post",
        "probes of post",
        "batches of another size",
    ]


def test_a_reader_of_experts_that_is_left_is_found(
    config_of: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    left = []

    @contextmanager
    def leaving(sites: Any, consume: Any) -> Any:
        with reading(sites, consume) as meter:
            yield meter
        left.append(reading_experts(sites[0].module, lambda *_: None))
        left[0].__enter__()

    monkeypatch.setattr(doctor, "reading", leaving)
    (outputs,) = [
        one for one in examine_model(config_of("mixtral")) if one.check.startswith("outputs")
    ]
    assert (outputs.state, outputs.detail) == ("wrong", "equal bits, 1 hooks left afterwards")


def test_experts_are_said(config_of: Callable[..., Path]) -> None:
    found = {one.check: one.detail for one in examine_model(config_of("deepseek_v3"))}
    assert found["architecture"].startswith("deepseek_v3: act and post of experts within mlp.exp")
    assert found["neurons"].endswith("; 256 experts of 2,048")


def test_quantised_weights_are_told_and_left_out_of_the_copy(
    config_of: Callable[..., Path],
) -> None:
    found = examine_model(config_of("gpt_oss", quantization_config={"quant_method": "mxfp4"}))
    [told] = [one for one in found if one.check == "quantised weights"]
    assert told.state == "note"
    assert told.detail.startswith("mxfp4: ")
    assert {one.state for one in found if one is not told} == {"ok"}
