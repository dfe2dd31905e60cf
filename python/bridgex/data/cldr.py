"""Text in many languages without a download, made from CLDR by Babel at run time.

CLDR holds the names of dates, units, currencies, places and languages, and the rules that put
them together. A sentence here is a list of such phrases, joined in the language's own manner. It
is no prose, but it is real words in real inflection, and sentence n is made of the same things in
every language.
"""

from __future__ import annotations

import datetime as dt
import random
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bridgex.errors import InvalidInputError, MissingDependencyError, NotFoundError
from bridgex.languages import parse_language

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from babel import Locale

_Span = Literal["year", "month", "week", "day", "hour", "minute"]

DEFAULT_SIZE = 28_000
_PHRASES = 5  # drawn for a sentence; those that a language has no words for are left out
_LEAST_PHRASES = 2
_LONGEST_DROUGHT = 200  # sentences in a row without a usable one

_COMMON = 2  # letters of the codes of countries and of widely used languages

_BABEL_NAMES = {"tl": "fil"}
_NUMBERED_MONTH = re.compile(r"\bM\d\d\b")  # stands where CLDR lacks the name of a month
_EPOCH = dt.datetime(1950, 1, 1, tzinfo=dt.UTC)
_DAYS = 40_000
_UNITS = (
    "length-kilometer", "length-meter", "length-centimeter", "length-mile", "length-foot",
    "length-inch", "length-light-year", "area-hectare", "area-square-kilometer",
    "area-square-meter", "mass-kilogram", "mass-gram", "mass-tonne", "mass-pound",
    "volume-liter", "volume-milliliter", "volume-cubic-meter", "volume-cup",
    "volume-teaspoon", "duration-century", "duration-year", "duration-month",
    "duration-week", "duration-day", "duration-hour", "duration-minute", "duration-second",
    "speed-kilometer-per-hour", "speed-meter-per-second", "temperature-celsius",
    "energy-kilocalorie", "energy-kilowatt-hour", "power-watt", "power-horsepower",
    "pressure-hectopascal", "electric-volt", "frequency-hertz", "digital-byte",
    "digital-megabyte", "angle-degree", "concentr-karat", "concentr-percent", "light-lux",
    "graphics-pixel",
)  # fmt: skip
_SPANS: tuple[tuple[_Span, int], ...] = (
    ("year", 31_557_600),
    ("month", 2_629_800),
    ("week", 604_800),
    ("day", 86_400),
    ("hour", 3_600),
    ("minute", 60),
)


@dataclass(frozen=True)
class _Tongue:
    """A locale, and English to tell which of its words are its own."""

    locale: Locale
    english: Locale

    def own(self, phrase: str | None, *english: str | None) -> str | None:
        """Return the phrase unless it is what English says."""
        if phrase is None or (self.locale.language != "en" and phrase in english):
            return None
        return phrase


def cldr_sentences(language: str, *, size: int = DEFAULT_SIZE) -> list[str]:
    """Return sentences of one language, always the same ones.

    Parameters
    ----------
    language
        A language that Babel has data for, as ``parse_language`` reads it.
    size
        Number of characters after which no further sentence is made.

    Returns
    -------
    list of str
        Different sentences of 2 to 5 phrases: dates, periods, quantities, sums of money, large
        numbers, names of countries and languages. Phrases that are the same in English,
        as where CLDR has no translation, are left out.

    Raises
    ------
    MissingDependencyError
        Babel is not installed.
    NotFoundError
        Babel does not have the language, or has too few words of it.
    InvalidInputError
        ``size`` is not positive.

    Notes
    -----
    The default takes about half a second. CLDR is under the Unicode License V3.
    """
    if size < 1:
        raise InvalidInputError(f"the size of a text is at least 1 character, got {size}")
    tongue = _open(parse_language(language).code)
    sentences: dict[str, None] = {}
    characters = number = last_found = 0
    while characters < size:
        sentence = _sentence(tongue, number)
        if sentence is not None and sentence not in sentences:
            sentences[sentence] = None
            characters += len(sentence)
            last_found = number
        elif number - last_found > _LONGEST_DROUGHT:
            raise _unknown(language, "has too few words of it")
        number += 1
    return list(sentences)


def _open(code: str) -> _Tongue:
    try:
        from babel import Locale, UnknownLocaleError
    except ImportError as error:
        raise MissingDependencyError(
            "texts from CLDR are made with Babel, which is not installed",
            hint="pip install 'bridgex[demo]'",
        ) from error
    try:
        locale = Locale.parse(_BABEL_NAMES.get(code, code), sep="-")
    except (UnknownLocaleError, ValueError) as error:
        raise _unknown(code, "does not know it") from error
    if locale.months["format"]["wide"][1] == "M01":
        raise _unknown(code, "has no words of it")
    return _Tongue(locale, Locale.parse("en"))


def _unknown(language: str, reason: str) -> NotFoundError:
    return NotFoundError(
        f"there is no CLDR text for {language!r}: Babel {reason}",
        hint="bring a text file of the language",
    )


def _sentence(tongue: _Tongue, number: int) -> str | None:
    """Return sentence ``number``, or nothing where the language has too few of its words.

    What is drawn depends on the number alone, never on the language.
    """
    from babel.lists import format_list

    kinds = random.Random(number).sample(_KINDS, _PHRASES)  # noqa: S311  not for secrets
    phrases = [
        phrase
        for place, kind in enumerate(kinds)
        if (phrase := kind(tongue, random.Random(number * _PHRASES + place)))  # noqa: S311
        and not _NUMBERED_MONTH.search(phrase)
    ]
    if len(phrases) < _LEAST_PHRASES:
        return None
    return format_list(phrases, locale=tongue.locale)


def _moment(draw: random.Random) -> dt.datetime:
    return _EPOCH + dt.timedelta(days=draw.randrange(_DAYS), minutes=draw.randrange(1440))


def _day(tongue: _Tongue, draw: random.Random) -> str | None:
    from babel.dates import format_date

    return format_date(_moment(draw), "full", locale=tongue.locale)


def _day_and_time(tongue: _Tongue, draw: random.Random) -> str | None:
    from babel.dates import format_date, format_time, get_datetime_format

    moment = _moment(draw)
    pattern = str(get_datetime_format("long", locale=tongue.locale)).replace("'", "")
    date = format_date(moment, "long", locale=tongue.locale)
    return pattern.replace("{1}", date).replace(
        "{0}", format_time(moment, "short", locale=tongue.locale)
    )


def _period(tongue: _Tongue, draw: random.Random) -> str | None:
    from babel.dates import format_interval

    start = _moment(draw)
    end = start + dt.timedelta(days=draw.randint(40, 300))
    return format_interval(start, end, "yMMMM", locale=tongue.locale)


def _relative_time(tongue: _Tongue, draw: random.Random) -> str | None:
    from babel.dates import format_timedelta

    span, seconds = draw.choice(_SPANS)
    delta = dt.timedelta(seconds=seconds * draw.randint(1, 20) * draw.choice((-1, 1)))
    said = [
        format_timedelta(delta, span, threshold=100, add_direction=True, locale=locale)
        for locale in (tongue.locale, tongue.english)
    ]
    return tongue.own(said[0], said[1])


def _quantity(tongue: _Tongue, draw: random.Random) -> str | None:
    unit, value = draw.choice(_UNITS), draw.randint(2, 30)
    english = (
        _unit(unit, value, "long", tongue.english),
        _unit(unit, value, "short", tongue.english),
    )
    one = _unit(unit, 1, "long", tongue.english)
    singular = None if one is None else one.replace("1", str(value), 1)
    # In CLDR a long form that is missing is the short one.
    said = _unit(unit, value, "long", tongue.locale) or _unit(unit, value, "short", tongue.locale)
    return tongue.own(said, *english, singular)


def _unit(unit: str, value: int, length: Literal["long", "short"], locale: Locale) -> str | None:
    from babel.units import UnknownUnitError, format_unit

    try:
        said = format_unit(value, unit, length, locale=locale)
    except UnknownUnitError:
        return None
    return None if unit in said else said


def _money(tongue: _Tongue, draw: random.Random) -> str | None:
    from babel.numbers import format_currency

    # A name in brackets or with a year is that of a currency no longer used.
    current = sorted(code for code, name in tongue.english.currencies.items() if "(" not in name)
    currency, value = draw.choice(current), draw.randint(2, 900)
    said = [
        format_currency(value, currency, locale=locale, format_type="name", currency_digits=False)
        for locale in (tongue.locale, tongue.english)
    ]
    name = tongue.own(
        tongue.locale.currencies.get(currency), tongue.english.currencies.get(currency)
    )
    return None if name is None or currency in said[0] else tongue.own(said[0], said[1])


def _large_number(tongue: _Tongue, draw: random.Random) -> str | None:
    from babel.numbers import format_compact_decimal

    value = draw.randint(2, 900) * 10 ** draw.choice((3, 6, 9))
    said = [
        format_compact_decimal(value, format_type=_longest_form(locale), locale=locale)
        for locale in (tongue.locale, tongue.english)
    ]
    return tongue.own(said[0], said[1])


def _longest_form(locale: Locale) -> Literal["long", "short"]:
    return "long" if "long" in locale.compact_decimal_formats else "short"


def _name(attribute: str) -> Callable[[_Tongue, random.Random], str | None]:
    def name(tongue: _Tongue, draw: random.Random) -> str | None:
        english: Mapping[str, str] = getattr(tongue.english, attribute)
        key = draw.choice(sorted(code for code in english if len(code) == _COMMON))
        return tongue.own(getattr(tongue.locale, attribute).get(key), english[key])

    return name


# Names are drawn more often: they have no digits, which are the same in every language.
_KINDS = (
    _day,
    _day_and_time,
    _period,
    _relative_time,
    _quantity,
    _money,
    _large_number,
    *[_name("territories")] * 5,
    *[_name("languages")] * 5,
)
