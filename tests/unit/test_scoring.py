"""Answers as a small base model writes them, and which of them count."""

from __future__ import annotations

import pytest

from bridgex.errors import InvalidInputError
from bridgex.evals.scoring import find_scoring

quoted, published = find_scoring("quoted"), find_scoring("published")


@pytest.mark.parametrize(
    ("continuation", "answer", "whole_line"),
    [
        (' "Kopf"\n\n"Kopf" is a noun, a verb,', "Kopf", '"Kopf"'),
        (' "Man"→Français: "homme"→', "Man", '"Man"→Français: "homme"→'),
        ('收件\n\n"receipt"→中文:收件', "收件", "收件"),
        ("Hund→English:dog", "Hund", "Hund→English:dog"),
        (" «chien» (m.)", "chien", "«chien» (m.)"),
        ("「犬」", "犬", "「犬」"),
        (" „Hund“ ist", "Hund", "„Hund“ ist"),
        (' "Hund', "Hund", '"Hund'),
        (' "Hund→English', "Hund", '"Hund→English'),
        (' <i>"ox"</i>', '<i>"ox"</i>', '<i>"ox"</i>'),
        ('\n"Hund"', "", ""),
        ("", "", ""),
    ],
)  # fmt: skip
def test_the_answer_of_a_continuation(continuation: str, answer: str, whole_line: str) -> None:
    assert quoted.extract(continuation) == answer
    assert published.extract(continuation) == whole_line


@pytest.mark.parametrize(
    ("answer", "gold", "language", "by_quoted", "by_published"),
    [
        ("Hund", "hund", "de", True, True),
        ('"Hund"', "Hund", "de", True, True),
        ("der Hund", "Hund", "de", True, False),
        ("der", "der", "de", True, True),
        ("die Hund Katze", "Hund", "de", False, False),
        ("l'eau", "eau", "fr", True, False),
        ("Hund.", "Hund", "de", True, False),
        ("STRASSE", "Straße", "de", True, False),
        ("cafe\u0301", "café", "fr", True, False),
        ("cafe", "café", "fr", False, False),
        ("כֶּלֶב", "כלב", "he", True, True),
        ("كَلْب", "كلب", "ar", True, False),
        ("ｶﾞ", "ガ", "ja", True, False),
        ("か", "が", "ja", False, False),
        ("Katze", "Hund", "de", False, False),
        ("", "Hund", "de", False, False),
        ("...", "!!!", "de", False, False),
    ],
)
def test_which_answers_are_right(
    answer: str, gold: str, language: str, by_quoted: bool, by_published: bool
) -> None:
    assert quoted.is_correct(answer, (gold,), language) is by_quoted
    assert published.is_correct(answer, (gold,), language) is by_published


def test_one_of_several_golds_is_enough() -> None:
    assert quoted.is_correct("muning", ("pusa", "muning"), "tl")


def test_a_rule_has_a_known_name() -> None:
    with pytest.raises(InvalidInputError, match="one of quoted, published, got 'fuzzy'"):
        find_scoring("fuzzy")
