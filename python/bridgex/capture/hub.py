"""Models on the Hub: what is fetched of them, and what can be told without their weights."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import SafetensorsParsingError

from bridgex.capture.checkpoint import Checkpoint, StoredTensor, check_dtypes
from bridgex.capture.weights import PICKLED, SAFETENSORS, shards
from bridgex.errors import InvalidInputError, ModelSupportError, NotFoundError
from bridgex.hub import asking_for

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

_CONFIGURATION = ("config.json", "*.py")
_SMALL = (*_CONFIGURATION, "*.json", "*.txt", "*.model", "*.tiktoken", "*.jinja")
_CONNECTIONS = 8


def fetch_configuration(name: str, *, revision: str | None) -> Path:
    """Return a directory with the configuration of a model on the Hub, and its code.

    Raises
    ------
    NotFoundError, InvalidInputError
        When there is none, or it cannot be had.
    """
    return _fetch(name, revision, _CONFIGURATION)


def fetch_small(name: str, *, revision: str | None) -> Path:
    """Return a directory with everything of a model on the Hub but its weights.

    Its name is the commit. What was fetched before is taken from the Hub's cache, also where the
    Hub cannot be reached.

    Raises
    ------
    NotFoundError, InvalidInputError
        When there is no such model or revision, it has no configuration, it needs permission, or
        neither the network nor an earlier download has it.
    """
    directory = _fetch(name, revision, _SMALL)
    if not (directory / "config.json").is_file():
        raise NotFoundError(
            f"a model with a config.json was expected on the Hub, {name!r} has none",
            hint="Give the original model. A .gguf file is given by its path once downloaded.",
        )
    return directory


def fetch_weights(name: str, directory: Path) -> None:
    """Fetch the weights of a model into the directory that ``fetch_small`` returned.

    Of the formats that a model is offered in, that is fetched which transformers reads: safetensors
    files, else pickled ones.

    Raises
    ------
    NotFoundError, InvalidInputError
        When there are none, or they cannot be had.
    """
    for single, index in (SAFETENSORS, PICKLED):
        # The client remarks on names that nothing has, so something is asked for besides.
        _fetch(name, directory.name, ("config.json", single))
        if (directory / single).exists():
            return
        if (directory / index).exists():
            _fetch(name, directory.name, shards(directory / index))
            return
    raise NotFoundError(
        f"a model with {SAFETENSORS[0]} or {PICKLED[0]}, or shards of one, was expected on the "
        f"Hub, {name!r} has none",
        hint="Give the original model: what is made from it may have other files.",
    )


def remote_checkpoint(name: str, directory: Path) -> Checkpoint:
    """Return what the weights of a model on the Hub are. Only the heads of their files are fetched.

    Parameters
    ----------
    name
        The model.
    directory
        What ``fetch_small`` returned.

    Raises
    ------
    NotFoundError, InvalidInputError
        When there are none, they are damaged, or they cannot be had.
    ModelSupportError
        When they are not in safetensors files, or are quantised.

    Notes
    -----
    Cost: some 100 kB for every file.
    """
    commit = directory.name
    api = HfApi()
    with _asking(name, commit):
        single, index = SAFETENSORS
        if api.file_exists(name, single, revision=commit):
            files = [single]
        elif (directory / index).is_file():
            files = shards(directory / index)
        else:
            raise ModelSupportError(
                f"safetensors files are needed to plan without the weights, {name!r} has none on "
                "the Hub",
                hint="Download it and save it once more: AutoModelForCausalLM."
                "from_pretrained(old).save_pretrained(new).",
            )
        head = partial(api.parse_safetensors_file_metadata, name, revision=commit)
        try:
            with ThreadPoolExecutor(_CONNECTIONS) as pool:
                heads = list(pool.map(head, files))
        except SafetensorsParsingError as error:
            raise InvalidInputError(f"the weights of {name!r} are damaged: {error}") from error
    # Numbers that are not here begin nowhere: to read them is an error.
    tensors = {
        tensor: StoredTensor(directory / file, -1, tuple(found.shape), found.dtype)
        for file, head in zip(files, heads, strict=True)
        for tensor, found in head.tensors.items()
    }
    check_dtypes(tensors, name)
    return Checkpoint(tensors)


def _fetch(name: str, revision: str | None, patterns: Sequence[str]) -> Path:
    with _asking(name, revision):
        return Path(
            snapshot_download(
                name,
                revision=revision,
                allow_patterns=list(patterns),
                # Copies in other formats lie in subfolders.
                ignore_patterns=["*/*"],
            )
        )


def _asking(name: str, revision: str | None) -> AbstractContextManager[None]:
    at = "" if revision is None else f" at revision {revision}"
    return asking_for(
        f"the model {name!r}{at}", advice="Check the spelling, and whether a directory was meant"
    )
