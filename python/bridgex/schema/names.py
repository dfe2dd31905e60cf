"""Words and choices that all rooms know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

Site = Literal["act", "post"]
GoldFilter = Literal["keep", "off"]
ProbeDtype = Literal["f32", "f16"]
Neurons = Literal["all", "top"]
FindingState = Literal["ok", "wrong", "note"]

MINIMUM_SAMPLES = 32
"""Probe samples below which a pair is refused: dependence estimated from fewer would be noise."""


class WordPair(NamedTuple):
    """One line of a lexicon: a source word and every accepted translation, in file order."""

    source: str
    targets: tuple[str, ...]


class Pair(NamedTuple):
    """Source and target language codes of a translation direction."""

    source: str
    target: str

    def __str__(self) -> str:
        return f"{self.source}-{self.target}"


@dataclass(frozen=True)
class Finding:
    """What came of a check of an installation, a machine or a model.

    Attributes
    ----------
    check
        What was looked at.
    state
        ``ok``, ``wrong``, or ``note`` for what is only said.
    detail
        What was found.
    """

    check: str
    state: FindingState
    detail: str
