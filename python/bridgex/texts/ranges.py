"""A file of a dataset on the Hub that is read where it lies, by range requests."""

from __future__ import annotations

import io
import shlex
from typing import TYPE_CHECKING, BinaryIO

from huggingface_hub import hf_hub_url
from huggingface_hub.constants import HF_HUB_DOWNLOAD_TIMEOUT
from huggingface_hub.utils import (  # type: ignore[attr-defined]  # it does so on first use
    build_hf_headers,
    hf_raise_for_status,
    http_backoff,
)

from bridgex.errors import NotFoundError
from bridgex.hub import asking_for

if TYPE_CHECKING:
    from typing_extensions import Buffer

BLOCK = 8 << 20
"""Bytes of a request. The Hub limits requests, not bytes: smaller blocks would be held up by it."""

_PARTIAL_CONTENT = 206


def open_remote(dataset: str, commit: str, path: str, size: int) -> BinaryIO:
    """Open a file of which nothing is kept on a disk. Nothing is asked for yet.

    A request that breaks off is made again by the Hub's client, a few times with growing pauses;
    between requests no connection is needed, however long what was read is worked on.

    Parameters
    ----------
    dataset, commit, path
        Name of the dataset, the commit and the file's path in it.
    size
        The file's bytes.

    Returns
    -------
    BinaryIO
        Raises ``NotFoundError`` on reading, when the Hub does not give what was asked for.

    Notes
    -----
    Memory: one block of ``BLOCK`` bytes, and two more while the next one arrives.
    """
    return io.BufferedReader(_Ranges(dataset, commit, path, size), BLOCK)


class _Ranges(io.RawIOBase):
    def __init__(self, dataset: str, commit: str, path: str, size: int) -> None:
        self._what = f"{path} of the dataset {dataset}"
        self._fetch_whole = shlex.join(
            ["hf", "download", dataset, path, "--repo-type", "dataset", "--revision", commit]
        )
        self._url = hf_hub_url(dataset, path, repo_type="dataset", revision=commit)
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        with memoryview(buffer) as held:
            wanted = min(len(held), self._size - self._at)
            if wanted:
                held[:wanted] = self._range(self._at, self._at + wanted)
        self._at += wanted
        return wanted

    def _range(self, start: int, end: int) -> bytes:
        # Ranges count the bytes of what is sent: no coding on the way may change them.
        headers = {"Range": f"bytes={start}-{end - 1}", "Accept-Encoding": "identity"}
        with asking_for(self._what):
            answer = http_backoff(
                "GET", self._url, headers=build_hf_headers() | headers,
                timeout=HF_HUB_DOWNLOAD_TIMEOUT,
            )  # fmt: skip
            hf_raise_for_status(answer)
        if answer.status_code != _PARTIAL_CONTENT or len(answer.content) != end - start:
            raise NotFoundError(
                f"expected bytes {start:,} to {end:,} of {self._what}, but the Hub sent "
                f"{len(answer.content):,} bytes with status {answer.status_code}",
                hint=f"Fetch the file whole, and give the same command again: {self._fetch_whole}",
            )
        return answer.content
