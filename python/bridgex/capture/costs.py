"""What capture needs in memory, part by part, and what there is of it."""

from __future__ import annotations

import os
import resource
import sys
from collections import Counter
from dataclasses import dataclass
from heapq import nlargest
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import torch

from bridgex.capture.passes import decoder_pass
from bridgex.capture.pieces import split_layer
from bridgex.capture.quiet import quiet_transformers
from bridgex.capture.recording import Shared, record, tensors_of
from bridgex.capture.skeleton import HEAD, SURROUNDINGS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bridgex.capture.pieces import Split
    from bridgex.capture.sites import SiteModule
    from bridgex.capture.skeleton import Group, Skeleton

Loading = Literal["ahead", "whole", "pieces"]
"""How layers are loaded, fastest first: with the next one ahead, one by one, or in pieces."""

LOADINGS: tuple[Loading, ...] = get_args(Loading)

_LOADERS = 4  # Tensors that transformers reads at once.
_HEAD_POSITIONS = 128
_BLOCK_TOKENS = 1024
_SUMS_BYTES = 28  # Of a neuron: count, sum, sum of squares, maximum.
_ROUTED_BYTES = 8  # Of a neuron of a mixture of experts besides: its tokens.
_OPEN_BYTES = 36  # Of a neuron, while a batch is read: the same, in float64.
# Copies of a token's neurons and of its hidden state that are alive at once within a layer; of the
# latter so many more for every expert that a token is routed to.
_NEURON_COPIES = 4
_STATE_COPIES = 8
_ROW_COPIES = 4
_PROMPT_TOKENS = 8
_CHOSEN = ("num_experts_per_tok", "num_experts_per_token", "moe_topk", "moe_top_k", "top_k_experts")


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
    pieces, piece_reading
        The same of a layer that is read in pieces: of those that are there together, at most.
    block
        What one batch needs within a layer besides its hidden states.
    token
        Hidden state and recorded arguments of one token.
    part
        Sums of one part of text.
    read, layers_read
        Bytes of the checkpoint's tensors that one sweep reads, and those of its layers.
    """

    base: int
    weights: int
    surroundings: int
    layer: int
    reading: int
    pieces: int
    piece_reading: int
    head: int
    block: int
    token: int
    part: int
    read: int
    layers_read: int

    @property
    def resident(self) -> int:
        """Peak of a run that holds the whole model, over one part."""
        return self.base + self.weights + self.block + self.part

    def fixed(self, loading: Loading) -> int:
        """Peak of a sweep without the tokens that wait and their sums."""
        layers = {
            "ahead": 2 * self.layer + self.reading + self.block,
            "whole": self.layer + max(self.reading, self.block),
            "pieces": self.pieces + self.piece_reading + self.block,
        }
        return self.base + max(self.surroundings, layers[loading], self.head)

    def group(self, tokens: int, parts: int) -> int:
        """Bytes of the tokens of a group and their sums."""
        return tokens * self.token + parts * self.part

    def probes(self, samples: int, sizes: Sequence[int]) -> int:
        """Bytes of samples' activations in layers of some sizes, one of which is turned."""
        return 4 * samples * (sum(sizes) + max(sizes))


@dataclass(frozen=True)
class Budget:
    """How much memory a sweep may use.

    Attributes
    ----------
    limit
        Bytes for the whole process (on another device than the CPU: on that device).
    costs
        What is needed, part by part.
    """

    limit: int
    costs: Costs

    @property
    def room(self) -> int:
        """Bytes to fill with tokens that share a sweep and their sums.

        So many that the next layer can be read ahead where that leaves as much as a layer, so many
        that a whole layer fits where one does; otherwise ``most``.
        """
        ahead, whole = (self.limit - self.costs.fixed(loading) for loading in LOADINGS[:2])
        if ahead >= self.costs.layer:
            return ahead
        return whole if whole > 0 else self.most

    @property
    def most(self) -> int:
        """Bytes that fit beside as little of a layer as possible."""
        return self.limit - min(self.costs.fixed(loading) for loading in LOADINGS)

    def loading(self, waiting: int) -> Loading:
        """Return the fastest way of loading layers beside bytes that wait."""
        for loading in LOADINGS:
            if self.costs.fixed(loading) + waiting <= self.limit:
                return loading
        return min(LOADINGS, key=self.costs.fixed)


def measure(
    skeleton: Skeleton, *, batch_tokens: int, row_tokens: int, sites: Sequence[SiteModule]
) -> Costs:
    """Return what capture with a model needs; nothing is read.

    Parameters
    ----------
    skeleton
        The model.
    batch_tokens
        Tokens of a batch, at most.
    row_tokens
        Tokens of its longest row.
    sites
        What is read, of all layers.
    """
    layers = range(len(skeleton.layers))
    names = {group: skeleton.names[group] for group in (*layers, SURROUNDINGS, HEAD)}
    keys = {group: skeleton.keys[group] for group in names}
    splits = [split_layer(skeleton, layer) for layer in layers]
    pieces = [piece for split in splits for piece in (split.kept, *split.passing)]
    width = skeleton.decoder.config.hidden_size
    item = skeleton.network.dtype.itemsize
    tokens = max(batch_tokens, row_tokens)
    block = tokens * item * _STATE_COPIES * width
    block += max(_site_bytes(skeleton, site, tokens) for site in sites)
    neuron = _SUMS_BYTES + (_ROUTED_BYTES if any(site.experts for site in sites) else 0)
    words = skeleton.network.config.get_text_config().vocab_size
    layer_keys = [key for layer in layers for key in keys[layer]]
    return Costs(
        base=_held() if skeleton.device.type == "cpu" else 0,
        weights=sum(_parameter_bytes(skeleton, of) for of in names.values())
        + _reading_bytes(skeleton, [key for of in keys.values() for key in of]),
        surroundings=_loading_bytes(skeleton, SURROUNDINGS) + tokens * width * item * 2,
        layer=max(_parameter_bytes(skeleton, names[layer]) for layer in layers),
        reading=max(_reading_bytes(skeleton, keys[layer]) for layer in layers),
        pieces=max(_together(skeleton, split) for split in splits),
        piece_reading=max(_reading_bytes(skeleton, piece.keys) for piece in pieces),
        head=_loading_bytes(skeleton, HEAD) + _HEAD_POSITIONS * words * (item + 4),
        block=block,
        token=_token_bytes(skeleton, row_tokens) + width * item,
        part=sum(site.width for site in sites) * neuron,
        read=_stored_bytes(skeleton, [*layer_keys, *keys[SURROUNDINGS]]),
        layers_read=_stored_bytes(skeleton, layer_keys),
    )


def _site_bytes(skeleton: Skeleton, site: SiteModule, tokens: int) -> int:
    """Return what the neurons of a site take while a batch passes, and what is read of them."""
    item = skeleton.network.dtype.itemsize
    if site.experts is None:
        scratch = min(tokens, _BLOCK_TOKENS) * site.width * 9
        return tokens * item * _NEURON_COPIES * site.width + scratch
    config = skeleton.decoder.config
    # Where the configuration does not say, a token may go to every expert.
    told: Iterable[int | None] = (getattr(config, name, None) for name in _CHOSEN)
    rows = tokens * next(filter(None, told), site.experts.expert_count)
    hidden: int = _ROW_COPIES * config.hidden_size
    scratch = min(rows, _BLOCK_TOKENS) * site.experts.width * 9
    open_ = site.width * max(_OPEN_BYTES, 4 * (tokens // _PROMPT_TOKENS))
    return rows * item * (_NEURON_COPIES * site.experts.width + hidden) + scratch + open_


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
    held = _parameter_bytes(skeleton, skeleton.names[group])
    return held + _reading_bytes(skeleton, skeleton.keys[group])


def _parameter_bytes(skeleton: Skeleton, names: Iterable[str]) -> int:
    return sum(skeleton.parameter(name).nbytes for name in names)


def _together(skeleton: Skeleton, split: Split) -> int:
    """Return the bytes of the pieces of a layer that are there together, at most."""
    return max(
        sum(_parameter_bytes(skeleton, piece.names) for piece in moment) for moment in split.moments
    )


def _stored_bytes(skeleton: Skeleton, keys: Iterable[str]) -> int:
    return sum(skeleton.checkpoint.tensors[key].bytes for key in keys)


def _reading_bytes(skeleton: Skeleton, keys: Iterable[str]) -> int:
    """Return what is held besides while tensors are read, put together and converted."""
    given = tuple(keys)
    stored = [skeleton.checkpoint.tensors[key] for key in given]
    wanted = skeleton.network.dtype
    converted = (tensor.bytes for tensor in stored if tensor.torch_dtype != wanted)
    parts = Counter(skeleton.places[key] for key in given)
    joined = (skeleton.parameter(name).nbytes for name, count in parts.items() if count > 1)
    return sum(nlargest(_LOADERS, converted)) + max(joined, default=0)


def _token_bytes(skeleton: Skeleton, row_tokens: int) -> int:
    """Return the bytes of what is recorded of a token besides its hidden state."""
    ids = np.zeros((1, row_tokens), dtype=np.int64)
    run = decoder_pass(skeleton.decoder, ids, skeleton.device)
    with skeleton.pretended(SURROUNDINGS), quiet_transformers():
        recorded = record(skeleton.layers, run, Shared())
    storages: dict[int, int] = {
        tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes()
        for call in recorded.calls
        for tensor in tensors_of([call.args, call.kwargs])
    }
    return -(-sum(storages.values()) // row_tokens)
