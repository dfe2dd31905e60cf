"""Prompts for word translation, with every language called by its own name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridgex.errors import InvalidInputError
from bridgex.languages import parse_language

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bridgex.schema import Pair, WordPair

# A quotation mark inside a word would end it early.
_INNER_QUOTE = str.maketrans({'"': "”"})


def probe_prompt(source: str, target: str, word: str) -> str:
    """Return the prompt that asks for the translation of one word.

    Parameters
    ----------
    source, target
        Languages, as ``parse_language`` reads them.
    word
        A word or phrase of the source language. White space at its ends is left out, and ``"``
        inside it becomes ``”``.

    Returns
    -------
    str
        ``{Source}:"{word}"→{Target}:``

    Raises
    ------
    InvalidInputError
        An unknown language, or a word that is empty or has more than one line.

    References
    ----------
    Xu et al., BridgeX-ICL, EMNLP 2025 (arXiv 2508.17078), section on word translation.

    Examples
    --------
    >>> probe_prompt("id", "tl", "rumah")
    'Bahasa Indonesia:"rumah"→Tagalog:'
    """
    return f"{_said(source, word)}→{_label(target)}:"


def bridge_prompt(source: str, bridge: str, target: str, word: str, bridge_word: str) -> str:
    """Return the prompt that leads through a word of a third language.

    Parameters
    ----------
    source, bridge, target
        Languages, as ``parse_language`` reads them.
    word, bridge_word
        The word and its translation into the bridge language, written as in ``probe_prompt``.
        The bridge word is a model's answer: it may be empty, and any white space inside it, line
        breaks included, becomes one space.

    Returns
    -------
    str
        ``{Source}:"{word}"→{Bridge}:"{bridge_word}"→{Target}:``

    Raises
    ------
    InvalidInputError
        As ``probe_prompt``.

    Examples
    --------
    >>> bridge_prompt("id", "en", "tl", "rumah", "house")
    'Bahasa Indonesia:"rumah"→English:"house"→Tagalog:'
    """
    bridge_text = " ".join(bridge_word.split()).translate(_INNER_QUOTE)
    return f'{_said(source, word)}→{_label(bridge)}:"{bridge_text}"→{_label(target)}:'


def _label(language: str) -> str:
    return parse_language(language).own_name


def _said(language: str, word: str) -> str:
    text = _one_line(word)
    if not text:
        raise InvalidInputError("a prompt needs a word, but the word is empty")
    return f'{_label(language)}:"{text}"'


def _one_line(word: str) -> str:
    text = word.strip()
    if len(text.splitlines()) > 1:
        raise InvalidInputError(f"a word of a prompt has one line, but this one has more: {word!r}")
    return text.translate(_INNER_QUOTE)


def probe_prompts(pair: Pair, words: Iterable[WordPair]) -> list[str]:
    """Return the probe prompt of every word pair."""
    return [probe_prompt(pair.source, pair.target, word.source) for word in words]
