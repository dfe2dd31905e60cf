"""Opening models: what identifies them, and one clear message for everything that is none."""

from __future__ import annotations

import json
import subprocess
import sys
from shutil import copytree
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from bridgex.capture import CaptureModel, load_model
from bridgex.capture.digests import file_digest
from bridgex.capture.sites import locate_sites
from bridgex.errors import (
    BridgexError,
    InvalidInputError,
    ModelSupportError,
    NotFoundError,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    MakeDirectory = Callable[..., Path]
    OpenModel = Callable[..., CaptureModel]


@pytest.fixture
def directory(model_directory: MakeDirectory, tmp_path: Path) -> Path:
    """Return a copy of a small model that a test may damage."""
    return copytree(model_directory("llama"), tmp_path / "model")


def edit_json(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_provenance_says_what_was_chosen(open_model: OpenModel) -> None:
    provenance = open_model(batch_tokens=64, site="post").provenance
    assert provenance.architecture == "llama"
    assert provenance.layer_sizes == (24, 24, 24)
    assert provenance.site == "post"
    assert provenance.policies == {
        "special": "exclude",
        "positions": "prompt",
        "packing": "buckets",
        "batch_tokens": 64,
        "max_tokens": 64,
        "dtype": "float32",
        "device": "cpu",
        "attention": "sdpa",
    }
    assert set(provenance.versions) == {"torch", "transformers"}


def test_soft_capped_attention_is_not_left_to_a_kernel_that_cannot(open_model: OpenModel) -> None:
    assert open_model("gemma2").provenance.policies["attention"] == "eager"


def test_the_place_of_a_model_is_not_its_identity(directory: Path, open_model: OpenModel) -> None:
    weights = directory / "model.safetensors"
    before = load_model(directory, device="cpu").provenance
    weights.rename(directory / "other.safetensors")
    copy = open_model().provenance
    assert before.fingerprint == copy.fingerprint


@pytest.mark.parametrize("change", ["weights", "config", "tokenizer"])
def test_another_model_has_another_identity(directory: Path, change: str) -> None:
    before = load_model(directory, device="cpu").provenance
    if change == "weights":
        tensors = load_file(directory / "model.safetensors")
        tensors["lm_head.weight"][0, 0] += 1
        save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
    elif change == "config":
        edit_json(directory / "config.json", rms_norm_eps=0.5)
    else:
        data = json.loads((directory / "tokenizer.json").read_text())
        vocabulary = data["model"]["vocab"]
        vocabulary["a"], vocabulary["b"] = vocabulary["b"], vocabulary["a"]
        (directory / "tokenizer.json").write_text(json.dumps(data))
    after = load_model(directory, device="cpu").provenance
    differing = {
        name
        for name in ("weights", "config", "tokenizer")
        if getattr(before, name) != getattr(after, name)
    }
    assert differing == {change}


def test_a_file_digest_sees_the_size_the_start_the_end_and_blocks_between(tmp_path: Path) -> None:
    size = 6 << 20
    path = tmp_path / "file"

    def digest(*changed: int, length: int = size) -> str:
        content = bytearray(length)
        for position in changed:
            content[position] = 1
        path.write_bytes(content)
        return file_digest(path)

    block = (size - (64 << 10)) * 32 // 63
    digests = [digest(), digest(0), digest(size - 1), digest(block), digest(length=size + 1)]
    assert len(set(digests)) == len(digests)


def test_an_unknown_architecture_is_refused_with_those_that_are_known(directory: Path) -> None:
    edit_json(directory / "config.json", model_type="mamba")
    with pytest.raises(ModelSupportError, match=r"'mamba'.*\n.*llama"):
        load_model(directory)


def test_layers_elsewhere_are_refused_with_what_was_found() -> None:
    layer = torch.nn.ModuleDict({"ffn": torch.nn.Linear(2, 2)})
    decoder = torch.nn.ModuleDict({"blocks": torch.nn.ModuleList([layer])})
    with pytest.raises(ModelSupportError, match=r"0 were found.*blocks \(1\)"):
        locate_sites(decoder, 1, "llama", "act")


def test_layers_that_share_an_activation_are_refused(open_model: OpenModel) -> None:
    decoder: Any = open_model().decoder
    decoder.layers[1].mlp.act_fn = decoder.layers[0].mlp.act_fn
    with pytest.raises(ModelSupportError, match="share one"):
        locate_sites(decoder, 3, "llama", "act")


def test_missing_parameters_are_refused_not_made_up(directory: Path) -> None:
    tensors = load_file(directory / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelSupportError, match=r"lacks 1 .*layers\.1\.mlp\.up_proj"):
        load_model(directory)


def test_damaged_weights_are_refused(directory: Path) -> None:
    (directory / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(InvalidInputError, match="could not be loaded"):
        load_model(directory)


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("config.json", InvalidInputError, "config.json"),
        ("model.safetensors", NotFoundError, "safetensors"),
        ("tokenizer.json", InvalidInputError, "tokenizer"),
    ],
)
def test_an_incomplete_directory_is_refused(
    directory: Path, name: str, kind: type[BridgexError], message: str
) -> None:
    (directory / name).unlink()
    with pytest.raises(kind, match=message):
        load_model(directory)


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("./nowhere", NotFoundError, "there is nothing"),
        ("/no/such/model.gguf", NotFoundError, "there is no file"),
        ("three/part/name", NotFoundError, "cannot be on the Hub"),
    ],
)
def test_a_name_that_is_no_model_is_refused(
    name: str, kind: type[BridgexError], message: str
) -> None:
    with pytest.raises(kind, match=message) as caught:
        load_model(name)
    assert caught.value.hint


def test_a_hub_id_without_network_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(NotFoundError, match="not in the Hub's cache, and HF_HUB_OFFLINE"):
        load_model("nobody-xyz/no-such-model")


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("not a model")
    with pytest.raises(InvalidInputError, match="another file"):
        load_model(file)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("site", "mlp"),
        ("special", "keep"),
        ("positions", "first"),
        ("packing", "padding"),
        ("dtype", "int8"),
        ("batch_tokens", 0),
        ("max_tokens", -1),
        ("max_tokens", 97),
        ("device", "toaster"),
    ],
)
def test_options_out_of_range_are_refused(
    model_directory: MakeDirectory, option: str, value: object
) -> None:
    options: dict[str, Any] = {"device": "cpu", option: value}
    with pytest.raises(InvalidInputError, match=f"{option}.* expected"):
        load_model(model_directory(), **options)


def test_lower_precision_is_read_into_float32_sums(open_model: OpenModel) -> None:
    from bridgex.capture import collect_statistics

    full = collect_statistics(open_model(), ["Hund"])
    half = collect_statistics(open_model(dtype="bfloat16"), ["Hund"])
    assert abs(half.sum - full.sum).max() < 0.05 * abs(full.sum).max()
    assert open_model(dtype="bfloat16").provenance.policies["dtype"] == "bfloat16"


BLOCKED = """
import sys
sys.modules["{module}"] = None
from bridgex.errors import MissingDependencyError
import bridgex.capture
assert "torch" not in sys.modules or sys.modules["torch"] is None
try:
    bridgex.capture.{name}
except MissingDependencyError as error:
    print(error)
"""


@pytest.mark.parametrize("module", ["torch", "transformers"])
def test_without_the_libraries_the_remedy_is_named(module: str) -> None:
    code = BLOCKED.format(module=module, name="load_model")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'bridgex[models]'" in done.stdout
    assert module in done.stdout


def test_an_unknown_name_is_an_ordinary_error() -> None:
    import bridgex.capture

    with pytest.raises(AttributeError, match="nothing"):
        _ = bridgex.capture.nothing
