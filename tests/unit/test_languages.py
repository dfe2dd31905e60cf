"""Codes and names are read in many forms and stored in one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bridgex.errors import InvalidInputError
from bridgex.languages import parse_language


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("sw", "sw"), ("swh", "sw"), ("swh_Latn", "sw"), ("Swahili", "sw"), ("SWAHILI", "sw"),
        (" Kiswahili ", "sw"), ("arb_Arab", "ar"), ("arb_Latn", "ar-Latn"), ("cmn", "zh"),
        ("Mandarin", "zh"), ("zho_Hans", "zh"), ("zho_Hant", "zh-Hant"), ("zh-TW", "zh-Hant"),
        ("Chinese (Traditional)", "zh-Hant"), ("中文", "zh"), ("deutsch", "de"),
        ("Tagalog", "tl"), ("Filipino", "tl"), ("fil", "tl"), ("tgl", "tl"), ("tgl_Latn", "tl"),
        ("iw", "he"), ("in", "id"), ("pt-BR", "pt"), ("en-GB", "en"), ("kor_Hang", "ko"),
        ("srp_Cyrl", "sr"), ("sr-Latn", "sr-Latn"), ("Serbian (Latin)", "sr-Latn"),
        ("uzn_Latn", "uz"), ("acm_Arab", "acm"), ("pes_Arab", "fa"), ("prs_Arab", "prs"),
        ("nob_Latn", "nb"), ("pa-PK", "pa-Arab"),
    ],
)  # fmt: skip
def test_every_way_to_write_a_language_has_one_code(text: str, code: str) -> None:
    assert parse_language(text).code == code


@pytest.mark.parametrize(
    ("code", "name", "own_name"),
    [
        ("en", "English", "English"),
        ("de", "German", "Deutsch"),
        ("fr", "French", "Français"),
        ("id", "Indonesian", "Bahasa Indonesia"),
        ("tl", "Tagalog", "Tagalog"),
        ("zh", "Chinese", "中文"),
        ("zh-Hant", "Chinese (Traditional)", "中文"),
        ("ar", "Arabic", "العربية"),
        ("sr-Latn", "Serbian (Latin)", "Srpski"),
        ("ka", "Georgian", "ქართული"),
        ("kmr", "Kurdish", "Kurdî"),
    ],
)
def test_names(code: str, name: str, own_name: str) -> None:
    found = parse_language(code)
    assert (found.name, found.own_name) == (name, own_name)


@pytest.mark.parametrize("text", ["", "a", "zz", "und", "mul", "qaa", "sw-", "sw Latn", "123"])
def test_what_is_no_language_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match="no language has the code or name"):
        parse_language(text)


def test_a_misspelt_name_is_answered_with_close_ones() -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_language("Swahilli")
    assert caught.value.hint is not None
    assert "Swahili (sw)" in caught.value.hint


def test_a_code_stands_for_itself() -> None:
    from langcodes.data_dicts import LANGUAGE_ALPHA3

    assert len(LANGUAGE_ALPHA3) > 150
    for given in LANGUAGE_ALPHA3:
        found = parse_language(given)
        assert parse_language(found.code) == found
        assert "(" not in found.own_name


def test_importing_the_leaves_does_not_read_the_language_tables() -> None:
    code = (
        "import bridgex.languages, bridgex.lexicon, bridgex.prompts, bridgex.evals.runner, sys;"
        "print([m for m in ('langcodes', 'polars', 'torch', 'babel') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
