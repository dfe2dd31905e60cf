"""Routed experts: their outputs stay what they are, and every token is read where it goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from bridgex.capture import collect_probes, collect_statistics, experts
from bridgex.capture.collect import collect_statistics_of
from bridgex.capture.experts import clamped_gate, compute_experts_here, expert_shape
from bridgex.capture.recorder import reading
from bridgex.engines.local import ingest_corpus, ingest_probes
from bridgex.errors import InvalidInputError, ModelSupportError
from bridgex.lexicon import Lexicon
from bridgex.progress import Silent
from bridgex.schema import NeuronStatistics, Pair, WordPair
from bridgex.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

    from bridgex.capture import CaptureModel

    OpenModel = Callable[..., CaptureModel]

FAMILIES = ("deepseek_v3", "gpt_oss", "mixtral", "olmoe", "qwen2_moe", "qwen3_moe")
RECORDS = ("Hund", "das Haus", "the dog and the cat", "水は", "Hund", "a", "nd")
IDS = torch.tensor([[1, 9, 30, 77, 12, 5], [1, 8, 14, 91, 33, 60]])


def states(model: CaptureModel) -> Tensor:
    with torch.no_grad():
        found: Tensor = model.decoder(input_ids=IDS, use_cache=False).last_hidden_state
    return found


def read_states(model: CaptureModel) -> Tensor:
    with reading(model.sites, lambda *_: None) as meter, meter.forward(IDS.numel()):
        return states(model)


def first_experts(model: CaptureModel) -> tuple[int, Any]:
    """Layer of the first routed experts, and the module."""
    site = next(site for site in model.sites if site.experts is not None)
    return site.layer, site.module


def assert_equal(left: NeuronStatistics, right: NeuronStatistics) -> None:
    for name in ("positive_count", "sum", "sum_squares", "maximum", "seen"):
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name), err_msg=name)
    assert (left.token_count, left.record_count) == (right.token_count, right.record_count)


def nobody_reads(model: CaptureModel) -> bool:
    """Whether neither a hook nor a reader of experts is left."""
    hooks = [
        hook
        for module in model.model.modules()
        for hook in (*module._forward_hooks, *module._forward_pre_hooks)
    ]
    return not hooks and not len(experts._readers)


@pytest.mark.parametrize("site", ["act", "post"])
@pytest.mark.parametrize("architecture", FAMILIES)
def test_outputs_have_the_same_bits_with_and_without_readers(
    architecture: str, site: str, open_model: OpenModel
) -> None:
    model = open_model(architecture, site=site)
    free = states(model)
    assert torch.equal(free, read_states(model))
    assert torch.equal(free, states(model))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("architecture", FAMILIES)
def test_outputs_are_those_of_transformers(
    architecture: str, dtype: str, open_model: OpenModel
) -> None:
    model = open_model(architecture, dtype=dtype, changes={"moe_intermediate_size": 24})
    ours = states(model)
    model.model.set_experts_implementation("grouped_mm")
    assert torch.equal(ours, states(model))
    model.model.set_experts_implementation("eager")
    assert_close(ours, states(model))


def assert_close(ours: Tensor, theirs: Tensor) -> None:
    half = ours.dtype == torch.bfloat16
    torch.testing.assert_close(
        ours, theirs, atol=0.1 if half else 1e-5, rtol=0.05 if half else 1e-5
    )


def test_matrices_that_torch_does_not_multiply_together_are_multiplied_one_by_one(
    open_model: OpenModel,
) -> None:
    # 20 numbers of 2 bytes are no multiple of 16 bytes.
    model = open_model("qwen3_moe", dtype="bfloat16")
    ours = states(model)
    model.model.set_experts_implementation("eager")
    assert_close(ours, states(model))


@pytest.mark.parametrize("architecture", FAMILIES)
def test_one_product_for_each_expert_gives_the_same(
    architecture: str, open_model: OpenModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = open_model(architecture)
    grouped, statistics = states(model), collect_statistics(model, RECORDS)
    monkeypatch.delattr(functional, "grouped_mm")
    assert_close(grouped, states(model))
    one_by_one = collect_statistics(model, RECORDS)
    np.testing.assert_array_equal(one_by_one.seen, statistics.seen)
    np.testing.assert_allclose(one_by_one.sum, statistics.sum, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("error", [None, RuntimeError, KeyboardInterrupt])
def test_readers_are_gone_afterwards(
    open_model: OpenModel, error: type[BaseException] | None
) -> None:
    model = open_model("qwen2_moe")

    class Failing:
        def advance(self, amount: int) -> None:
            del amount
            assert len(experts._readers) == 2  # of three layers one is dense
            if error is not None:
                raise error

    if error is None:
        collect_statistics(model, RECORDS, progress=Failing())
    else:
        with pytest.raises(error):
            collect_statistics(model, RECORDS, progress=Failing())
    assert nobody_reads(model)


@pytest.mark.parametrize("tokens", [16, 4096])
def test_all_tokens_go_to_one_expert_and_none_to_the_others(
    open_model: OpenModel, tokens: int
) -> None:
    model = open_model("mixtral", changes={"num_experts_per_tok": 1}, batch_tokens=tokens)
    decoder: Any = model.decoder
    for layer in decoder.layers:
        layer.mlp.gate.weight.data.zero_()
    found = collect_statistics(model, RECORDS)
    seen = found.seen.reshape(3, 4, 24)
    assert (seen == seen[:, :, :1]).all()
    assert np.sort(seen[:, :, 0]).tolist() == [[0, 0, 0, found.token_count]] * 3
    never = found.seen == 0
    assert not found.positive_count[never].any()
    assert not found.sum[never].any()
    assert not found.sum_squares[never].any()
    assert np.isneginf(found.maximum[never]).all()
    assert np.isfinite(found.maximum[~never]).all()
    for layer, probes in enumerate(collect_probes(model, RECORDS)):
        assert (probes == 0).all(1).tolist() == (seen[layer].reshape(-1) == 0).tolist()


@pytest.mark.parametrize("architecture", FAMILIES)
def test_every_expert_counts_the_tokens_of_its_own(
    architecture: str, open_model: OpenModel
) -> None:
    model = open_model(architecture)
    chosen = 2
    found = collect_statistics(model, RECORDS)
    ends = model.provenance.layer_offsets[1:]
    for layer, one in enumerate(model.provenance.experts):
        seen = found.seen[model.provenance.layer_offsets[layer] : ends[layer]]
        if one.expert_count:
            routed = seen[: one.neuron_count].reshape(one.expert_count, -1)
            assert (routed == routed[:, :1]).all()
            assert routed[:, 0].sum() == chosen * found.token_count
        assert (seen[one.neuron_count :] == found.token_count).all()


def test_a_layer_that_leaves_out_a_token_stops_the_run_before_anything_is_kept(
    open_model: OpenModel, tmp_path: Path
) -> None:
    model = open_model("olmoe")
    _, module = first_experts(model)
    forward = module.forward

    def without_the_last(hidden: Tensor, index: Tensor, weights: Tensor) -> Tensor:
        return functional.pad(forward(hidden[:-1], index[:-1], weights[:-1]), (0, 0, 0, 1))

    module.forward = without_the_last
    store = Store.create(tmp_path / "store", model.provenance)
    with pytest.raises(ModelSupportError, match=r"layer 0 was expected to route 2 tokens .*1 tok"):
        ingest_corpus(model, store, ("Hund",), language="de", reporter=Silent())
    words = Lexicon(Pair("en", "de"), (WordPair("dog", ("Hund",)),))
    with pytest.raises(ModelSupportError, match="layer 0 was expected to route"):
        ingest_probes(model, store, words, gold="off", reporter=Silent())
    assert not store.snapshot().languages
    assert nobody_reads(model)


@pytest.mark.parametrize("times", [0, 2])
def test_experts_that_are_computed_elsewhere_or_twice_stop_the_run(
    open_model: OpenModel, times: int
) -> None:
    model = open_model("mixtral")
    layer, module = first_experts(model)
    forward = module.forward

    def repeated(hidden: Tensor, index: Tensor, weights: Tensor) -> Tensor:
        outputs = [torch.zeros_like(hidden)]
        outputs += [forward(hidden, index, weights) for _ in range(times)]
        return outputs[-1]

    module.forward = repeated
    with pytest.raises(ModelSupportError, match=f"layer {layer} was read {times} times"):
        collect_statistics(model, RECORDS)


def test_another_implementation_is_not_taken_for_ours(open_model: OpenModel) -> None:
    model = open_model("mixtral")
    model.model.set_experts_implementation("eager")
    with pytest.raises(ModelSupportError, match="layer 0 was read 0 times"):
        collect_statistics(model, RECORDS)
    compute_experts_here(model.model)
    assert collect_statistics(model, RECORDS).token_count


def test_experts_that_compute_something_else_are_not_taken_for_ours(open_model: OpenModel) -> None:
    _, module = first_experts(open_model("gpt_oss"))
    assert expert_shape(module, None) is None
    _, module = first_experts(open_model("mixtral"))
    assert expert_shape(module, None) == (4, 24)
    assert expert_shape(module, clamped_gate) is None
    module.has_post_expert_norm = True
    assert expert_shape(module, None) is None


@pytest.mark.parametrize("mode", ["resident", "sweep"])
@pytest.mark.parametrize("collect", [collect_statistics, collect_probes])
def test_a_neuron_of_an_expert_that_is_no_number_is_named(
    model_directory: Callable[..., Path], tmp_path: Path, collect: Any, mode: str
) -> None:
    import shutil

    from safetensors.torch import load_file, save_file

    from bridgex.capture import load_model

    shutil.copytree(model_directory("mixtral"), tmp_path, dirs_exist_ok=True)
    tensors = load_file(tmp_path / "model.safetensors")
    for expert in range(4):
        (name,) = (
            key for key in tensors if key.endswith(f"1.block_sparse_moe.experts.{expert}.w3.weight")
        )
        tensors[name][5] = torch.nan
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    model = load_model(tmp_path, device="cpu", mode=mode, site="post")  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match=r"layer 1, .*on 'Hund'") as caught:
        collect(model, ["Hund"])
    seen = next(
        expert for expert in range(4) if f"(neuron 5 of expert {expert})" in caught.value.message
    )
    assert f"layer 1, neuron {seen * 24 + 5} " in caught.value.message


def test_parts_of_a_text_add_up(open_model: OpenModel) -> None:
    model = open_model("deepseek_v3", batch_tokens=16)
    parts = collect_statistics_of(model, [RECORDS[:3], RECORDS[3:]])
    both, whole = parts[0].merge(parts[1]), collect_statistics(model, RECORDS)
    np.testing.assert_array_equal(both.seen, whole.seen)
    np.testing.assert_allclose(both.sum, whole.sum, rtol=1e-4, atol=1e-5)
    assert_equal(whole, collect_statistics(model, RECORDS))


def test_a_text_without_tokens_reaches_no_expert(open_model: OpenModel) -> None:
    found = collect_statistics(open_model("mixtral"), ["", "<eos>"])
    assert (found.record_count, found.token_count) == (2, 0)
    assert found.routed_count is not None
    assert not found.seen.any()
