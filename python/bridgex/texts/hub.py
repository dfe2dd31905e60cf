"""Files of a dataset on the Hub, each fetched or opened when its turn comes."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import unquote

from bridgex.errors import InvalidInputError, NotFoundError
from bridgex.hub import asking_for
from bridgex.texts.sources import choose

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridgex.texts.files import TextFile, TextFormat

_ADDRESS = re.compile(
    r"hf://datasets/(?P<name>[^/@]+/[^/@]+)"
    r"(?:@(?P<revision>refs/(?:convert|pr)/[^/]+|[^/]+))?(?:/(?P<path>.*))?"
)
_WILD = frozenset("*?[")

STREAMED_FROM = 64 << 20
"""Bytes of a file from which on it is read where it lies, unless it is Parquet."""


def hub_files(address: str, format_: TextFormat | None) -> tuple[TextFile, ...]:
    """Return the files of a dataset, in the byte order of their paths.

    They are fetched into the Hub's cache one by one as they are read, so that a limit leaves the
    rest where it is, and a second reading transfers nothing. Files of at least ``STREAMED_FROM``
    bytes are not, but Parquet: of them no more is transferred than is read, every time that it is
    read, and nothing is kept. The revision is that of this moment.

    Parameters
    ----------
    address
        ``hf://datasets/OWNER/NAME[@REVISION][/PATH]``; the path is of a file or folder, or a
        pattern: ``*`` stands for anything within a name, ``**`` for any folders. A slash in the
        revision is written ``%2F``.
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
    revision = parts["revision"] and unquote(parts["revision"])
    what = f"the dataset {name}" + (f" at revision {revision}" if revision else "")
    with asking_for(what):
        commit, found = _listing(name, revision, path)
    if not found:
        raise NotFoundError(
            f"the dataset {name} on the Hub has no file {path!r}",
            hint="Look its files up on its page.",
        )
    named = [
        (
            f"hf://datasets/{name}@{commit}/{one}",
            partial(_fetch, name, commit, one),
            partial(_stream, name, commit, one, size) if size >= STREAMED_FROM else None,
        )
        for one, size in sorted(found.items(), key=lambda item: item[0].encode())
    ]
    return choose(address, named, format_)


def _listing(name: str, revision: str | None, path: str) -> tuple[str, dict[str, int]]:
    """Return the commit of a revision, and the sizes of the files that a path stands for.

    Of a dataset that may have a million files, only the folder is listed in which they are.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import EntryNotFoundError
    from huggingface_hub.hf_api import RepoFile

    api = HfApi()
    commit = str(api.dataset_info(name, revision=revision, expand=["sha"]).sha)
    there = api.get_paths_info(name, [path], revision=commit, repo_type="dataset") if path else []
    if there and isinstance(there[0], RepoFile):
        return commit, {path: there[0].size}
    names = path.split("/") if path else []
    fixed = names if there else list(takewhile(lambda one: not _WILD & {*one}, names))
    pattern = names[len(fixed) :] or (["**"] if there or not path else [])
    try:
        listed = api.list_repo_tree(
            name, "/".join(fixed) or None, recursive=True, revision=commit, repo_type="dataset"
        )
        files = {one.path: one.size for one in listed if isinstance(one, RepoFile)}
    except EntryNotFoundError:
        return commit, {}
    fits = {one for one in files if _fits(one.split("/")[len(fixed) :], pattern)}
    return commit, {one: files[one] for one in fits}


def _fits(path: Sequence[str], pattern: Sequence[str]) -> bool:
    """Return whether the names of a path are those of a pattern.

    A name that begins with a dot is only fitted by one that does, too.
    """
    if not path or not pattern:
        return not path and not pattern
    first, rest = pattern[0], pattern[1:]
    shown = first.startswith(".") or not path[0].startswith(".")
    if first == "**":
        return _fits(path, rest or ["*"]) or (shown and _fits(path[1:], pattern))
    return shown and fnmatchcase(path[0], first) and _fits(path[1:], rest)


def _fetch(name: str, commit: str, file: str) -> Path:
    from huggingface_hub import hf_hub_download

    with asking_for(f"{file} of the dataset {name}"):
        return Path(hf_hub_download(name, file, repo_type="dataset", revision=commit))


def _stream(name: str, commit: str, file: str, size: int) -> BinaryIO:
    from huggingface_hub import try_to_load_from_cache

    from bridgex.texts.ranges import open_remote

    held = try_to_load_from_cache(name, file, repo_type="dataset", revision=commit)
    return Path(held).open("rb") if isinstance(held, str) else open_remote(name, commit, file, size)
