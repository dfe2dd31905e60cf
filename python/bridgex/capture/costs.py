"""What capture needs in memory, part by part, and what there is of it."""

from __future__ import annotations

import os
import resource
import sys
from dataclasses import dataclass
from heapq import nlargest
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from bridgex.capture.passes import decoder_pass
from bridgex.capture.quiet import quiet_transformers
from bridgex.capture.recording import Shared, record, tensors_of
from bridgex.capture.skeleton import HEAD, SURROUNDINGS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bridgex.capture.skeleton import Group, Skeleton

_LOADERS = 4  # Tensors that transformers reads at once.
_HEAD_POSITIONS = 128
_BLOCK_TOKENS = 1024
_SUMS_BYTES = 28  # Of a neuron: count, sum, sum of squares, maximum.
# Copies of a token's neurons and of its hidden state that are alive at once within a layer.
_NEURON_COPIES = 4
_STATE_COPIES = 8


@dataclass(frozen=True)
class Costs:
    """Bytes that capture needs at once.

    Attributes
    ----------
    base
        What the process holds already: libraries and the tokenizer.
    weights
        All parameters in the precision of the run, and what reading them takes besides.
    surroundings, head
        The same of the decoder outside its layers, and of the head.
    layer, reading
        Parameters of the largest layer, and what reading it takes besides.
    block
        What one batch needs within a layer besides its hidden states.
    token
        Hidden state and recorded arguments of one token.
    part
        Sums of one part of text.
    read
        Bytes of the checkpoint's tensors that one sweep reads.
    """

    base: int
    weights: int
    surroundings: int
    layer: int
    reading: int
    head: int
    block: int
    token: int
    part: int
    read: int

    @property
    def resident(self) -> int:
        """Peak of a run that holds the whole model, over one part."""
        return self.base + self.weights + self.block + self.part

    def fixed(self, *, ahead: bool) -> int:
        """Peak of a sweep without the tokens that wait and their sums."""
        if ahead:
            layers = 2 * self.layer + self.reading + self.block
        else:
            layers = self.layer + max(self.reading, self.block)
        return self.base + max(self.surroundings, layers, self.head)

    def group(self, tokens: int, parts: int) -> int:
        """Bytes of the tokens of a group and their sums."""
        return tokens * self.token + parts * self.part


@dataclass(frozen=True)
class Budget:
    """How much memory a sweep may use.

    Attributes
    ----------
    limit
        Bytes for the whole process (on another device than the CPU: on that device).
    costs
        What is needed, part by part.
    ahead
        Whether the next layer is read while one is in use.
    """

    limit: int
    costs: Costs
    ahead: bool

    @property
    def waiting(self) -> int:
        """Bytes that are left for the tokens that share a sweep and their sums."""
        return self.limit - self.costs.fixed(ahead=self.ahead)

    @classmethod
    def of(cls, costs: Costs, limit: int) -> Budget:
        """Decide whether to read ahead: where as much as a layer is left besides."""
        return cls(limit, costs, costs.fixed(ahead=True) + costs.layer <= limit)


def measure(skeleton: Skeleton, *, batch_tokens: int, row_tokens: int, widths: list[int]) -> Costs:
    """Return what capture with a model needs; nothing is read.

    Parameters
    ----------
    skeleton
        The model.
    batch_tokens
        Tokens of a batch, at most.
    row_tokens
        Tokens of its longest row.
    widths
        Neurons of every layer.
    """
    layers = range(len(skeleton.layers))
    groups = (*layers, SURROUNDINGS, HEAD)
    width = skeleton.decoder.config.hidden_size
    item = skeleton.network.dtype.itemsize
    tokens = max(batch_tokens, row_tokens)
    block = tokens * item * (_NEURON_COPIES * max(widths) + _STATE_COPIES * width)
    block += min(tokens, _BLOCK_TOKENS) * max(widths) * 9
    words = skeleton.network.config.get_text_config().vocab_size
    used = [key for group in (*layers, SURROUNDINGS) for key in skeleton.keys[group]]
    return Costs(
        base=_held() if skeleton.device.type == "cpu" else 0,
        weights=sum(_parameter_bytes(skeleton, group) for group in groups)
        + _reading_bytes(skeleton, [*used, *skeleton.keys[HEAD]]),
        surroundings=_loading_bytes(skeleton, SURROUNDINGS) + tokens * width * item * 2,
        layer=max(_parameter_bytes(skeleton, layer) for layer in layers),
        reading=max(_reading_bytes(skeleton, skeleton.keys[layer]) for layer in layers),
        head=_loading_bytes(skeleton, HEAD) + _HEAD_POSITIONS * words * (item + 4),
        block=block,
        token=_token_bytes(skeleton, row_tokens) + width * item,
        part=sum(widths) * _SUMS_BYTES,
        read=sum(skeleton.checkpoint.tensors[key].bytes for key in used),
    )


def available(device: torch.device) -> int:
    """Return the bytes that this process could have in all where a model is to run."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    free = next(line for line in lines if line.startswith("MemAvailable:"))
    return int(free.split()[1]) * 1024 + _held()


def _held() -> int:
    """Return the bytes that this process holds and that are in no file."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return int(next(line for line in lines if line.startswith("RssAnon:")).split()[1]) * 1024


def _loading_bytes(skeleton: Skeleton, group: Group) -> int:
    return _parameter_bytes(skeleton, group) + _reading_bytes(skeleton, skeleton.keys[group])


def _parameter_bytes(skeleton: Skeleton, group: Group) -> int:
    return sum(skeleton.parameter(name).nbytes for name in skeleton.names[group])


def _reading_bytes(skeleton: Skeleton, keys: Iterable[str]) -> int:
    """Return what is held besides while tensors are read and put into another precision."""
    item = skeleton.network.dtype.itemsize
    stored = [skeleton.checkpoint.tensors[key] for key in keys]
    return sum(
        nlargest(
            _LOADERS, (tensor.bytes for tensor in stored if tensor.bytes != item * tensor.size)
        )
    )


def _token_bytes(skeleton: Skeleton, row_tokens: int) -> int:
    """Return the bytes of what is recorded of a token besides its hidden state."""
    names = skeleton.names[SURROUNDINGS]
    ids = np.zeros((1, row_tokens), dtype=np.int64)
    skeleton.pretend(names)
    try:
        with quiet_transformers():
            recorded = record(
                skeleton.layers, decoder_pass(skeleton.decoder, ids, skeleton.device), Shared()
            )
    finally:
        skeleton.drop(SURROUNDINGS)
    storages: dict[int, int] = {
        tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes()
        for call in recorded.calls
        for tensor in tensors_of([call.args, call.kwargs])
    }
    return -(-sum(storages.values()) // row_tokens)
