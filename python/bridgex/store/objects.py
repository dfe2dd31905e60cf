# ruff: noqa: D102  # what the methods do is said once, in Folder
"""Stores on object storage: S3 and what speaks its language, Google Cloud Storage, Azure.

A part exists when its marker does, and a marker is put on the condition that there is none: that
is all the protocol needs. An object is whole when it is there, and lasts when its put is answered.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from bridgex.errors import InvalidInputError, MissingDependencyError, StoreError
from bridgex.store.files import StoredFile, checksum
from bridgex.store.folder import Entry, Folder
from bridgex.store.layout import TEMPORARY_PREFIX

try:
    import obstore
    from obstore import parse_scheme
    from obstore.exceptions import (
        AlreadyExistsError,
        BaseError,
        NotSupportedError,
        PermissionDeniedError,
        UnauthenticatedError,
    )
    from obstore.store import from_url
except ImportError as error:
    raise MissingDependencyError(
        "stores on object storage need the Python package 'obstore', which is not installed",
        hint="pip install 'bridgex[s3]'",
    ) from error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Future

    import numpy as np
    from numpy.typing import NDArray
    from obstore import ObjectMeta
    from obstore.store import ObjectStore, RetryConfig

    from bridgex.store.folder import Item, Result

_REQUESTS = 16
"""Objects that are read at once: latency is what they wait for."""

_UPLOADS = 4
"""Objects that are written at once. Large ones are sent in pieces, many at once, anyway."""

_RETRY: RetryConfig = {
    "max_retries": 4,
    "retry_timeout": timedelta(seconds=60),
    "backoff": {"max_backoff": timedelta(seconds=5)},
}
_ACCESS_HINT = (
    "Give credentials that may read, write and list there, as the environment variables of the "
    "service (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, ...)."
)
_REFUSED = re.compile(r"status code: 40[13]\b")
_MEANINGS = {
    "NoSuchBucket": "there is no such bucket",
    "169.254.169.254": "no credentials were given, and this machine has none of its own",
}
"""What a piece of an answer means. The address is where a machine in a cloud asks who it is."""

_REACH_HINT = (
    "Check the address, the connection and the credentials; for a service other than Amazon's, "
    "AWS_ENDPOINT_URL (and AWS_ALLOW_HTTP=true for http://) as well."
)


def open_objects(url: str) -> ObjectFolder:
    """Return the place that an address names; nothing is sent to it yet.

    Raises
    ------
    InvalidInputError
        If it is not the address of an object store.
    """
    hint = "Use an address such as s3://bucket/path, or a local path."
    try:
        if parse_scheme(url) in ("local", "memory"):
            raise InvalidInputError(
                f"expected the address of an object store or a local path, got {url}", hint=hint
            )
        store = from_url(url, retry_config=_RETRY)
    except BaseError as error:
        raise InvalidInputError(
            f"cannot use the address {url} for a store: {_first_line(error)}", hint=hint
        ) from error
    return ObjectFolder(url, store)


class ObjectFolder(Folder):
    """Objects below an address.

    Every method does what it says in ``Folder``; all of them raise StoreError where the service
    does not answer or refuses.

    Parameters
    ----------
    url
        The address, as messages show it.
    store
        The objects below it.
    """

    def __init__(self, url: str, store: ObjectStore) -> None:
        self._url = url.rstrip("/")
        self._store = store

    def display(self, path: str = "") -> str:
        return f"{self._url}/{path}" if path else self._url

    def exists(self, path: str = "") -> bool:
        if not path:
            return any(not entry.path.startswith(TEMPORARY_PREFIX) for entry in self.walk())
        try:
            with self._explained(path):
                obstore.head(self._store, path)
        except FileNotFoundError:
            return False
        return True

    def read(self, path: str) -> bytes:
        with self._explained(path):
            return obstore.get(self._store, path).bytes().to_bytes()

    def each(self, read: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        if len(items) < 2:  # noqa: PLR2004  # there is nothing to wait for meanwhile
            return [read(item) for item in items]
        with ThreadPoolExecutor(_REQUESTS) as pool:
            return list(pool.map(read, items))

    def names(self, path: str = "") -> list[str]:
        return _last(entry["path"] for entry in self._listed(path)["objects"])

    def folders(self, path: str = "") -> list[str]:
        return _last(self._listed(path)["common_prefixes"])

    def _listed(self, path: str) -> Any:
        with self._explained(path):
            return obstore.list_with_delimiter(self._store, path or None)

    def walk(self, path: str = "") -> Iterator[Entry]:
        found = False
        with self._explained(path):
            for batch in obstore.list(self._store, path or None):
                found = True
                yield from map(_entry, batch)
        if path and not found:
            with suppress(FileNotFoundError), self._explained(path):
                yield _entry(obstore.head(self._store, path))

    def newest(self, path: str) -> float | None:
        return max((entry.modified for entry in self.walk(path)), default=None)

    def check_exclusive(self) -> None:
        if not self._is_exclusive:
            raise StoreError(
                f"{self._url} lets two writers create the same object, so workers that write to "
                "it at once would overwrite each other's work",
                hint="Use a service that honours conditional puts (If-None-Match: *), or a local "
                "path.",
            )

    @cached_property
    def _is_exclusive(self) -> bool:
        """Whether creating an object twice fails, as tried once with an object of its own."""
        path = f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}.tmp"
        try:
            self._create(path, b"first")
            return not self._create(path, b"second")
        except NotSupportedError:
            return False
        finally:
            with suppress(StoreError):  # who may only add can be a writer as well
                self.remove([path])

    def create_exclusively(self, path: str, content: bytes) -> bool:
        self.check_exclusive()
        # A request whose answer was lost is repeated: then it is this writer's own object.
        return self._create(path, content) or self.read(path) == content

    def _create(self, path: str, content: bytes) -> bool:
        try:
            with self._explained(path):
                obstore.put(self._store, path, content, mode="create", use_multipart=False)
        except AlreadyExistsError:
            return False
        return True

    def write_files(
        self, path: str, contents: Iterable[tuple[str, NDArray[np.uint8]]]
    ) -> dict[str, StoredFile]:
        under_way: dict[str, Future[StoredFile]] = {}
        try:
            with ThreadPoolExecutor(_UPLOADS) as pool:
                for name, content in contents:
                    under_way[name] = pool.submit(self._put, f"{path}/{name}", content)
                    # What waits is in memory: not more than is under way.
                    wait(list(under_way.values())[:-_UPLOADS])
                return {name: put.result() for name, put in under_way.items()}
        except BaseException:
            self.remove_tree(path)
            raise

    def _put(self, path: str, content: NDArray[np.uint8]) -> StoredFile:
        with self._explained(path):
            obstore.put(self._store, path, content)
        return StoredFile(len(content), checksum(content))

    def measure(self, path: str) -> StoredFile:
        content = self.read(path)
        return StoredFile(len(content), checksum(content))

    def remove(self, paths: Sequence[str]) -> None:
        try:
            with self._explained(paths[0] if paths else ""):
                obstore.delete(self._store, list(paths))
        except FileNotFoundError:
            # One that is not there may have kept others of the request from being removed.
            self.each(self._remove_one, paths)

    def _remove_one(self, path: str) -> None:
        with suppress(FileNotFoundError), self._explained(path):
            obstore.delete(self._store, path)

    def flush(self, path: str) -> None:
        """Do nothing: an object that was removed stays removed."""

    def remove_empty(self, path: str) -> None:
        """Do nothing: object storage has no directories."""

    def remove_tree(self, path: str) -> None:
        with suppress(StoreError):
            self.remove([entry.path for entry in self.walk(path)])

    @contextmanager
    def _explained(self, path: str) -> Iterator[None]:
        """Turn what the service answers into an error that says what to do."""
        try:
            yield
        except (AlreadyExistsError, NotSupportedError):
            raise
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise self._unreachable(path, error) from error
            missing = os.strerror(errno.ENOENT)
            raise FileNotFoundError(errno.ENOENT, missing, self.display(path)) from None
        except (BaseError, ValueError, OSError) as error:
            raise self._unreachable(path, error) from error

    def _unreachable(self, path: str, error: Exception) -> StoreError:
        known = [meaning for sign, meaning in _MEANINGS.items() if sign in str(error)]
        refused = isinstance(error, (PermissionDeniedError, UnauthenticatedError))
        if not known and (refused or _REFUSED.search(str(error))):
            return StoreError(f"access to {self.display(path)} is refused", hint=_ACCESS_HINT)
        what = known[0] if known else _first_line(error)
        return StoreError(f"cannot reach {self}: {what}", hint=_REACH_HINT)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _entry(found: ObjectMeta) -> Entry:
    return Entry(found["path"], found["size"], found["last_modified"].timestamp())


def _last(paths: Iterable[str]) -> list[str]:
    """Return the last pieces of paths, sorted."""
    return sorted(path.rpartition("/")[2] for path in paths)
