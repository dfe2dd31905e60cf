"""One layer at a time gives the bits of the whole model in memory."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from bridgex.capture import collect_probes, collect_statistics, gold_filter, skeleton
from bridgex.capture.absent import absent
from bridgex.capture.choices import choose
from bridgex.capture.collect import collect_probes_of, collect_statistics_of
from bridgex.capture.costs import LOADINGS, Budget, Costs
from bridgex.capture.families import FAMILIES, RESIDENT, UNDIVIDED
from bridgex.capture.gold import gold_filter_of
from bridgex.capture.models import load_model
from bridgex.capture.pieces import split_layer
from bridgex.errors import InvalidInputError, ModelSupportError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bridgex.capture import CaptureModel
    from bridgex.schema import NeuronStatistics

    OpenModel = Callable[..., CaptureModel]

RECORDS = ('English:"dog"', "Hund und Katze", "the\nthird", "das Haus", "", "水")
MODES = ("resident", "sweep")
TEXTS = [text for text in RECORDS if text]


def assert_equal(left: NeuronStatistics, right: NeuronStatistics) -> None:
    for name in ("positive_count", "sum", "sum_squares", "maximum"):
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name))
    assert (left.token_count, left.record_count) == (right.token_count, right.record_count)


def assert_on_meta(model: CaptureModel) -> None:
    assert {parameter.device.type for parameter in model.model.parameters()} == {"meta"}


@pytest.mark.parametrize("architecture", sorted(FAMILIES.keys() - RESIDENT))
def test_a_sweep_equals_the_resident_model(
    architecture: str, open_model: OpenModel, shared_model: OpenModel
) -> None:
    whole = shared_model(architecture)
    swept = open_model(architecture, mode="sweep", batch_tokens=32)
    assert swept.provenance == whole.provenance

    both = collect_statistics_of(swept, [RECORDS, RECORDS[:2]])
    assert_equal(both[0], collect_statistics(whole, RECORDS))
    assert_equal(both[1], collect_statistics(whole, RECORDS[:2]))
    for left, right in zip(collect_probes(swept, TEXTS), collect_probes(whole, TEXTS), strict=True):
        np.testing.assert_array_equal(left, right)
    rows = [np.array(whole.tokenizer(text).input_ids) for text in TEXTS]
    starts = [1] * len(rows)
    for word, other in zip(choose(swept, rows, starts), choose(whole, rows, starts), strict=True):
        np.testing.assert_array_equal(word, other)
    assert_on_meta(swept)


def test_a_layer_without_neurons_is_passed_through(open_model: OpenModel) -> None:
    def partial(mode: str) -> CaptureModel:
        model = open_model(mode=mode)
        sites = tuple(site for site in model.sites if site.layer != 1)
        return replace(
            model, sites=sites, provenance=replace(model.provenance, layer_sizes=(24, 0, 24))
        )

    whole, swept = partial("resident"), partial("sweep")
    assert_equal(collect_statistics(swept, RECORDS), collect_statistics(whole, RECORDS))
    neurons = [np.arange(3), np.arange(0), np.arange(24)]
    for wanted, shapes in ((None, (24, 0, 24)), (neurons, (3, 0, 24))):
        found = [collect_probes(model, TEXTS, neurons=wanted) for model in (swept, whole)]
        assert [layer.shape for layer in found[0]] == [(size, len(TEXTS)) for size in shapes]
        for left, right in zip(*found, strict=True):
            np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "gemma2"])
@pytest.mark.parametrize(
    "policies",
    [
        {"positions": "last"},
        {"positions": "all"},
        {"special": "include"},
        {"max_tokens": 5},
        {"packing": "concat", "max_tokens": 10},
        {"packing": "concat", "max_tokens": 10, "special": "include"},
    ],
    ids=lambda policies: "-".join(map(str, policies.values())),
)
def test_every_policy_is_that_of_the_resident_model(
    architecture: str, policies: dict[str, Any], open_model: OpenModel
) -> None:
    whole, swept = (open_model(architecture, mode=mode, **policies) for mode in MODES)
    assert_equal(collect_statistics(swept, RECORDS), collect_statistics(whole, RECORDS))
    for left, right in zip(collect_probes(swept, TEXTS), collect_probes(whole, TEXTS), strict=True):
        np.testing.assert_array_equal(left, right)


def test_several_word_lists_share_their_sweeps(open_model: OpenModel) -> None:
    whole, swept = (open_model("gemma2", mode=mode) for mode in ("resident", "sweep"))
    right = choose(whole, [np.array(whole.tokenizer('a:"').input_ids)], [4])[0]
    answer = str(whole.tokenizer.decode(right[:1].tolist()))
    parts: list[Any] = [(TEXTS, [["Hund"]] * len(TEXTS)), ([], []), (['a:"'], [[answer or "x"]])]
    for found, (prompts, answers) in zip(gold_filter_of(swept, parts), parts, strict=True):
        np.testing.assert_array_equal(found, gold_filter(whole, prompts, answers))
    probes = collect_probes_of(swept, [TEXTS, TEXTS[:1]])
    for left, matrix in zip(probes[1], collect_probes(whole, TEXTS[:1]), strict=True):
        np.testing.assert_array_equal(left, matrix)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("shard", ["5GB", "20KB"])
def test_shards_and_tied_embeddings(
    model_directory: Callable[..., Path], tmp_path: Path, tied: bool, shard: str
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = model_directory("llama", tie_word_embeddings=tied)
    untyped: Any = AutoModelForCausalLM
    untyped.from_pretrained(source).save_pretrained(tmp_path, max_shard_size=shard)
    AutoTokenizer.from_pretrained(source).save_pretrained(tmp_path)
    whole, swept = (load_model(tmp_path, device="cpu", mode=mode) for mode in ("resident", "sweep"))
    assert_equal(collect_statistics(swept, RECORDS), collect_statistics(whole, RECORDS))
    ids = np.array(whole.tokenizer(TEXTS[0]).input_ids)
    np.testing.assert_array_equal(choose(swept, [ids], [1])[0], choose(whole, [ids], [1])[0])
    assert_on_meta(swept)


def test_half_precision_is_swept_as_it_is_run(model_directory: Callable[..., Path]) -> None:
    whole, swept = (
        load_model(model_directory("qwen2"), device="cpu", dtype="bfloat16", mode=mode)
        for mode in ("resident", "sweep")
    )
    assert swept.provenance.policies["dtype"] == "bfloat16"
    assert_equal(collect_statistics(swept, RECORDS), collect_statistics(whole, RECORDS))


def hooks(model: CaptureModel) -> int:
    return sum(
        len(module._forward_hooks) + len(module._forward_pre_hooks)
        for module in model.model.modules()
    )


@pytest.fixture
def in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Load layers in pieces, as under a limit that fits no layer."""
    monkeypatch.setattr(Budget, "loading", lambda *_: "pieces")


@pytest.mark.parametrize("architecture", sorted(RESIDENT))
def test_layers_that_take_keys_from_others_are_refused(
    architecture: str, open_model: OpenModel
) -> None:
    with pytest.raises(ModelSupportError, match="use --mode resident"):
        open_model(architecture, mode="sweep")
    assert open_model(architecture, memory_limit=1 << 20).skeleton is None


@pytest.mark.usefixtures("in_pieces")
@pytest.mark.parametrize("architecture", sorted(UNDIVIDED))
def test_parameters_that_another_module_uses_are_not_divided(
    architecture: str, open_model: OpenModel
) -> None:
    model = open_model(architecture, mode="sweep")
    with pytest.raises(ModelSupportError, match="used by its own module alone"):
        collect_statistics(model, RECORDS[:2])
    assert_on_meta(model)


# One family of every build; the others are tried at length.
OF_A_BUILD = {family._replace(example=""): name for name, family in FAMILIES.items()}.values()


@pytest.mark.usefixtures("in_pieces")
@pytest.mark.parametrize(
    "architecture",
    [
        pytest.param(name, marks=[] if name in OF_A_BUILD else [pytest.mark.long])
        for name in sorted(FAMILIES.keys() - RESIDENT - UNDIVIDED)
    ],
)
def test_a_layer_in_pieces_equals_the_resident_model(
    architecture: str, open_model: OpenModel, shared_model: OpenModel
) -> None:
    whole = shared_model(architecture)
    swept = open_model(architecture, mode="sweep", batch_tokens=32)
    assert_equal(collect_statistics(swept, RECORDS[:2]), collect_statistics(whole, RECORDS[:2]))
    assert_on_meta(swept)
    assert hooks(swept) == 0


def test_pieces_are_there_while_their_module_runs(open_model: OpenModel) -> None:
    model = open_model("llama", mode="sweep")
    assert model.skeleton is not None
    split = split_layer(model.skeleton, 1)
    assert sorted(split.kept.names) == [
        "model.layers.1.input_layernorm.weight",
        "model.layers.1.post_attention_layernorm.weight",
    ]
    assert len(split.passing) == 7
    held = [sorted(name for piece in moment for name in piece.names) for moment in split.moments]
    assert held[0] == sorted(split.kept.names)
    assert {len(names) for names in held[1:]} == {3}


def test_a_tensor_that_makes_several_parameters_is_read_by_the_module_around_them(
    model_directory: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors.torch import load_file, save_file
    from transformers.core_model_loading import Chunk, WeightConverter

    source = model_directory("llama", num_key_value_heads=2)
    shutil.copytree(source, tmp_path, dirs_exist_ok=True)
    tensors = load_file(tmp_path / "model.safetensors")
    projections = [f"self_attn.{name}_proj.weight" for name in "qkv"]
    for layer in range(3):
        parts = [tensors.pop(f"model.layers.{layer}.{name}") for name in projections]
        tensors[f"model.layers.{layer}.self_attn.qkv.weight"] = torch.cat(parts)
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    fused = WeightConverter("self_attn.qkv.weight", projections, [Chunk(dim=0)])
    monkeypatch.setattr(skeleton, "get_model_conversion_mapping", lambda _: [fused])
    whole = load_model(source, device="cpu", mode="resident")
    expected = collect_statistics(whole, RECORDS)
    swept = load_model(tmp_path, device="cpu", mode="sweep")
    assert swept.skeleton is not None
    paths = [piece.path.rpartition(".")[2] for piece in split_layer(swept.skeleton, 0).passing]
    assert paths == ["self_attn", "gate_proj", "up_proj", "down_proj"]
    for loading in LOADINGS:
        monkeypatch.setattr(Budget, "loading", lambda *_, loading=loading: loading)
        assert_equal(collect_statistics(swept, RECORDS), expected)


@pytest.mark.usefixtures("in_pieces")
def test_parameters_that_another_module_uses_are_refused_in_pieces(
    open_model: OpenModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers.models.llama.modeling_llama import LlamaMLP

    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        gate = torch.nn.functional.linear(x, self.gate_proj.weight)
        down: torch.Tensor = self.down_proj(self.act_fn(gate) * self.up_proj(x))
        return down

    monkeypatch.setattr(LlamaMLP, "forward", forward)
    model = open_model(mode="sweep")
    with pytest.raises(ModelSupportError, match="linear was called with") as refused:
        collect_statistics(model, RECORDS)
    assert "--memory-limit" in str(refused.value)
    assert_on_meta(model)
    assert hooks(model) == 0


def test_what_is_not_loaded_has_a_shape_and_nothing_else() -> None:
    held = absent(torch.ones(2, 3, dtype=torch.bfloat16))
    assert (held.shape, held.dtype, held.nbytes, held.is_meta) == ((2, 3), torch.bfloat16, 12, True)
    plain = torch.ones(4, 3, dtype=torch.bfloat16)
    uses: list[Callable[[], object]] = [
        lambda: torch.nn.functional.linear(plain, held),
        lambda: plain @ held.detach().T,
        lambda: held[0],
        lambda: torch.cat([plain, held]),
        lambda: torch.nn.functional.embedding(torch.tensor([0]), held),
    ]
    for use in uses:
        with pytest.raises(ModelSupportError, match="that is not loaded"):
            use()


@pytest.mark.parametrize(
    ("dtype", "converted"), [("float32", True), ("bfloat16", True), ("float16", False)]
)
def test_what_is_converted_while_it_is_read_is_planned(
    model_directory: Callable[..., Path], tmp_path: Path, dtype: Any, converted: bool
) -> None:
    """Another precision of the same size takes memory of its own as well."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(model_directory("llama"), tmp_path, dirs_exist_ok=True)
    tensors = load_file(tmp_path / "model.safetensors")
    halves = {name: tensor.half() for name, tensor in tensors.items()}
    save_file(halves, tmp_path / "model.safetensors", metadata={"format": "pt"})
    model = load_model(tmp_path, device="cpu", mode="sweep", dtype=dtype)
    assert model.budget is not None
    # Three matrices of the feed-forward block, and one of attention.
    assert model.budget.costs.reading == converted * 2 * (3 * 16 * 24 + 16 * 16)


def test_the_limit_decides_how_layers_are_loaded(open_model: OpenModel) -> None:
    costs = Costs(
        base=100, weights=500, surroundings=10, layer=40, reading=5, pieces=10, piece_reading=5,
        head=10, block=8, token=1, part=0, read=1, layers_read=1,
    )  # fmt: skip
    assert [costs.fixed(loading) for loading in LOADINGS] == [193, 148, 123]
    assert [Budget(300, costs).loading(waiting) for waiting in (107, 108, 153, 177)] == [
        "ahead", "whole", "pieces", "pieces",
    ]  # fmt: skip
    rooms = [(Budget(limit, costs).room, Budget(limit, costs).most) for limit in (240, 200, 140)]
    assert rooms == [(47, 117), (52, 77), (17, 17)]
    assert Budget(100, costs).loading(1) == "pieces"
    model = open_model(mode="sweep", memory_limit=1 << 40)
    assert model.budget is not None
    assert model.budget.loading(1 << 20) == "ahead"


@pytest.mark.parametrize("loading", LOADINGS)
def test_how_layers_are_loaded_changes_nothing(
    open_model: OpenModel, monkeypatch: pytest.MonkeyPatch, loading: str
) -> None:
    expected = collect_statistics(open_model(mode="resident"), RECORDS)
    monkeypatch.setattr(Budget, "loading", lambda *_: loading)
    assert_equal(collect_statistics(open_model(mode="sweep"), RECORDS), expected)


def test_auto_holds_the_model_where_it_fits(open_model: OpenModel) -> None:
    assert open_model().skeleton is None
    assert open_model(memory_limit=1 << 40).skeleton is None
    assert open_model(memory_limit=1 << 20).skeleton is not None


def test_auto_refuses_what_neither_fits_nor_can_be_swept(open_model: OpenModel) -> None:
    assert open_model("gemma3n_text", memory_limit=1 << 40).skeleton is None
    assert open_model("gemma3n_text", mode="resident", memory_limit=1).skeleton is None
    with pytest.raises(ModelSupportError, match="fits into 1 bytes, or that can be read layer by"):
        open_model("gemma3n_text", memory_limit=1)


def test_layers_that_see_something_else_are_refused(open_model: OpenModel) -> None:
    model = open_model(mode="sweep")
    decoder: Any = model.decoder
    layer = decoder.layers[1]
    own = type(layer).__call__

    class Doubled(type(layer)):  # type: ignore[misc]  # the class is known at run time only
        def __call__(self, hidden: torch.Tensor, **kwargs: Any) -> Any:
            return own(self, hidden * 2, **kwargs)

    layer.__class__ = Doubled
    with pytest.raises(ModelSupportError, match="layer 1 gets something else"):
        collect_statistics(model, RECORDS)
    assert_on_meta(model)


@pytest.mark.parametrize("loading", LOADINGS)
def test_nothing_stays_loaded_after_an_error(
    open_model: OpenModel, monkeypatch: pytest.MonkeyPatch, loading: str
) -> None:
    monkeypatch.setattr(Budget, "loading", lambda *_: loading)
    model = open_model(mode="sweep")

    class Failing:
        def advance(self, amount: int) -> None:
            del amount
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        collect_statistics(model, RECORDS, progress=Failing())
    assert_on_meta(model)
    assert hooks(model) == 0


@pytest.mark.parametrize("loading", LOADINGS)
def test_nothing_stays_loaded_after_an_error_within_a_layer(
    open_model: OpenModel, monkeypatch: pytest.MonkeyPatch, loading: str
) -> None:
    model = open_model(mode="sweep")
    decoder: Any = model.decoder
    monkeypatch.setattr(Budget, "loading", lambda *_: loading)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with (
        decoder.layers[1].mlp.up_proj.register_forward_hook(interrupt),
        pytest.raises(KeyboardInterrupt),
    ):
        collect_statistics(model, RECORDS)
    assert_on_meta(model)
    assert hooks(model) == 0


def test_an_activation_that_is_no_number_is_named(
    model_directory: Callable[..., Path], tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    shutil.copytree(model_directory("llama"), tmp_path, dirs_exist_ok=True)
    tensors = load_file(tmp_path / "model.safetensors")
    tensors["model.layers.1.mlp.up_proj.weight"][5] = torch.nan
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    model = load_model(tmp_path, device="cpu", mode="sweep", site="post")
    with pytest.raises(InvalidInputError, match=r"layer 1, neuron 5.*on 'Hund'"):
        collect_statistics(model, ["Hund"])


def test_a_parameter_that_is_missing_is_named(
    model_directory: Callable[..., Path], tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    shutil.copytree(model_directory("llama"), tmp_path, dirs_exist_ok=True)
    tensors = load_file(tmp_path / "model.safetensors")
    del tensors["model.layers.2.mlp.up_proj.weight"]
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    model = load_model(tmp_path, device="cpu", mode="sweep")
    with pytest.raises(ModelSupportError, match=r"layer 2.*up_proj\.weight"):
        collect_statistics(model, ["Hund"])


def test_a_file_that_becomes_shorter_is_named(
    model_directory: Callable[..., Path], tmp_path: Path
) -> None:
    shutil.copytree(model_directory("llama"), tmp_path, dirs_exist_ok=True)
    model = load_model(tmp_path, device="cpu", mode="sweep")
    file = tmp_path / "model.safetensors"
    with file.open("r+b") as opened:
        opened.truncate(file.stat().st_size // 2)
    with pytest.raises(InvalidInputError, match=r"model\.safetensors has become shorter"):
        collect_statistics(model, RECORDS)
    assert_on_meta(model)


def test_pickled_weights_are_held_whole(
    model_directory: Callable[..., Path], tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    shutil.copytree(model_directory("llama"), tmp_path, dirs_exist_ok=True)
    torch.save(load_file(tmp_path / "model.safetensors"), tmp_path / "pytorch_model.bin")
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ModelSupportError, match="safetensors files are needed"):
        load_model(tmp_path, device="cpu", mode="sweep")
    assert load_model(tmp_path, device="cpu", memory_limit=1 << 20).skeleton is None


def test_quantised_weights_are_refused(
    model_directory: Callable[..., Path], tmp_path: Path
) -> None:
    import json

    shutil.copytree(model_directory("llama"), tmp_path, dirs_exist_ok=True)
    config = json.loads((tmp_path / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "fp8"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelSupportError, match="quantised"):
        load_model(tmp_path, device="cpu", mode="sweep")
