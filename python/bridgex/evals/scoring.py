"""What counts as an answer, and which answers are equal: two rules, each with a name."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridgex.errors import InvalidInputError
from bridgex.languages import parse_language

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_CLOSING = {
    '"': '"”', "“": '”"', "”": '”"', "„": '“”"', "«": "»", "»": "«", "‹": "›",
    "「": "」", "『": "』", "‘": "’", "'": "'", "״": "״",
}  # fmt: skip
_QUOTES = re.compile("[\"'“”„«»‹›「」『』‘’`״׳]")
_HEBREW_POINTS = re.compile("[\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7]")
# Vowel signs, the small alef and the stretching mark; they are left out in ordinary writing.
_ARABIC_POINTS = re.compile("[\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06ed]")
_ARTICLES = {
    "en": "the a an",
    "de": "der die das den dem des ein eine einen einem einer eines",
    "fr": "le la les un une des",
    "it": "il lo la i gli le un uno una",
    "es": "el la los las un una unos unas",
    "pt": "o a os as um uma uns umas",
    "hu": "a az egy",
}
_ELIDED = {"fr": re.compile("^(l|d)['’]"), "it": re.compile("^(l|un)['’]")}
_ARROW = "→"


@dataclass(frozen=True)
class Scoring:
    """One rule for reading and comparing answers.

    Attributes
    ----------
    name
        ``quoted`` or ``published``.
    extract
        Continuation to answer.
    normalise
        Answer and language code to the form that is compared.
    is_complete
        Tells that no later text can change the answer; None where the whole line is read.
    """

    name: str
    extract: Callable[[str], str]
    normalise: Callable[[str, str], str]
    is_complete: Callable[[str], bool] | None

    def is_correct(self, answer: str, golds: Sequence[str], language: str) -> bool:
        """Say whether the answer equals one of the accepted ones; an empty one never does."""
        given = self.normalise(answer, language)
        return bool(given) and given in {self.normalise(gold, language) for gold in golds}


def find_scoring(name: str) -> Scoring:
    """Return the rule of this name.

    ``quoted`` (default): the answer is the first line; where that opens with a quotation mark, the
    text up to its closing one; otherwise up to an arrow. Compared in compatibility form (NFKC)
    and without case, Hebrew and Arabic points, invisible characters, punctuation at the ends and
    a leading article. A model that goes on writing after its answer is judged by the answer.

    ``published``: the answer is the whole first line. Compared in lower case, without quotation
    marks and Hebrew points.

    Raises
    ------
    InvalidInputError
        There is no rule of this name.

    References
    ----------
    ``published``: Xu et al., BridgeX-ICL, EMNLP 2025 (arXiv 2508.17078) and its scripts.
    """
    try:
        return _SCORINGS[name]
    except KeyError:
        raise InvalidInputError(
            f"a scoring rule is one of {', '.join(_SCORINGS)}, got {name!r}"
        ) from None


def _first_line(text: str) -> str:
    return text.split("\n", maxsplit=1)[0].strip()


def _first_quoted(text: str) -> str:
    line = _first_line(text)
    if line[:1] not in _CLOSING:
        return line.split(_ARROW, maxsplit=1)[0].strip()
    inside, _closed = _inside_quotes(line)
    return inside.split(_ARROW, maxsplit=1)[0].strip()


def _inside_quotes(line: str) -> tuple[str, bool]:
    """Return the text after the opening mark up to the closing one, and whether that came."""
    marks = _CLOSING[line[0]]
    for place, character in enumerate(line[1:], start=1):
        if character in marks:
            return line[1:place], True
    return line[1:], False


def _quotes_are_closed(text: str) -> bool:
    line = text.lstrip(" ")
    return line[:1] in _CLOSING and _inside_quotes(line)[1]


def _published_form(text: str, language: str) -> str:
    del language
    return _HEBREW_POINTS.sub("", _QUOTES.sub("", text.lower())).strip()


def _script_aware_form(text: str, language: str) -> str:
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    bare = _ARABIC_POINTS.sub("", _HEBREW_POINTS.sub("", folded))
    seen = "".join(c for c in bare if unicodedata.category(c) != "Cf")
    words = " ".join(_trim(seen).split())
    return _without_article(words, parse_language(language).code)


def _trim(text: str) -> str:
    """Cut white space and punctuation off both ends."""
    kept = [n for n, c in enumerate(text) if unicodedata.category(c)[0] not in "PZC"]
    return text[kept[0] : kept[-1] + 1] if kept else ""


def _without_article(text: str, language: str) -> str:
    first, _, rest = text.partition(" ")
    if rest and first in _ARTICLES.get(language, "").split():
        return rest
    if language in _ELIDED:
        return _ELIDED[language].sub("", text) or text
    return text


_SCORINGS = {
    "quoted": Scoring("quoted", _first_quoted, _script_aware_form, _quotes_are_closed),
    "published": Scoring("published", _first_line, _published_form, None),
}
