from __future__ import annotations

import pytest

from bridgex.errors import InvalidInputError
from bridgex.prompts import bridge_prompt, probe_prompt


def test_probe_prompt_calls_languages_by_their_own_names() -> None:
    assert probe_prompt("en", "deu_Latn", "dog") == 'English:"dog"→Deutsch:'


def test_bridge_prompt_leads_through_the_word_of_the_bridge() -> None:
    expected = 'Bahasa Indonesia:"rumah"→中文:"房子"→Tagalog:'
    assert bridge_prompt("id", "zh", "tl", " rumah ", "房子") == expected


def test_a_quotation_mark_inside_a_word_does_not_end_it() -> None:
    assert probe_prompt("he", "en", 'צה"ל') == 'עברית:"צה”ל"→English:'


def test_a_bridge_word_may_be_missing_but_a_word_may_not() -> None:
    assert bridge_prompt("en", "fr", "de", "dog", "") == 'English:"dog"→Français:""→Deutsch:'
    with pytest.raises(InvalidInputError, match="empty"):
        probe_prompt("en", "de", "  ")


@pytest.mark.parametrize("word", ["a\nb", "a\u2028b"])
def test_a_word_of_several_lines_is_refused(word: str) -> None:
    with pytest.raises(InvalidInputError, match="one line"):
        probe_prompt("en", "de", word)
    with pytest.raises(InvalidInputError, match="one line"):
        bridge_prompt("en", "fr", "de", word, "chien")


def test_an_answer_of_the_model_may_hold_any_line_break() -> None:
    answer = "rumah\rbesar\u2028sekali\x0c"
    assert bridge_prompt("id", "en", "tl", "rumah", answer).count("\n") == 0
    assert '"rumah besar sekali"' in bridge_prompt("id", "en", "tl", "rumah", answer)
