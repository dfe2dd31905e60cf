"""Fixtures and settings that all tests share."""

from __future__ import annotations

import hashlib
import os
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bridgex.capture import CaptureModel
    from bridgex.schema import Site

# Where all runs of a commit have to agree, they test the same cases.
settings.register_profile("default", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("default")

# As the command line does, before torch is imported.
os.environ.setdefault("GOMP_SPINCOUNT", "3000")


@pytest.fixture(scope="session")
def s3_server() -> Iterator[dict[str, str]]:
    """Run an S3 server; give the environment that reaches it."""
    from tests.s3_server import running

    with running() as environment:
        yield environment


@pytest.fixture
def s3(
    s3_server: dict[str, str], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> str:
    """Return an address that a test has for itself."""
    from tests.s3_server import BUCKET

    for name, value in s3_server.items():
        monkeypatch.setenv(name, value)
    return f"s3://{BUCKET}/{hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:12]}/store"


@pytest.fixture(scope="session")
def model_directory(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return the directory of a small random model of a family, made once."""
    from tests.small_models import make_model, make_tokenizer

    made: dict[str, Path] = {}

    def make(architecture: str = "llama", **changes: object) -> Path:
        key = f"{architecture} {sorted(changes.items())}"
        if key not in made:
            tokenizer = make_tokenizer()
            directory = tmp_path_factory.mktemp(architecture)
            make_model(architecture, len(tokenizer), **changes).save_pretrained(directory)
            tokenizer.save_pretrained(directory)
            made[key] = directory
        return made[key]

    return make


@pytest.fixture(scope="session")
def open_model(model_directory: Callable[..., Path]) -> Callable[..., CaptureModel]:
    """Open a small random model of a family for capture, on the CPU."""
    from bridgex.capture import load_model

    def open_(
        architecture: str = "llama", *, changes: dict[str, object] | None = None, **options: Any
    ) -> CaptureModel:
        directory = model_directory(architecture, **(changes or {}))
        return load_model(directory, device="cpu", **options)

    return open_


@pytest.fixture(scope="session")
def shared_model(open_model: Callable[..., CaptureModel]) -> Callable[..., CaptureModel]:
    """Return a small random model in memory, opened once: for tests that change nothing of it."""

    @cache
    def shared(architecture: str, site: Site = "act") -> CaptureModel:
        return open_model(architecture, mode="resident", batch_tokens=32, site=site)

    return shared
