"""A real S3 server process on the loopback interface, for the time of a test."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import URLError
from urllib.request import Request, urlopen

if TYPE_CHECKING:
    from collections.abc import Iterator

BUCKET = "bridgex-tests"
SERVER = Path(__file__).with_name("s3_app.py")


@contextmanager
def running(*options: str) -> Iterator[dict[str, str]]:
    """Run a server that has a bucket; give the environment with which a client reaches it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_REGION": "us-east-1",
    }
    with subprocess.Popen(
        [sys.executable, str(SERVER), str(port), *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **environment},
    ) as server:
        try:
            _create_bucket(environment["AWS_ENDPOINT_URL"], server)
            yield environment
        finally:
            server.terminate()


def _create_bucket(url: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(1200):
        try:
            with urlopen(Request(f"{url}/{BUCKET}", method="PUT"), timeout=20):  # noqa: S310  # it is http
                return
        except (URLError, ConnectionError):
            assert server.poll() is None, "the server has ended"
            time.sleep(0.05)
    raise TimeoutError("the server does not answer")
