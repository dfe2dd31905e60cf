"""Progress on stderr, with rate and time left: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridgex.progress import Progress, Reporter

SECONDS_BETWEEN_LINES = 10.0


def reporter(*, passing: bool = False) -> Reporter:
    """Return the reporter that suits stderr; of passing work nothing is left when it is done."""
    return Terminal(passing=passing) if sys.stderr.isatty() else Lines(passing=passing)


@dataclass(frozen=True)
class Terminal:
    """One bar for each piece of work."""

    passing: bool = False

    @contextmanager
    def task(self, description: str, *, total: int, unit: str) -> Iterator[Progress]:
        """Show a bar with the rate and the time left."""
        from rich.console import Console
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(compact=True),
        )
        console = Console(stderr=True)
        with Bars(*columns, console=console, transient=self.passing) as bars:
            identifier = bars.add_task(description, total=total, rate="")
            clock = _Clock(total, unit)

            def show() -> None:
                bars.update(identifier, completed=clock.done, rate=clock.rate_text())

            yield _Watched(clock, show)
            show()

    def note(self, text: str) -> None:
        """Write a line."""
        print(text, file=sys.stderr)


@dataclass(frozen=True)
class Lines:
    """A line now and then, and one when work is done."""

    passing: bool = False

    @contextmanager
    def task(self, description: str, *, total: int, unit: str) -> Iterator[Progress]:
        """Write the state every few seconds."""
        clock = _Clock(total, unit)
        last = clock.started

        def show() -> None:
            nonlocal last
            if time.monotonic() - last >= SECONDS_BETWEEN_LINES:
                last = time.monotonic()
                self.note(f"{description}: {clock.state()}")

        yield _Watched(clock, show)
        if clock.done and not self.passing:
            self.note(f"{description}: done in {_duration(clock.seconds)}, {clock.rate_text()}")

    def note(self, text: str) -> None:
        """Write a line."""
        print(text, file=sys.stderr, flush=True)


@dataclass
class _Clock:
    total: int
    unit: str
    done: int = 0
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    @property
    def rate(self) -> float:
        return self.done / max(self.seconds, 1e-9)

    def rate_text(self) -> str:
        return (
            f"{self.rate:,.0f} {self.unit}/s"
            if self.rate >= 1
            else f"{self.rate:.2g} {self.unit}/s"
        )

    def state(self) -> str:
        left = (self.total - self.done) / self.rate if self.done else 0.0
        remaining = f", {_duration(left)} left" if self.done else ""
        return f"{self.done:,} of {self.total:,} {self.unit}, {self.rate_text()}{remaining}"


class _Show(Protocol):
    def __call__(self) -> None: ...


@dataclass(frozen=True)
class _Watched:
    clock: _Clock
    show: _Show

    def advance(self, amount: int) -> None:
        """Add to what has been done, and show it."""
        self.clock.done += amount
        self.show()


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
