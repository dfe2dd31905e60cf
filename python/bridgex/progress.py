"""How long work tells what it is doing, without knowing who listens."""

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator


class Progress(Protocol):
    """Counts what has been done of one piece of work."""

    def advance(self, amount: int) -> None:
        """Add to what has been done."""


class Reporter(Protocol):
    """Opens pieces of work, and passes on what a user should know."""

    def task(self, description: str, *, total: int, unit: str) -> AbstractContextManager[Progress]:
        """Open a piece of work of known size."""

    def note(self, text: str) -> None:
        """Say something that is not data: a choice that was made, a result that needs care."""


class Silent:
    """A reporter and progress that say nothing."""

    def advance(self, amount: int) -> None:
        """Ignore what has been done."""

    @contextmanager
    def task(self, description: str, *, total: int, unit: str) -> Iterator[Silent]:
        """Open a piece of work that nobody watches."""
        del description, total, unit
        yield self

    def note(self, text: str) -> None:
        """Ignore what a user should know."""
