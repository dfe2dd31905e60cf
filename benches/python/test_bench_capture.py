"""Statistics of neurons over text, beside a forward pass that reads nothing.

The model in question is the hardest case: the smaller a model, the less it computes for each of
its neurons. TransformerLens takes part where it is installed: it brings 30 packages that nothing
else here needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from benches.python.capturing import READERS
from benches.python.workload import FULL
from transformers import AutoConfig

from bridgex.capture import collect_statistics, demo_model_path, load_model
from bridgex.capture.convert import cache_directory
from bridgex.capture.shrink import byte_tokenizer, random_model, shrink

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bridgex.capture import CaptureModel

# The shape of Gemma 3 270M, but for its vocabulary.
SHAPE = {
    "num_hidden_layers": 18,
    "hidden_size": 640,
    "intermediate_size": 2048,
    "num_attention_heads": 4,
    "num_key_value_heads": 1,
    "head_dim": 256,
    "vocab_size": 512,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
LIBRARIES = ("nnsight", "transformer_lens")
ROUNDS = 5 if FULL else 1
RECORDS = [f"record {number:03d} of a text in which sentences are short" for number in range(96)]
# Some 1,350 tokens of either model's tokenizer.
COUNTS = {"random": 27, "demo": 96}
# Of the values that are counted: those near zero, which another order of sums may turn.
SHARE = 1e-5


@pytest.fixture(scope="module", params=["random", "demo"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> CaptureModel:
    if request.param == "demo":
        if not FULL or not list(cache_directory().glob("models/demo-*/model.safetensors")):
            pytest.skip("the demo model takes long, and has to be converted first")
        return load_model(demo_model_path(), device="cpu", mode="resident")
    directory: Path = tmp_path_factory.mktemp("model")
    config = AutoConfig.for_model("gemma3_text", **SHAPE)
    random_model(config if FULL else shrink(config)).save_pretrained(directory)
    byte_tokenizer().save_pretrained(directory)
    return load_model(directory, device="cpu", mode="resident")


@pytest.mark.parametrize("who", READERS)
def test_statistics(
    who: str,
    model: CaptureModel,
    request: pytest.FixtureRequest,
    timed: Callable[..., Any],
    record: Callable[..., None],
) -> None:
    if who in LIBRARIES:
        pytest.importorskip(who)
    name = request.node.callspec.params["model"]
    records = RECORDS[: COUNTS[name] if FULL else 4]
    counts = timed(READERS[who], model, records, rounds=ROUNDS, warm_up=True)
    record(f"capture, {name}", who)
    if counts is not None:
        own = collect_statistics(model, records)
        differing = abs(counts.numpy() - own.positive_count).sum()
        assert differing <= SHARE * own.token_count * own.positive_count.size
