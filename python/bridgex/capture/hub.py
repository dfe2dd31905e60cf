"""Fetching a model from the Hub, with one clear message when that fails."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from bridgex.errors import NotFoundError

_SMALL = ["*.json", "*.txt", "*.model", "*.jinja", "*.py"]
# Copies in other formats lie in subfolders, or under this name.
_IGNORED = ["*/*", "consolidated*"]


def download(name: str, *, revision: str | None) -> Path:
    """Return the local snapshot of a model on the Hub, downloaded as far as needed.

    Raises
    ------
    NotFoundError
        When there is no such model or revision, when it needs permission, or when neither the
        network nor an earlier download has it.
    """
    try:
        found = _fetch(name, revision, [*_SMALL, "*.safetensors"])
        if not list(found.glob("*.safetensors")):
            found = _fetch(name, revision, [*_SMALL, "*.bin"])
    except HFValidationError as error:
        raise NotFoundError(
            f"a directory, a .gguf file or a Hub id (owner/name) was expected, {name!r} is none",
            hint="Check the spelling and the working directory.",
        ) from error
    except GatedRepoError as error:
        raise NotFoundError(
            f"the model {name!r} on the Hub needs permission",
            hint="Ask for access on its page, then run `hf auth login`.",
        ) from error
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        where = name if revision is None else f"{name} at revision {revision}"
        raise NotFoundError(
            f"{where!r} is neither a local directory or file nor a public model on the Hub",
            hint="Check the spelling; for a private model, run `hf auth login`.",
        ) from error
    except LocalEntryNotFoundError as error:
        raise NotFoundError(
            f"{name!r} is no local directory or file, and the Hub cannot be reached",
            hint="Check the spelling and the network, or give the directory of a downloaded model.",
        ) from error
    return found


def _fetch(name: str, revision: str | None, patterns: list[str]) -> Path:
    return Path(
        snapshot_download(
            name, revision=revision, allow_patterns=patterns, ignore_patterns=_IGNORED
        )
    )
