"""The names that ``import bridgex`` offers."""

from __future__ import annotations

import importlib.metadata

import pytest

import bridgex


@pytest.mark.parametrize("name", bridgex.__all__)
def test_every_public_name_is_there_and_explained(name: str) -> None:
    assert getattr(bridgex, name).__doc__


def test_the_version_is_that_of_the_package() -> None:
    assert bridgex.__version__ == importlib.metadata.version("bridgex")


def test_a_name_that_is_not_there_is_said() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = bridgex.nothing
