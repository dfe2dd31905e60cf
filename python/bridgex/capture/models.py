"""Opening a model: from a name to a decoder whose neurons can be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import transformers

from bridgex.capture.digests import config_digest, tokenizer_digest
from bridgex.capture.experts import compute_experts_here
from bridgex.capture.policies import BATCH_TOKENS, check_choices, check_positive, longest_row
from bridgex.capture.quiet import quiet_transformers
from bridgex.capture.sites import layer_experts, layer_sizes, locate_sites
from bridgex.capture.sources import Source, locate, pick_device, read_config, read_tokenizer
from bridgex.capture.towers import family_of, find_decoder
from bridgex.progress import Silent
from bridgex.schema import Provenance

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from bridgex.capture.costs import Budget
    from bridgex.capture.policies import Dtype, Mode, Packing, Positions, Special
    from bridgex.capture.sites import SiteModule
    from bridgex.capture.skeleton import Skeleton
    from bridgex.capture.sources import Place
    from bridgex.progress import Reporter
    from bridgex.schema import Site


@dataclass(frozen=True, eq=False)
class CaptureModel:
    """A model whose neurons can be read, and every choice that changes their numbers.

    Attributes
    ----------
    model, decoder, tokenizer
        The causal language model, the part of it without the head, and its tokenizer.
    sites
        The modules to read in all layers, in the order of their neurons.
    special
        Whether special tokens count: ``exclude`` or ``include``.
    positions
        Which tokens of a probe enter its mean: ``prompt`` (all of its own), ``last``, or ``all``
        (special ones too).
    packing
        How text is laid out in rows: ``buckets`` (every record alone) or ``concat`` (joined).
    batch_tokens
        Tokens of one forward pass, at most (a longer row is a batch of its own).
    max_tokens
        Longest row: a window of a long record, or a block of joined ones.
    context_length
        Longest input of the model, None where it has no limit.
    special_ids
        Ids of the special tokens, sorted.
    provenance
        Identity of everything above.
    reporter
        Hears what a user should know of passes through the model.
    skeleton, budget
        Of a model that is larger than memory: where its parameters come from, one layer at a
        time, and how much memory that may take. None of one that is in memory.
    """

    model: PreTrainedModel
    decoder: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    sites: tuple[SiteModule, ...]
    special: Special
    positions: Positions
    packing: Packing
    batch_tokens: int
    max_tokens: int
    context_length: int | None
    special_ids: NDArray[np.int64]
    provenance: Provenance
    reporter: Reporter
    skeleton: Skeleton | None = None
    budget: Budget | None = None

    @property
    def device(self) -> torch.device:
        """Where the model runs."""
        return self.model.device if self.skeleton is None else self.skeleton.device

    def is_special(self, ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which token ids are special, in the shape of ``ids``."""
        return np.isin(ids, self.special_ids)


def load_model(
    model: str | Path,
    *,
    site: Site = "act",
    device: str = "auto",
    dtype: Dtype = "auto",
    revision: str | None = None,
    trust_remote_code: bool = False,
    batch_tokens: int = BATCH_TOKENS,
    max_tokens: int | None = None,
    special: Special = "exclude",
    positions: Positions = "prompt",
    packing: Packing = "buckets",
    mode: Mode = "auto",
    memory_limit: int | None = None,
    weights: bool = True,
    progress: Reporter | None = None,
) -> CaptureModel:
    """Open a causal language model for capture.

    Parameters
    ----------
    model
        A Hub id, a directory in the Hub's layout, or a ``.gguf`` file, which is converted once
        into the user's cache.
    site
        ``act``: output of the feed-forward non-linearity; ``post``: input of the down projection.
    device
        ``auto`` (CUDA, MPS or CPU, the first that exists), or a torch device.
    dtype
        ``auto`` is float32 on a CPU, where bfloat16 is several times slower, and the
        checkpoint's own elsewhere.
    revision
        Branch, tag or commit on the Hub.
    trust_remote_code
        Run code that the model brings along.
    batch_tokens
        Tokens of one forward pass, at most. Part of the identity: another value rounds differently.
    max_tokens
        Longest row. Default: ``batch_tokens``, under ``concat`` 2,048, or the model's context
        where that is shorter.
    special
        ``exclude`` special tokens from what counts, or ``include`` them.
    positions
        Tokens of a probe that enter its mean. ``prompt``: all of its own, and special ones where
        they are included; ``last``: the last of its own; ``all``: every one, special or not, as
        in the published scripts.
    packing
        How the records of a part become rows. ``buckets``: each alone, longer ones in windows of
        ``max_tokens``. ``concat``: their tokens joined and cut into blocks of ``max_tokens``, as
        published; records run into each other, and the marks that the tokenizer adds to every
        text are left out where special tokens do not count.
    mode
        ``resident``: the whole model is in memory. ``sweep``: one layer at a time is, and all
        text that fits beside it passes through. ``auto``: resident where that fits into the
        limit. The numbers are the same, so it is no part of the identity.
    memory_limit
        Bytes that the process may use, or on another device than the CPU, that device. Default:
        what is available.
    weights
        Whether the weights are needed. Without them a capture can be planned, and weights that are
        on the Hub alone are not downloaded: only their files' heads, with names and shapes.
    progress
        Told what is going on when it takes long, and later what a user should know of passes
        through the model.

    Returns
    -------
    CaptureModel

    Raises
    ------
    NotFoundError
        When there is no such file, directory or Hub id, or no way to reach the Hub.
    InvalidInputError
        When an option is out of range or the files are no model.
    ModelSupportError
        When the architecture is unknown or the checkpoint lacks parameters.
    MissingDependencyError
        When a package is absent that this kind of file needs.
    """
    check_choices(
        site=site, special=special, positions=positions, packing=packing, dtype=dtype, mode=mode
    )
    check_positive(batch_tokens=batch_tokens, max_tokens=max_tokens, memory_limit=memory_limit)
    place = locate(model, revision=revision, weights=weights, progress=progress)
    target = pick_device(device)
    with quiet_transformers():
        config = read_config(place, trust_remote_code=trust_remote_code)
        family_of(config)
        tokenizer = read_tokenizer(place.directory, trust_remote_code=trust_remote_code)
    context: int | None = getattr(config.get_text_config(), "max_position_embeddings", None)
    longest = longest_row(
        context, packing=packing, batch_tokens=batch_tokens, max_tokens=max_tokens
    )
    source = Source(place, config, target, dtype, trust_remote_code)
    skeleton, budget = source.choose(
        mode, limit=memory_limit, site=site, batch_tokens=batch_tokens, row_tokens=longest
    )
    network: Any = source.read() if skeleton is None else skeleton.network
    compute_experts_here(network)
    decoder = find_decoder(network)
    text = decoder.config
    sites = locate_sites(decoder, text.num_hidden_layers, text.model_type, site)
    return CaptureModel(
        model=network,
        decoder=decoder,
        tokenizer=tokenizer,
        sites=sites,
        special=special,
        positions=positions,
        packing=packing,
        batch_tokens=batch_tokens,
        max_tokens=longest,
        context_length=context,
        special_ids=_special_ids(tokenizer),
        provenance=_provenance(
            place,
            config,
            text,
            tokenizer,
            sites,
            {
                "special": special,
                "positions": positions,
                "packing": packing,
                "batch_tokens": batch_tokens,
                "max_tokens": longest,
                **source.policies(network),
            },
        ),
        reporter=progress or Silent(),
        skeleton=skeleton,
        budget=budget,
    )


def _provenance(
    place: Place,
    config: PreTrainedConfig,
    text: PreTrainedConfig,
    tokenizer: PreTrainedTokenizerBase,
    sites: Sequence[SiteModule],
    policies: dict[str, str | int | bool],
) -> Provenance:
    layers = text.num_hidden_layers
    return Provenance(
        model=place.name,
        architecture=text.model_type,
        weights=place.digest(),
        config=config_digest(config),
        tokenizer=tokenizer_digest(tokenizer),
        layer_sizes=layer_sizes(sites, layers),
        site=sites[0].site,
        policies=policies,
        versions={"torch": torch.__version__, "transformers": transformers.__version__},
        experts=layer_experts(sites, layers),
    )


def _special_ids(tokenizer: PreTrainedTokenizerBase) -> NDArray[np.int64]:
    added = [id_ for id_, token in tokenizer.added_tokens_decoder.items() if token.special]
    return np.unique(np.array([*tokenizer.all_special_ids, *added], dtype=np.int64))
