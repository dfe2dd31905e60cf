"""Digests that tell models, configurations and tokenizers apart."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedConfig, PreTrainedTokenizerBase

_MIB = 1 << 20
_SAMPLE_BLOCKS = 64
_SAMPLE_BYTES = 64 << 10
_SAMPLE_TEXT = (
    'English:"water"→Deutsch: Straße 12,5 km · 你好，世界 · こんにちは · مرحبا بالعالم · שלום · '
    "Привет · สวัสดี · नमस्ते · Tiếng Việt 🙂"
)
_SAMPLE_IDS = 32
# What differs between two copies of one configuration without changing the model.
_NOT_IDENTITY = ("_name_or_path", "transformers_version", "dtype", "torch_dtype")


def file_digest(path: Path) -> str:
    """Return a sampled SHA-256 (hex) of a large file, whatever its name.

    Digested are the size, the first MiB (where formats keep their index) and 64 blocks of 64 KiB
    at even distances. Two files that differ only between those blocks have the same digest: it
    tells checkpoints apart, it does not prove that a file is undamaged.
    """
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        digest.update(file.read(_MIB))
        for block in range(_SAMPLE_BLOCKS):
            file.seek(max(0, size - _SAMPLE_BYTES) * block // (_SAMPLE_BLOCKS - 1))
            digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()


def config_digest(config: PreTrainedConfig) -> str:
    """Return the SHA-256 (hex) of a configuration, without its name, dtype and version."""
    values = {key: value for key, value in config.to_dict().items() if key not in _NOT_IDENTITY}
    text = json.dumps(values, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def tokenizer_digest(tokenizer: PreTrainedTokenizerBase) -> str:
    """Return the SHA-256 (hex) of a vocabulary and of what it makes of a fixed text.

    The first 32 token ids of that text show what the vocabulary does not: normalisation,
    splitting, and whether a mark of beginning is added.
    """
    ids = tokenizer(_SAMPLE_TEXT, return_attention_mask=False)["input_ids"][:_SAMPLE_IDS]
    text = json.dumps(
        [sorted(tokenizer.get_vocab().items()), list(ids)], ensure_ascii=True, sort_keys=True
    )
    return hashlib.sha256(text.encode()).hexdigest()
