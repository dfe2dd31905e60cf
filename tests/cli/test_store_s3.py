"""The command line with a store on an S3 server: the same answers as from a directory."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from bridgex.store import Store, merge

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Outcome

QUERIES = [
    ("neurons", "--languages", "sw"),
    ("overlap",),
    ("spectrum", "--source", "id", "--target", "tl"),
    ("bridges", "--source", "id", "--target", "tl", "--permutations", "0", "--resamples", "0"),
]


@pytest.fixture
def remote(s3: str, store: Path) -> str:
    """Copy the store of five languages to the server."""
    merge([Store.open(store)], s3)
    return s3


def test_queries(remote: str, store: Path, bridgex: Callable[..., Outcome]) -> None:
    for command, *options in QUERIES:
        found, expected = (
            bridgex("query", command, place, *options, "--format", "json")
            for place in (remote, store)
        )
        assert found.code == expected.code == 0, found.err + expected.err
        assert found.out.replace(remote, str(store)) == expected.out


def test_upkeep(remote: str, bridgex: Callable[..., Outcome]) -> None:
    assert json.loads(bridgex("store", "info", remote, "--format", "json").out)["path"] == remote
    assert f"Store {remote}" in bridgex("store", "info", remote).out
    for command in (("compact", "--codec", "zstd"), ("gc", "--older-than", "0m"), ("verify",)):
        done = bridgex("store", command[0], remote, *command[1:])
        assert done.code == 0, done.err
    assert bridgex("query", "overlap", remote).code == 0


def test_a_server_that_is_not_there(
    s3: str, monkeypatch: pytest.MonkeyPatch, bridgex: Callable[..., Outcome]
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    done = bridgex("store", "info", s3)
    assert (done.code, done.out) == (1, "")
    assert f"cannot reach {s3}" in done.err
    assert "Traceback" not in done.err
