"""Where a model comes from: a directory, a file or the Hub; whole, or without its parameters."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import torch
import transformers
from safetensors import SafetensorError
from transformers import AutoConfig, AutoTokenizer, GenerationConfig

from bridgex.capture.alignment import align
from bridgex.capture.checkpoint import open_checkpoint
from bridgex.capture.convert import convert_gguf
from bridgex.capture.costs import Budget, available, measure
from bridgex.capture.hub import fetch_small, fetch_weights, remote_checkpoint
from bridgex.capture.quiet import quiet_transformers
from bridgex.capture.sites import locate_sites
from bridgex.capture.skeleton import make_skeleton
from bridgex.capture.towers import find_decoder, is_wrapper, keep_language, model_class
from bridgex.capture.weights import SAFETENSORS, named_files, weight_files, weights_digest
from bridgex.errors import InvalidInputError, ModelSupportError, NotFoundError
from bridgex.progress import Silent

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from bridgex.capture.checkpoint import Checkpoint
    from bridgex.capture.policies import Dtype, Mode
    from bridgex.capture.sites import SiteModule
    from bridgex.capture.skeleton import Skeleton
    from bridgex.progress import Reporter
    from bridgex.schema import Site


@dataclass(frozen=True)
class Place:
    """Where a model's files are.

    Attributes
    ----------
    name
        What the user called the model; of a model on the Hub with the commit.
    directory
        What is here of it.
    remote
        What the weights are, where they are on the Hub alone.
    """

    name: str
    directory: Path
    remote: Checkpoint | None = None

    def checkpoint(self) -> Checkpoint:
        """Return what the safetensors files hold; no tensor is read."""
        return open_checkpoint(self.directory) if self.remote is None else self.remote

    def digest(self) -> str:
        """Return what tells the weights apart; nothing can tell those that are not here."""
        return weights_digest(self.directory) if self.remote is None else ""


@dataclass(frozen=True)
class Source:
    """Where parameters come from, and in which form."""

    place: Place
    config: PreTrainedConfig
    device: torch.device
    dtype: Dtype
    trust_remote_code: bool

    def policies(self, network: Any) -> dict[str, str | int | bool]:
        """Return what of the way in which a model was read changes its numbers."""
        text = find_decoder(network).config
        wrapper = {"part_of": self.config.model_type} if is_wrapper(self.config) else {}
        return {
            **wrapper,
            "dtype": str(network.dtype).removeprefix("torch."),
            "device": self.device.type,
            "attention": str(text._attn_implementation),  # noqa: SLF001  no public name
        }

    def read(self) -> PreTrainedModel:
        """Return the model with all parameters in memory; of a wrapper its language tower."""
        if is_wrapper(self.config):
            try:
                skeleton = self.skeleton()
            except ModelSupportError:
                return self._read_whole()
            skeleton.load_all()
            return skeleton.network
        return self._read_whole()

    def _read_whole(self) -> PreTrainedModel:
        cpu = self.device.type == "cpu"
        with quiet_transformers():
            network: Any = _read_network(
                self.place.directory,
                self.config,
                dtype=torch.float32 if self.dtype == "auto" and cpu else self.dtype,
                trust_remote_code=self.trust_remote_code,
            )
        keep_language(network)
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
                sites=_sites(skeleton, site),
            )
        except ModelSupportError as reason:
            if mode == "sweep":
                raise
            self._check_room(limit, reason)
            return None, None
        given = limit or available(self.device) * 9 // 10
        if mode == "auto" and costs.resident <= given:
            return None, None
        return skeleton, Budget(given, costs)

    def _check_room(self, limit: int | None, reason: ModelSupportError) -> None:
        """Refuse a model that does not fit and that nothing but the whole of can be read."""
        files = () if self.place.remote else weight_files(self.place.directory)
        size = sum(file.stat().st_size for file in files)
        if limit is not None and size > limit:
            raise ModelSupportError(
                f"a model that fits into {limit:,} bytes, or that can be read layer by layer, was "
                f"expected; its weights take {size:,} bytes, and {reason.message}",
                hint="Give a larger --memory-limit, or --mode resident to hold it whole anyway.",
            ) from reason

    def skeleton(self) -> Skeleton:
        """Return the model without its parameters."""
        checkpoint = self.place.checkpoint()
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
        directory = self.place.directory
        if (directory / "generation_config.json").is_file():
            return GenerationConfig.from_pretrained(directory)
        return network.generation_config


def _sites(skeleton: Skeleton, site: Site) -> tuple[SiteModule, ...]:
    text = skeleton.decoder.config
    return locate_sites(skeleton.decoder, text.num_hidden_layers, text.model_type, site)


def locate(
    model: str | Path, *, revision: str | None, weights: bool, progress: Reporter | None
) -> Place:
    """Return where a model is, downloaded or converted where necessary.

    Without ``weights``, those of a model on the Hub stay there.
    """
    path = Path(model).expanduser()
    if path.suffix == ".gguf":
        return Place(str(model), convert_gguf(path, progress=progress))
    if not path.exists() and is_hub_name(model):
        return _on_hub(str(model), revision, weights=weights, progress=progress or Silent())
    if not path.is_dir():
        _refuse(path)
    return Place(str(model), path)


def is_hub_name(model: str | Path) -> bool:
    """Return whether something that is not here can be the name of a model on the Hub."""
    return isinstance(model, str) and not model.startswith((".", "/", "~"))


def _on_hub(name: str, revision: str | None, *, weights: bool, progress: Reporter) -> Place:
    directory = fetch_small(name, revision=revision)
    full_name = f"{name}@{directory.name}"
    files = named_files(directory, SAFETENSORS)
    present = bool(files) and all(file.is_file() for file in files)
    if not weights and not present:
        return Place(full_name, directory, remote_checkpoint(name, directory))
    if not present:
        progress.note(f"fetching the weights of {full_name} into the Hub's cache")
        fetch_weights(name, directory)
    return Place(full_name, directory)


def _refuse(path: Path) -> NoReturn:
    if path.exists():
        raise InvalidInputError(
            f"a model's directory, a .gguf file or a Hub id was expected, {path} is another file"
        )
    raise NotFoundError(
        f"a model was expected at {path}, there is nothing",
        hint="Check the path and the working directory.",
    )


def pick_device(device: str) -> torch.device:
    """Return the device of that name, or the best there is."""
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


def read_config(place: Place, *, trust_remote_code: bool) -> PreTrainedConfig:
    """Read the configuration of a model that has weights too."""
    directory = place.directory
    if not (directory / "config.json").is_file():
        raise InvalidInputError(
            f"a model directory with a config.json was expected, {directory} has none",
            hint="Give the directory that holds config.json, the tokenizer and the weights.",
        )
    if place.remote is None:
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


def read_tokenizer(directory: Path, *, trust_remote_code: bool) -> PreTrainedTokenizerBase:
    """Read the tokenizer of a directory."""
    try:
        return AutoTokenizer.from_pretrained(directory, trust_remote_code=trust_remote_code)
    except (OSError, ValueError, KeyError) as error:
        raise InvalidInputError(
            f"a tokenizer was expected in {directory}: {_first_line(error)}",
            hint="Put the model's tokenizer files beside its weights.",
        ) from error


def _read_network(
    directory: Path, config: PreTrainedConfig, *, dtype: torch.dtype | str, trust_remote_code: bool
) -> PreTrainedModel:
    """Load the parameters; one that is missing is an error, never a random number."""
    try:
        loaded: Any = model_class(config).from_pretrained(
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


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", maxsplit=1)[0]
