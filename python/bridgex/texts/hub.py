"""Files of a dataset on the Hub, each fetched when its turn comes."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bridgex.errors import InvalidInputError, MissingDependencyError, NotFoundError
from bridgex.texts.sources import choose

if TYPE_CHECKING:
    from bridgex.texts.files import TextFile, TextFormat

_ADDRESS = re.compile(
    r"hf://datasets/(?P<name>[^/@]+/[^/@]+)"
    r"(?:@(?P<revision>refs/(?:convert|pr)/[^/]+|[^/]+))?(?:/(?P<path>.*))?"
)


def hub_files(address: str, format_: TextFormat | None) -> tuple[TextFile, ...]:
    """Return the files of a dataset, in the byte order of their paths.

    They are fetched into the Hub's cache one by one as they are read, so that a limit leaves the
    rest where it is, and a second reading needs no network. The revision is that of this moment.

    Parameters
    ----------
    address
        ``hf://datasets/OWNER/NAME[@REVISION][/PATH]``; the path is of a file or folder, or a
        pattern with ``*``.
    format_
        The format of all files, whatever their names say.

    Raises
    ------
    NotFoundError
        When there is no such dataset or file, it needs permission, or the Hub cannot be reached.
    InvalidInputError
        When the address has another form, or no file is of a known kind.
    MissingDependencyError
        When the Hub's client is not installed.
    """
    parts = _ADDRESS.fullmatch(address)
    if parts is None:
        raise InvalidInputError(
            f"expected hf://datasets/OWNER/NAME or hf://datasets/OWNER/NAME/PATH, got {address!r}"
        )
    name, path = parts["name"], (parts["path"] or "").strip("/")
    commit, everything = _listing(name, parts["revision"])
    chosen = sorted((one for one in everything if _is_chosen(one, path)), key=str.encode)
    if not chosen:
        raise NotFoundError(
            f"the dataset {name} on the Hub has no file {path!r}",
            hint="Look its files up on its page.",
        )
    named = [
        (f"hf://datasets/{name}@{commit}/{one}", partial(_fetch, name, commit, one))
        for one in chosen
    ]
    return choose(address, named, format_)


def _is_chosen(file: str, path: str) -> bool:
    if any(part.startswith(".") for part in file.split("/")):
        return False
    return not path or file == path or file.startswith(f"{path}/") or fnmatchcase(file, path)


def _listing(name: str, revision: str | None) -> tuple[str, list[str]]:
    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        raise MissingDependencyError(
            "datasets on the Hub need huggingface_hub", hint="pip install 'bridgex[models]'"
        ) from error
    from huggingface_hub.errors import (  # type: ignore[attr-defined]  # of its HTTP library
        HfHubHTTPError,
        HFValidationError,
        HTTPError,
    )

    try:
        found = HfApi().dataset_info(name, revision=revision)
    except HFValidationError as error:
        raise InvalidInputError(f"{name!r} cannot be the name of a dataset on the Hub") from error
    except HfHubHTTPError as error:
        raise _refused(f"{name} at {revision}" if revision else name, error) from error
    except (HTTPError, OSError) as error:
        raise _unreachable(f"the dataset {name}") from error
    return str(found.sha), [one.rfilename for one in found.siblings or ()]


def _fetch(name: str, commit: str, file: str) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(name, file, repo_type="dataset", revision=commit))
    except LocalEntryNotFoundError as error:
        raise _unreachable(f"{file} of the dataset {name}") from error
    except HfHubHTTPError as error:
        raise _refused(f"{name}/{file}", error) from error


def _refused(what: str, error: Exception) -> NotFoundError:
    return NotFoundError(
        f"the Hub does not give the dataset {what}: {str(error).splitlines()[0]}",
        hint="Check the spelling; for one that needs permission, ask for it on its page and run "
        "`hf auth login`.",
    )


def _unreachable(what: str) -> NotFoundError:
    return NotFoundError(
        f"the Hub cannot be reached for {what}",
        hint="Check the network, or download the files elsewhere and give their directory.",
    )
