"""Checks of what the user gave, before anything slow begins."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import click

from bridgex.corpora import read_records
from bridgex.errors import InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path


def check_files(paths: Iterable[Path]) -> None:
    """Refuse files that do not exist, all in one message."""
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise NotFoundError(f"no such file: {', '.join(missing)}", hint="Check the path.")


def check_texts(paths: Iterable[Path]) -> None:
    """Refuse texts that do not exist or cannot be read to their end."""
    paths = list(paths)
    check_files(paths)
    for path in paths:
        for _ in read_records(path):
            pass


def check_languages_once(languages: Iterable[str]) -> None:
    """Refuse two files for one language."""
    twice = [language for language, count in Counter(languages).items() if count > 1]
    if twice:
        raise InvalidInputError(
            f"more than one file for {', '.join(twice)}",
            hint="Ingest the second one with --corpus NAME, or join the files.",
        )


def check_pair(source: str, target: str, bridges: Sequence[str]) -> None:
    """Refuse a pair of one language, and candidates that belong to the pair."""
    if source == target:
        raise click.UsageError(f"source and target are both {source!r}")
    for bridge in bridges:
        if bridge in (source, target):
            raise click.UsageError(f"{bridge!r} is of the pair and cannot be its bridge")
