"""Where a model comes from: a directory, a file or the Hub; whole, or without its parameters."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import transformers
from safetensors import SafetensorError
from transformers import AutoConfig, AutoTokenizer, GenerationConfig

from bridgex.capture.alignment import align
from bridgex.capture.checkpoint import open_checkpoint
from bridgex.capture.convert import convert_gguf
from bridgex.capture.costs import Budget, available, measure
from bridgex.capture.digests import weight_files
from bridgex.capture.hub import download
from bridgex.capture.quiet import quiet_transformers
from bridgex.capture.sites import locate_sites
from bridgex.capture.skeleton import make_skeleton
from bridgex.capture.towers import find_decoder, is_wrapper, keep_language, model_class
from bridgex.errors import InvalidInputError, ModelSupportError, NotFoundError

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from bridgex.capture.checkpoint import Checkpoint
    from bridgex.capture.policies import Dtype, Mode
    from bridgex.capture.skeleton import Skeleton
    from bridgex.progress import Reporter
    from bridgex.schema import Site


@dataclass(frozen=True)
class Source:
    """Where parameters come from, and in which form."""

    directory: Path
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
                self.directory,
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
                widths=_widths(skeleton, site),
            )
        except ModelSupportError:
            if mode == "sweep":
                raise
            return None, None
        given = limit or available(self.device) * 9 // 10
        if mode == "auto" and costs.resident <= given:
            return None, None
        return skeleton, Budget(given, costs)

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


def resolve(model: str | Path, *, revision: str | None, progress: Reporter | None) -> Path:
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


def read_config(directory: Path, *, trust_remote_code: bool) -> PreTrainedConfig:
    """Read the configuration of a directory that has weights too."""
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
