"""Every family of the table, at both sites, against values computed from the model's weights."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
import torch
from torch.nn import functional

from bridgex.capture import collect_probes, collect_statistics
from bridgex.capture.choices import choose
from bridgex.capture.plain import gelu, gelu_tanh, relu, relu_squared, silu
from bridgex.capture.sites import FAMILIES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray
    from torch import Tensor

    from bridgex.capture import CaptureModel
    from bridgex.schema import Site

    OpenModel = Callable[..., CaptureModel]

RECORDS = ('English:"dog"', "Hund und Katze", "the\nthird", "das Haus", "", "水")


class Oracle(NamedTuple):
    """How a family computes its neurons: input projections, and the non-linearity."""

    projections: tuple[str, ...]
    activation: Callable[[Tensor], Tensor]


GATED = ("mlp.gate_proj", "mlp.up_proj")
FUSED = ("mlp.gate_up_proj",)
ORACLES = {
    "arcee": Oracle(("mlp.up_proj",), relu_squared),
    "biogpt": Oracle(("fc1",), gelu),
    "bloom": Oracle(("mlp.dense_h_to_4h",), gelu_tanh),
    "codegen": Oracle(("mlp.fc_in",), gelu_tanh),
    "cohere": Oracle(GATED, silu),
    "cohere2": Oracle(GATED, silu),
    "exaone4": Oracle(GATED, silu),
    "falcon": Oracle(("mlp.dense_h_to_4h",), gelu),
    "gemma": Oracle(GATED, gelu_tanh),
    "gemma2": Oracle(GATED, gelu_tanh),
    "gemma3_text": Oracle(GATED, gelu_tanh),
    "glm": Oracle(FUSED, silu),
    "glm4": Oracle(FUSED, silu),
    "gpt2": Oracle(("mlp.c_fc",), gelu_tanh),
    "gpt_bigcode": Oracle(("mlp.c_fc",), gelu_tanh),
    "gpt_neo": Oracle(("mlp.c_fc",), gelu_tanh),
    "gpt_neox": Oracle(("mlp.dense_h_to_4h",), gelu),
    "gptj": Oracle(("mlp.fc_in",), gelu_tanh),
    "granite": Oracle(GATED, silu),
    "helium": Oracle(GATED, silu),
    "llama": Oracle(GATED, silu),
    "mistral": Oracle(GATED, silu),
    "mpt": Oracle(("ffn.up_proj",), gelu),
    "nemotron": Oracle(("mlp.up_proj",), relu_squared),
    "olmo": Oracle(GATED, silu),
    "olmo2": Oracle(GATED, silu),
    "olmo3": Oracle(GATED, silu),
    "opt": Oracle(("fc1",), relu),
    "phi": Oracle(("mlp.fc1",), gelu_tanh),
    "phi3": Oracle(FUSED, silu),
    "qwen2": Oracle(GATED, silu),
    "qwen3": Oracle(GATED, silu),
    "seed_oss": Oracle(GATED, silu),
    "smollm3": Oracle(GATED, silu),
    "stablelm": Oracle(GATED, silu),
    "starcoder2": Oracle(("mlp.c_fc",), gelu_tanh),
    "xglm": Oracle(("fc1",), gelu),
}


def project(module: Any, x: Tensor) -> Tensor:
    """Multiply by a projection's own weights; GPT-2 keeps them transposed."""
    transposed = type(module).__name__ == "Conv1D"
    weight = module.weight.T if transposed else module.weight
    return functional.linear(x, weight, module.bias)


@contextmanager
def projections_seen(modules: list[Any]) -> Iterator[list[Tensor]]:
    """Replace the projections' forward methods: no hook is involved."""
    seen: list[Tensor] = [torch.empty(0)] * len(modules)
    for number, module in enumerate(modules):

        def forward(x: Tensor, *, module: Any = module, number: int = number) -> Tensor:
            seen[number] = project(module, x)
            return seen[number]

        module.forward = forward
    yield seen
    for module in modules:
        del module.forward


def plain_values(model: CaptureModel, text: str, site: Site) -> list[NDArray[np.float64]]:
    """Every layer's neurons (token, neuron) for one text, special tokens left out."""
    oracle = ORACLES[model.provenance.architecture]
    layers = next(
        module
        for module in model.decoder.modules()
        if isinstance(module, torch.nn.ModuleList) and len(module) == len(model.sites)
    )
    ids = torch.tensor([model.tokenizer(text).input_ids])
    own = [position for position, token in enumerate(ids[0].tolist()) if token > 3]
    modules = [layer.get_submodule(name) for layer in layers for name in oracle.projections]
    with torch.no_grad(), projections_seen(modules) as seen:
        model.model(ids)
    result = []
    step = len(oracle.projections)
    for start in range(0, len(seen), step):
        parts = [part.reshape(ids.shape[1], -1) for part in seen[start : start + step]]
        if oracle.projections == FUSED:
            parts = list(parts[0].chunk(2, dim=-1))
        value = oracle.activation(parts[0])
        if site == "post" and len(parts) == 2:
            value = value * parts[1]
        result.append(value[own].double().numpy())
    return result


def test_every_family_of_the_table_has_an_oracle() -> None:
    assert set(ORACLES) == set(FAMILIES)


@pytest.mark.parametrize("site", ["act", "post"])
@pytest.mark.parametrize("architecture", sorted(ORACLES))
def test_statistics_and_probes_equal_a_plain_loop(
    architecture: str, site: Site, open_model: OpenModel
) -> None:
    model = open_model(architecture, site=site, batch_tokens=32)
    texts = [text for text in RECORDS if text]
    values = [plain_values(model, text, site) for text in texts]
    expected = np.hstack([np.vstack([text[layer] for text in values]) for layer in range(3)])

    statistics = collect_statistics(model, RECORDS)

    assert statistics.token_count == len(expected)
    assert statistics.record_count == len(RECORDS)
    near_zero = ((expected != 0) & (np.abs(expected) < 1e-5)).sum(0)
    difference = np.abs(statistics.positive_count - (expected > 0).sum(0))
    assert (difference <= near_zero).all()
    scale = np.abs(expected).max()
    np.testing.assert_allclose(statistics.sum, expected.sum(0), atol=1e-4 * scale)
    np.testing.assert_allclose(statistics.sum_squares, (expected**2).sum(0), atol=1e-4 * scale**2)
    np.testing.assert_allclose(statistics.maximum, expected.max(0), atol=1e-4 * scale)

    probes = collect_probes(model, texts)

    for layer, matrix in enumerate(probes):
        means = np.stack([text[layer].mean(0) for text in values], axis=1)
        np.testing.assert_allclose(matrix, means, atol=1e-4 * scale)


@pytest.mark.parametrize("architecture", sorted(ORACLES))
def test_choices_are_those_of_the_whole_model(architecture: str, open_model: OpenModel) -> None:
    model = open_model(architecture)
    rows = [np.array(model.tokenizer(text).input_ids) for text in RECORDS if text]
    chosen = choose(model, rows, [1] * len(rows))
    for row, choices in zip(rows, chosen, strict=True):
        with torch.no_grad():
            logits = model.model(torch.from_numpy(row)[None]).logits[0]
        np.testing.assert_array_equal(choices, logits.argmax(-1).numpy())
