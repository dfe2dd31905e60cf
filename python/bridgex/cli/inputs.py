"""Checks of what the user gave, before anything slow begins."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bridgex.errors import InvalidInputError, NotFoundError
from bridgex.texts import STANDARD_INPUT, open_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bridgex.texts import TextSource


def check_text_places(texts: Sequence[tuple[str, str]], files: Iterable[Path] = ()) -> None:
    """Refuse two texts for one language or one place, and files that are not there.

    Parameters
    ----------
    texts
        Language and place of every text.
    files
        Further files that have to be there; all that are missing get into one message.
    """
    check_languages_once(language for language, _ in texts)
    if sum(place == STANDARD_INPUT for _, place in texts) > 1:
        raise InvalidInputError(
            "standard input is one text, and two languages were to be read from it",
            hint="Put one of them into a file.",
        )
    local = [Path(place) for _, place in texts if place != STANDARD_INPUT and "://" not in place]
    missing = [str(path) for path in (*local, *files) if not path.exists()]
    if missing:
        raise NotFoundError(f"no such file: {', '.join(missing)}", hint="Check the path.")


def check_languages_once(languages: Iterable[str]) -> None:
    """Refuse two files for one language."""
    twice = [language for language, count in Counter(languages).items() if count > 1]
    if twice:
        raise InvalidInputError(
            f"more than one file for {', '.join(twice)}",
            hint="Ingest the second one with --corpus NAME, or put the files into a directory.",
        )


def open_texts(texts: Iterable[tuple[str, str]], choices: dict[str, Any]) -> dict[str, TextSource]:
    """Find the files of every text, by language."""
    return {language: open_text(place, **choices) for language, place in texts}


def check_texts(sources: Iterable[TextSource]) -> None:
    """Refuse texts that cannot be read to their end."""
    for source in sources:
        for _ in source:
            pass


def check_pair(source: str, target: str, bridges: Sequence[str]) -> None:
    """Refuse a pair of one language, and candidates that belong to the pair."""
    if source == target:
        raise click.UsageError(f"source and target are both {source!r}")
    for bridge in bridges:
        if bridge in (source, target):
            raise click.UsageError(f"{bridge!r} is of the pair and cannot be its bridge")
