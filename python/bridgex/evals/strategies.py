"""The ways to prompt that are compared, and how a user names them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bridgex.errors import InvalidInputError
from bridgex.languages import parse_language

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bridgex.schema import Pair

Kind = Literal["zero-shot", "bridge", "pivot"]
_FORMS = "zero-shot, bridge:<language>, bridge:auto, bridge:all or pivot:<language>"


@dataclass(frozen=True)
class Strategy:
    """One way to prompt.

    Attributes
    ----------
    kind
        ``zero-shot``; ``bridge``, through a language that is a candidate of the ranking; or
        ``pivot``, through a language that the user fixed. The last two prompt alike.
    language
        Code of the language led through; None for ``zero-shot``.
    """

    kind: Kind
    language: str | None = None

    @property
    def name(self) -> str:
        """The strategy as a user writes it."""
        return self.kind if self.language is None else f"{self.kind}:{self.language}"


ZERO_SHOT = Strategy("zero-shot")


def parse_strategies(
    texts: Sequence[str],
    pair: Pair,
    *,
    candidates: Sequence[str] = (),
    recommended: str | None = None,
) -> tuple[Strategy, ...]:
    """Return the strategies that a user asks for, each once, and ``zero-shot`` before them.

    Parameters
    ----------
    texts
        ``zero-shot``, ``bridge:<language>``, ``bridge:auto`` (the recommended bridge),
        ``bridge:all`` (every candidate), ``pivot:<language>``.
    pair
        Source and target; neither can be led through.
    candidates
        Languages that ``bridge:all`` stands for; those of the pair are passed over.
    recommended
        Language that ``bridge:auto`` stands for.

    Raises
    ------
    InvalidInputError
        A text has no known form, its language is unknown or belongs to the pair, or it asks for
        candidates or a recommendation where there is none.
    """
    found = {ZERO_SHOT: None}
    for text in texts:
        for strategy in _parse(text, pair, candidates, recommended):
            found[strategy] = None
    return tuple(found)


def _parse(
    text: str, pair: Pair, candidates: Sequence[str], recommended: str | None
) -> Iterator[Strategy]:
    kind, _, language = text.strip().partition(":")
    if (kind, language) == ("zero-shot", ""):
        yield ZERO_SHOT
    elif (kind, language) == ("bridge", "all"):
        yield from _every_candidate(candidates, pair)
    elif (kind, language) == ("bridge", "auto"):
        if recommended is None:
            raise InvalidInputError(
                "bridge:auto needs a recommended bridge, but there is none",
                hint="rank the bridges of the pair first, or name one: bridge:en",
            )
        yield _through("bridge", recommended, pair)
    elif kind in ("bridge", "pivot") and language:
        yield _through("bridge" if kind == "bridge" else "pivot", language, pair)
    else:
        raise InvalidInputError(f"a strategy is {_FORMS}, got {text!r}")


def _every_candidate(candidates: Sequence[str], pair: Pair) -> Iterator[Strategy]:
    codes = [parse_language(candidate).code for candidate in candidates]
    bridges = [code for code in codes if code not in pair]
    if not bridges:
        raise InvalidInputError(
            f"bridge:all needs candidates outside the pair {pair}, but there are none",
            hint="name the candidates, for example: bridge:en bridge:es",
        )
    for code in bridges:
        yield Strategy("bridge", code)


def _through(kind: Literal["bridge", "pivot"], language: str, pair: Pair) -> Strategy:
    code = parse_language(language).code
    if code in pair:
        raise InvalidInputError(f"{kind}:{language} leads through a language of the pair {pair}")
    return Strategy(kind, code)
