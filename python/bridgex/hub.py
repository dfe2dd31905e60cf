"""What the Hub does not give: of models and texts alike what was asked for, why, what to do."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from bridgex.errors import MissingDependencyError, NotFoundError

try:
    from huggingface_hub.errors import (  # type: ignore[attr-defined]  # of its HTTP library
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        HTTPError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RemoteEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )
except ImportError as missing:
    raise MissingDependencyError(
        "models and datasets on the Hub need huggingface_hub", hint="pip install 'bridgex[models]'"
    ) from missing

if TYPE_CHECKING:
    from collections.abc import Iterator

# Of every error its message and hint; the first one that fits counts.
_MESSAGES: tuple[tuple[type[Exception], str, str], ...] = (
    (
        HFValidationError,
        "{what} cannot be on the Hub: names there have the form owner/name",
        "{advice}.",
    ),
    (
        GatedRepoError,
        "{what} needs permission on the Hub",
        "Ask for access on its page, then run `hf auth login`.",
    ),
    (
        RepositoryNotFoundError,
        "{what} is not on the Hub, or it is private",
        "{advice}; for a private one, run `hf auth login`.",
    ),
    (
        RevisionNotFoundError,
        "{what} is not on the Hub: there is no such revision",
        "Look its branches, tags and commits up on its page.",
    ),
    (
        RemoteEntryNotFoundError,
        "{what} is not on the Hub: there is no such file",
        "Look its files up on its page.",
    ),
    (
        HfHubHTTPError,
        "the Hub refused {what}: {said}",
        "Give the same command again later, or with another account (`hf auth login`).",
    ),
    (
        OfflineModeIsEnabled,
        "{what} is not in the Hub's cache, and HF_HUB_OFFLINE forbids to fetch it",
        "Unset HF_HUB_OFFLINE, or give the directory of files that are here.",
    ),
    (
        HTTPError,
        "the Hub cannot be reached for {what}: {said}",
        "Check the network and give the same command again: files that are here are kept.",
    ),
    (
        OSError,
        "{what} could not be fetched from the Hub: {said}",
        "Check the network, and the space and rights of the Hub's cache (HF_HOME).",
    ),
)


@contextmanager
def asking_for(what: str, *, advice: str = "Check the spelling") -> Iterator[None]:
    """Say in one message that the Hub does not give what is asked for within the block.

    Parameters
    ----------
    what
        What is asked for, with its revision, as the subject of a sentence.
    advice
        What to do if there is no such thing.

    Raises
    ------
    NotFoundError
        When there is no such thing, it needs permission, or neither the Hub nor its cache has it.
    """
    try:
        yield
    except (HFValidationError, HTTPError, OSError) as error:
        raise _explain(what, error, advice) from error


def _explain(what: str, error: Exception, advice: str) -> NotFoundError:
    if isinstance(error, LocalEntryNotFoundError) and isinstance(error.__cause__, Exception):
        # It says that there is no copy either, and its cause says why one was needed.
        return _explain(what, error.__cause__, advice)
    said = str(error).strip().partition("\n")[0] or type(error).__name__
    message, hint = next(texts for kind, *texts in _MESSAGES if isinstance(error, kind))
    return NotFoundError(message.format(what=what, said=said), hint=hint.format(advice=advice))
