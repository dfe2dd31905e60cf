"""How the compiled core was built, and what it uses of this processor."""

from __future__ import annotations

from typing import NamedTuple

from bridgex import _native


class Build(NamedTuple):
    """The compiled core.

    Attributes
    ----------
    version, profile
        Of the core; ``release`` unless it was built for its own development.
    simd
        The instruction set that its loops use.
    threads
        Worker threads.
    """

    version: str
    profile: str
    simd: str
    threads: int


def build() -> Build:
    """Return how the compiled core was built."""
    return Build(**_native.build_info())
