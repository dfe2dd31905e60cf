"""Language towers of models for pictures too: the numbers of the same language model alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.small_models import WRAPPED, make_model, make_tokenizer
from transformers import AutoModelForMultimodalLM

from bridgex.capture import collect_probes, collect_statistics, generate, load_model
from bridgex.capture.choices import choose
from bridgex.capture.families import WRAPPERS
from bridgex.capture.generation import continuation_text
from bridgex.capture.towers import find_decoder
from bridgex.errors import ModelSupportError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bridgex.capture import CaptureModel

    MakeDirectory = Callable[..., Path]
    OpenModel = Callable[..., CaptureModel]

TEXTS = ("Hund und Katze", 'English:"dog"', "水")
# Those that are no model of their own compute what these do: their rotary tables differ for
# pictures only.
ALONE = {
    "qwen2_5_vl_text": "qwen2",
    "qwen2_vl_text": "qwen2",
    "qwen3_vl_moe_text": "qwen3_moe",
    "qwen3_vl_text": "qwen3",
}


def write_alone(model: CaptureModel, directory: Path) -> None:
    """Write the same language model as one for text only."""
    text = model.provenance.architecture
    changes = {"norm_topk_prob": True} if text == "qwen3_vl_moe_text" else {}
    own: Any = make_model(ALONE.get(text, text), len(make_tokenizer()), **changes)
    network: Any = model.model
    find_decoder(own).load_state_dict(model.decoder.state_dict())
    own.lm_head.load_state_dict(network.get_output_embeddings().state_dict())
    own.save_pretrained(directory)
    make_tokenizer().save_pretrained(directory)


def test_every_known_wrapper_is_tested() -> None:
    assert set(WRAPPED) - {"paligemma"} == set(WRAPPERS)


def same(left: Any, right: Any) -> bool:
    return all(one.tobytes() == other.tobytes() for one, other in zip(left, right, strict=True))


@pytest.mark.parametrize("name", sorted(WRAPPERS))
def test_a_tower_gives_the_bits_of_the_model_alone(
    name: str, open_model: OpenModel, model_directory: MakeDirectory, tmp_path: Path
) -> None:
    tower = open_model(name, mode="resident")
    write_alone(tower, tmp_path)
    alone = load_model(tmp_path, device="cpu", mode="resident")
    assert tower.provenance.policies == alone.provenance.policies | {"part_of": name}
    found, expected = (collect_statistics(one, TEXTS).known() for one in (tower, alone))
    assert same(found.values(), expected.values())
    assert sum(map(torch.numel, tower.model.parameters())) == sum(
        map(torch.numel, alone.model.parameters())
    )

    untyped: Any = AutoModelForMultimodalLM
    whole = untyped.from_pretrained(model_directory(name)).eval()
    ids = torch.tensor([tower.tokenizer(TEXTS[0]).input_ids])
    with torch.no_grad():
        network: Any = tower.model
        assert torch.equal(network(input_ids=ids).logits, whole(input_ids=ids).logits)


@pytest.mark.parametrize("name", ["gemma3", "idefics3", "mistral3", "qwen2_5_vl"])
def test_a_tower_is_swept_alone(name: str, open_model: OpenModel, tmp_path: Path) -> None:
    whole, swept = (open_model(name, mode=mode) for mode in ("resident", "sweep"))
    write_alone(whole, tmp_path)
    alone = load_model(tmp_path, device="cpu", mode="sweep")
    assert swept.provenance == whole.provenance
    assert swept.budget is not None
    assert alone.budget is not None
    assert swept.budget.costs.read == alone.budget.costs.read
    assert swept.budget.costs.weights == alone.budget.costs.weights
    left, right = (collect_statistics(one, TEXTS).known() for one in (swept, whole))
    assert same(left.values(), right.values())
    assert same(collect_probes(swept, TEXTS), collect_probes(whole, TEXTS))


def test_a_tower_writes_what_it_chooses(open_model: OpenModel) -> None:
    model = open_model("gemma3")
    ids = np.array(model.tokenizer(TEXTS[0]).input_ids)
    (chosen,) = choose(model, [ids], [len(ids)])
    (text,) = generate(model, [TEXTS[0]], max_new_tokens=1, stop="\n")
    assert text == continuation_text(model.tokenizer, ids, chosen)


@pytest.mark.parametrize(
    ("name", "reason"), [("paligemma", "in both directions"), ("blip-2", "llava, ")]
)
def test_a_wrapper_that_is_not_known_is_refused(
    name: str, reason: str, model_directory: MakeDirectory, tmp_path: Path
) -> None:
    directory = tmp_path
    if name in WRAPPED:
        directory = model_directory(name)
    else:
        from transformers import AutoConfig

        AutoConfig.for_model(name).save_pretrained(tmp_path)
        save_file({"weight": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(ModelSupportError, match=rf"'{name}'(.|\n)*{reason}"):
        load_model(directory, device="cpu")


def copied(source: Path, target: Path) -> dict[str, torch.Tensor]:
    for file in source.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    return load_file(target / "model.safetensors")


def test_the_weights_of_other_towers_need_not_be_there(
    model_directory: MakeDirectory, open_model: OpenModel, tmp_path: Path
) -> None:
    tensors = copied(model_directory("gemma3"), tmp_path)
    kept = {name: tensor for name, tensor in tensors.items() if "vision" not in name}
    assert 0 < len(kept) < len(tensors)
    save_file(kept, tmp_path / "model.safetensors", metadata={"format": "pt"})
    found = collect_statistics(load_model(tmp_path, device="cpu"), TEXTS)
    expected = collect_statistics(open_model("gemma3"), TEXTS)
    assert found.sum.tobytes() == expected.sum.tobytes()


def test_missing_weights_of_the_tower_are_named(
    model_directory: MakeDirectory, tmp_path: Path
) -> None:
    tensors = copied(model_directory("gemma3"), tmp_path)
    tensors = {key: value for key, value in tensors.items() if "layers.2.mlp.up_proj" not in key}
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelSupportError, match=r"layer 2.*up_proj"):
        load_model(tmp_path, device="cpu")


def test_pickled_weights_are_read_whole_and_left_out_afterwards(
    model_directory: MakeDirectory, open_model: OpenModel, tmp_path: Path
) -> None:
    torch.save(copied(model_directory("gemma3"), tmp_path), tmp_path / "pytorch_model.bin")
    (tmp_path / "model.safetensors").unlink()
    model, expected = load_model(tmp_path, device="cpu"), open_model("gemma3")
    names = [name for name, _ in model.model.named_parameters()]
    assert names == [name for name, _ in expected.model.named_parameters()]
    found = collect_statistics(model, TEXTS)
    assert found.sum.tobytes() == collect_statistics(expected, TEXTS).sum.tobytes()
