"""Languages: read as the user writes them, stored one way, called by their own name in prompts.

Importing this module is cheap: the language tables (about 0.1 s) are read at the first lookup.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from bridgex.errors import InvalidInputError

if TYPE_CHECKING:
    import langcodes

_TAG = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8})*", re.IGNORECASE)
_NAME_WITH_SCRIPT = re.compile(r".+\((?P<script>.+)\)")
_NO_SINGLE_LANGUAGE = re.compile("und|mul|mis|zxx|q[a-t][a-z]")  # the last are for private use

# The registry writes Tagalog as Filipino and Dari as Persian of Afghanistan. Lexicons and corpora
# say `tl`, and Dari must not be counted into Persian.
_KEPT = {"fil": "tl", "tgl": "tl", "tl": "tl", "prs": "prs"}


@dataclass(frozen=True)
class Language:
    """One language in one script.

    Attributes
    ----------
    code
        Shortest BCP 47 tag: the language, and the script where it is not the usual one
        (``sw``, ``zh``, ``zh-Hant``, ``sr-Latn``). No region.
    name
        English name, with the script where the code has one.
    own_name
        The language's name for itself, first letter in upper case, without the script: the label
        of the language in prompts (``English``, ``Deutsch``, ``Bahasa Indonesia``, ``中文``). The
        English name where no other is known.
    """

    code: str
    name: str
    own_name: str


@lru_cache(maxsize=1024)
def parse_language(text: str) -> Language:
    """Return the language that a code or a name stands for.

    Parameters
    ----------
    text
        A BCP 47 or ISO 639 code (``sw``, ``swh``, ``swh_Latn``, ``pt-BR``) or a name in any
        language (``Swahili``, ``deutsch``, ``中文``), in any case. What can be read as a code is.

    Returns
    -------
    Language
        One way to write it for all of these. The macro-language stands for its main member
        (``swh`` is ``sw``, ``arb`` is ``ar``, ``cmn`` is ``zh``); the region is left out, except
        that it may decide the script (``zh-TW`` is ``zh-Hant``). Filipino and Tagalog are both
        ``tl``.

    Raises
    ------
    InvalidInputError
        No language has this code or name, or the code stands for no single language.
    """
    cleaned = text.strip()
    tag = cleaned.replace("_", "-")
    found = _from_tag(tag) if _TAG.fullmatch(tag) else None
    if found is None and len(cleaned) > 1:
        found = _from_name(cleaned)
    if found is None:
        raise InvalidInputError(
            f"no language has the code or name {text!r}",
            hint=_suggestion(cleaned),
        )
    return found


def _from_tag(tag: str) -> Language | None:
    import langcodes

    primary = tag.split("-", maxsplit=1)[0].lower()
    try:
        given = langcodes.Language.get(langcodes.standardize_tag(tag, macro=True))
    except langcodes.tag_parser.LanguageTagError:
        return None
    language = _KEPT.get(primary, given.language)
    if language is None or _NO_SINGLE_LANGUAGE.fullmatch(language) or not given.is_valid():
        return None
    return _describe(language, _unusual_script(language, given))


def _unusual_script(language: str, given: langcodes.Language) -> str | None:
    """Return the script that was given or that the region implies, unless it is the usual one."""
    script = given.script or (given.maximize().script if given.territory else None)
    if script == "Hang":
        script = "Kore"  # the Korean script without its Chinese characters
    return None if script == _usual_script(language) else script


def _usual_script(language: str) -> str | None:
    import langcodes
    from langcodes.data_dicts import LIKELY_SUBTAGS, MACROLANGUAGES

    if language not in LIKELY_SUBTAGS:
        language = MACROLANGUAGES.get(language, language)
    return langcodes.Language.make(language=language).maximize().script


def _describe(language: str, script: str | None) -> Language:
    import langcodes

    code = language if script is None else f"{language}-{script}"
    tag = langcodes.Language.get(code, normalize=False)
    own_name = tag.language_name(tag).split(" (", maxsplit=1)[0]
    # Title case, because the upper case of Georgian is another alphabet.
    return Language(code, tag.display_name(), own_name[0].title() + own_name[1:])


def _from_name(name: str) -> Language | None:
    import langcodes
    from language_data.names import name_to_code

    try:
        found = langcodes.find(name)
    except LookupError:
        return None
    named = _NAME_WITH_SCRIPT.fullmatch(name)
    script = None if named is None else name_to_code("script", named["script"], "en")
    if script and not found.script:
        found = found.update_dict({"script": script})
    return _from_tag(found.to_tag())


def _suggestion(text: str) -> str:
    import langcodes
    from langcodes.data_dicts import LANGUAGE_ALPHA3

    names = {langcodes.Language.get(code).display_name(): code for code in LANGUAGE_ALPHA3}
    close = difflib.get_close_matches(text.title(), names, n=3)
    listed = ", ".join(f"{name} ({parse_language(names[name]).code})" for name in close)
    return (
        f"did you mean {listed}?"
        if close
        else "write a code such as 'sw' or 'swh_Latn', or a name such as 'Swahili'"
    )
