"""How the program ends."""

from __future__ import annotations

EXIT_ERROR = 1
EXIT_INTERRUPTED = 130
EXIT_UNREAD = 141
"""As a shell says of a program that a closed pipe ended."""


class NobodyReadsError(Exception):
    """Whoever read the output has gone, as ``head`` does."""
