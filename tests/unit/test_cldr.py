from __future__ import annotations

import sys

import pytest

from bridgex.data.cldr import cldr_sentences
from bridgex.errors import InvalidInputError, MissingDependencyError, NotFoundError

LANGUAGES = (
    *("en", "zh", "ja", "ar", "he", "id", "tl", "fi"),
    *("hu", "sw", "de", "fr", "it", "pt", "es"),
)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_text_has_its_size_and_no_sentence_twice(language: str) -> None:
    sentences = cldr_sentences(language, size=6_000)
    assert len(set(sentences)) == len(sentences)
    assert 6_000 <= sum(map(len, sentences)) < 6_300
    assert not any(letter == "\n" for sentence in sentences for letter in sentence)


@pytest.mark.parametrize("language", [code for code in LANGUAGES if code != "en"])
def test_a_text_is_not_english(language: str) -> None:
    english = " ".join(cldr_sentences("en"))
    own = set(" ".join(cldr_sentences(language, size=6_000)).lower().split())
    for word in ("wednesday,", "february", "months", "kilometers", "ago", "million", "and"):
        assert word in english.lower().split()
        assert word not in own


def test_a_text_has_no_words_that_stand_for_missing_ones() -> None:
    text = " ".join(cldr_sentences("yo") + cldr_sentences("zh") + cldr_sentences("sw"))
    assert "duration-" not in text
    assert "M02" not in text


def test_a_text_is_always_the_same_and_a_longer_one_begins_with_it() -> None:
    short, long = cldr_sentences("sw", size=500), cldr_sentences("swh_Latn", size=5_000)
    assert long[: len(short)] == short


def test_sentences_are_made_of_the_same_things() -> None:
    assert "1960" in cldr_sentences("de", size=1)[0]
    assert "1960" in cldr_sentences("sw", size=1)[0]


def test_a_language_that_babel_lacks_is_refused() -> None:
    with pytest.raises(NotFoundError, match="no CLDR text for 'tlh'"):
        cldr_sentences("Klingon")


def test_a_size_below_one_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="at least 1 character, got 0"):
        cldr_sentences("en", size=0)


def test_without_babel_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "babel", None)
    with pytest.raises(MissingDependencyError) as caught:
        cldr_sentences("en")
    assert caught.value.hint == "pip install 'bridgex[demo]'"
