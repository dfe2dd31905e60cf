"""What a user is told, kept for a test."""

from __future__ import annotations

from bridgex.progress import Silent


class Notes(Silent):
    """A reporter that remembers."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)
