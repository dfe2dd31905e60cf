"""Opening a model: from a name to a decoder whose neurons can be read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import transformers
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from bridgex.capture.alignment import align
from bridgex.capture.checkpoint import open_checkpoint
from bridgex.capture.convert import convert_gguf
from bridgex.capture.costs import available, measure
from bridgex.capture.digests import config_digest, tokenizer_digest, weight_files, weights_digest
from bridgex.capture.experts import compute_experts_here
from bridgex.capture.hub import download
from bridgex.capture.policies import BATCH_TOKENS, check_choices, check_positive, longest_row
from bridgex.capture.quiet import quiet_transformers
from bridgex.capture.sites import find_family, layer_experts, layer_sizes, locate_sites
from bridgex.capture.skeleton import make_skeleton
from bridgex.errors import InvalidInputError, ModelSupportError, NotFoundError
from bridgex.progress import Silent
from bridgex.schema import Provenance

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from bridgex.capture.checkpoint import Checkpoint
    from bridgex.capture.costs import Costs
    from bridgex.capture.policies import Dtype, Mode, Packing, Positions, Special
    from bridgex.capture.sites import SiteModule
    from bridgex.capture.skeleton import Skeleton
    from bridgex.progress import Reporter
    from bridgex.schema import Site


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
    directory = _resolve(model, revision=revision, progress=progress)
    target = _pick_device(device)
    with quiet_transformers():
        config = _read_config(directory, trust_remote_code=trust_remote_code)
        find_family(config.get_text_config().model_type)
        tokenizer = _read_tokenizer(directory, trust_remote_code=trust_remote_code)
    context: int | None = getattr(config.get_text_config(), "max_position_embeddings", None)
    longest = longest_row(
        context, packing=packing, batch_tokens=batch_tokens, max_tokens=max_tokens
    )
    source = _Source(directory, config, target, dtype, trust_remote_code)
    skeleton, budget = source.choose(
        mode, limit=memory_limit, site=site, batch_tokens=batch_tokens, row_tokens=longest
    )
    network: Any = source.read() if skeleton is None else skeleton.network
    compute_experts_here(network)
    decoder = network.get_decoder()
    text = decoder.config
    sites = locate_sites(decoder, text.num_hidden_layers, text.model_type, site)
    policies = {
        "special": special,
        "positions": positions,
        "packing": packing,
        "batch_tokens": batch_tokens,
        "max_tokens": longest,
        "dtype": str(network.dtype).removeprefix("torch."),
        "device": target.type,
        "attention": str(text._attn_implementation),  # noqa: SLF001  (no public name exists)
    }
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
        provenance=Provenance(
            model=str(model),
            architecture=text.model_type,
            weights=weights_digest(directory),
            config=config_digest(config),
            tokenizer=tokenizer_digest(tokenizer),
            layer_sizes=layer_sizes(sites, text.num_hidden_layers),
            site=site,
            policies=policies,
            versions={"torch": torch.__version__, "transformers": transformers.__version__},
            experts=layer_experts(sites, text.num_hidden_layers),
        ),
        reporter=progress or Silent(),
        skeleton=skeleton,
        budget=budget,
    )


@dataclass(frozen=True)
class _Source:
    """Where parameters come from, and in which form."""

    directory: Path
    config: PreTrainedConfig
    device: torch.device
    dtype: Dtype
    trust_remote_code: bool

    def read(self) -> PreTrainedModel:
        """Return the model with all parameters in memory."""
        cpu = self.device.type == "cpu"
        with quiet_transformers():
            network: Any = _read_network(
                self.directory,
                dtype=torch.float32 if self.dtype == "auto" and cpu else self.dtype,
                trust_remote_code=self.trust_remote_code,
            )
        network.to(self.device).eval().requires_grad_(requires_grad=False)
        align(network.parameters())
        found: PreTrainedModel = network
        return found

    def choose(
        self, mode: Mode, *, limit: int | None, site: Site, batch_tokens: int, row_tokens: int
    ) -> tuple[Skeleton | None, Budget | None]:
        """Return the model without parameters and its budget where it is to be swept."""
        if mode == "resident":
            return None, None
        try:
            skeleton = self.skeleton()
            costs = measure(
                skeleton,
                batch_tokens=batch_tokens,
                row_tokens=row_tokens,
                widths=_widths(skeleton, site),
            )
        except ModelSupportError:
            if mode == "sweep":
                raise
            return None, None
        given = limit or available(self.device) * 9 // 10
        if mode == "auto" and costs.resident <= given:
            return None, None
        return skeleton, Budget.of(costs, given)

    def skeleton(self) -> Skeleton:
        """Return the model without its parameters."""
        checkpoint = open_checkpoint(self.directory)
        with quiet_transformers():
            made = make_skeleton(
                self.config,
                checkpoint,
                dtype=self._skeleton_dtype(checkpoint),
                device=self.device,
                trust_remote_code=self.trust_remote_code,
            )
            made.network.generation_config = _greedy(self._generation(made.network))
        return made

    def _skeleton_dtype(self, checkpoint: Checkpoint) -> torch.dtype:
        if self.dtype != "auto":
            named: torch.dtype = getattr(torch, self.dtype)
            return named
        if self.device.type == "cpu":
            return torch.float32
        found = self.config.dtype
        return found if isinstance(found, torch.dtype) else checkpoint.dtype

    def _generation(self, network: Any) -> Any:
        if (self.directory / "generation_config.json").is_file():
            return GenerationConfig.from_pretrained(self.directory)
        return network.generation_config


def _widths(skeleton: Skeleton, site: Site) -> list[int]:
    text = skeleton.decoder.config
    sites = locate_sites(skeleton.decoder, text.num_hidden_layers, text.model_type, site)
    return [found.width for found in sites]


def _resolve(model: str | Path, *, revision: str | None, progress: Reporter | None) -> Path:
    """Return the local directory of a model, converted or downloaded where necessary."""
    path = Path(model).expanduser()
    if path.suffix == ".gguf":
        return convert_gguf(path, progress=progress)
    if path.is_dir():
        return path
    if path.exists():
        raise InvalidInputError(
            f"a model's directory, a .gguf file or a Hub id was expected, {path} is another file"
        )
    if isinstance(model, Path) or str(model).startswith((".", "/", "~")):
        raise NotFoundError(
            f"a model was expected at {path}, there is nothing",
            hint="Check the path and the working directory.",
        )
    return download(str(model), revision=revision)


def _pick_device(device: str) -> torch.device:
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as error:
        raise InvalidInputError(
            f"a device that exists here was expected, {device!r} is none",
            hint="Use --device auto, cpu, cuda or mps.",
        ) from error


def _read_config(directory: Path, *, trust_remote_code: bool) -> PreTrainedConfig:
    if not (directory / "config.json").is_file():
        raise InvalidInputError(
            f"a model directory with a config.json was expected, {directory} has none",
            hint="Give the directory that holds config.json, the tokenizer and the weights.",
        )
    weight_files(directory)
    try:
        config: PreTrainedConfig = AutoConfig.from_pretrained(
            directory, trust_remote_code=trust_remote_code
        )
    except (OSError, ValueError, KeyError) as error:
        raise ModelSupportError(
            f"a configuration that transformers {transformers.__version__} knows was expected in "
            f"{directory}: {_first_line(error)}",
            hint="Update transformers, or give trust_remote_code if you trust the model's code.",
        ) from error
    return config


def _read_tokenizer(directory: Path, *, trust_remote_code: bool) -> PreTrainedTokenizerBase:
    try:
        return AutoTokenizer.from_pretrained(directory, trust_remote_code=trust_remote_code)
    except (OSError, ValueError, KeyError) as error:
        raise InvalidInputError(
            f"a tokenizer was expected in {directory}: {_first_line(error)}",
            hint="Put the model's tokenizer files beside its weights.",
        ) from error


def _read_network(
    directory: Path, *, dtype: torch.dtype | str, trust_remote_code: bool
) -> PreTrainedModel:
    """Load the parameters; one that is missing is an error, never a random number."""
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            directory,
            dtype=dtype,
            trust_remote_code=trust_remote_code,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise InvalidInputError(
            f"the weights in {directory} could not be loaded: {_first_line(error)}",
            hint="Download the model again, or check the disk and memory.",
        ) from error
    network: PreTrainedModel = loaded[0]
    missing = sorted(loaded[1]["missing_keys"])
    if missing:
        raise ModelSupportError(
            f"the checkpoint in {directory} lacks {len(missing)} parameters of its architecture, "
            f"{missing[0]!r} among them",
            hint="Use the complete weights of a causal language model.",
        )
    network.generation_config = _greedy(network.generation_config)
    return network


def _greedy(given: Any) -> Any:
    """Keep the marks of beginning, end and padding; penalties and sampling are not ours."""
    plain: Any = GenerationConfig
    return plain(
        bos_token_id=given.bos_token_id,
        eos_token_id=given.eos_token_id,
        pad_token_id=given.pad_token_id,
        do_sample=False,
    )


def _special_ids(tokenizer: PreTrainedTokenizerBase) -> NDArray[np.int64]:
    added = [id_ for id_, token in tokenizer.added_tokens_decoder.items() if token.special]
    return np.unique(np.array([*tokenizer.all_special_ids, *added], dtype=np.int64))


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", maxsplit=1)[0]
