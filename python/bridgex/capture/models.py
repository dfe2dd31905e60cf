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

from bridgex.capture.convert import convert_gguf
from bridgex.capture.digests import config_digest, tokenizer_digest, weight_files, weights_digest
from bridgex.capture.hub import download
from bridgex.capture.policies import BATCH_TOKENS, check_choices, check_positive, longest_row
from bridgex.capture.quiet import quiet_transformers
from bridgex.capture.sites import find_family, locate_sites
from bridgex.errors import InvalidInputError, ModelSupportError, NotFoundError
from bridgex.progress import Silent
from bridgex.schema import Provenance

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from bridgex.capture.policies import Dtype, Packing, Positions, Special
    from bridgex.capture.sites import SiteModule
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
        The module to read in every layer.
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

    @property
    def device(self) -> torch.device:
        """Where the model runs."""
        return self.model.device

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
    check_choices(site=site, special=special, positions=positions, packing=packing, dtype=dtype)
    check_positive(batch_tokens=batch_tokens, max_tokens=max_tokens)
    directory = _resolve(model, revision=revision, progress=progress)
    target = _pick_device(device)
    with quiet_transformers():
        config = _read_config(directory, trust_remote_code=trust_remote_code)
        find_family(config.get_text_config().model_type)
        tokenizer = _read_tokenizer(directory, trust_remote_code=trust_remote_code)
        network: Any = _read_network(
            directory,
            dtype=torch.float32 if dtype == "auto" and target.type == "cpu" else dtype,
            trust_remote_code=trust_remote_code,
        )
    network.to(target).eval().requires_grad_(requires_grad=False)
    decoder = network.get_decoder()
    text = decoder.config
    context: int | None = getattr(text, "max_position_embeddings", None)
    longest = longest_row(
        context, packing=packing, batch_tokens=batch_tokens, max_tokens=max_tokens
    )
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
            layer_sizes=tuple(found.width for found in sites),
            site=site,
            policies=policies,
            versions={"torch": torch.__version__, "transformers": transformers.__version__},
        ),
        reporter=progress or Silent(),
    )


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
