from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bridgex.errors import InvalidInputError, NotFoundError
from bridgex.lexicon import bundled_lexicon, merge, read_lexicon
from bridgex.schema import Pair, WordPair

if TYPE_CHECKING:
    from pathlib import Path


def written(folder: Path, text: str) -> Path:
    path = folder / "words.txt"
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize("separator", ["\t", " ", "   "])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_muse_file_groups_the_targets_of_a_word(tmp_path: Path, separator: str, end: str) -> None:
    rows = [("cat", "pusa"), ("dog", "aso"), ("cat", "muning"), ("cat", "pusa")]
    path = written(tmp_path, end.join(separator.join(row) for row in rows) + end + end)
    lexicon = read_lexicon(path, "eng", "fil")
    assert lexicon.pair == Pair("en", "tl")
    assert lexicon.words == (WordPair("cat", ("pusa", "muning")), WordPair("dog", ("aso",)))


def test_a_tab_lets_words_have_spaces(tmp_path: Path) -> None:
    path = written(tmp_path, "ice cream\tsorbetes\nhot dog\tmainit na aso\n")
    assert read_lexicon(path, "en", "tl").words[1] == WordPair("hot dog", ("mainit na aso",))


def test_a_first_line_of_two_short_words_is_no_header(tmp_path: Path) -> None:
    path = written(tmp_path, "no\tno\nis\tist\n")
    assert len(read_lexicon(path, "en", "de").words) == 2


def test_a_table_is_read_by_the_languages_of_its_header(tmp_path: Path) -> None:
    path = written(tmp_path, "id\tEnglish\ttgl_Latn\nx\tdog\taso\n\ny\tcat\t\nz\tTaxi\ttaxi\n")
    lexicon = read_lexicon(path, "fil", "en")
    assert lexicon.words == (WordPair("aso", ("dog",)), WordPair("taxi", ("Taxi",)))
    assert (lexicon.dropped_empty, lexicon.identical, lexicon.dropped_identical) == (1, 1, 0)


def test_a_table_of_two_columns_may_be_in_either_order(tmp_path: Path) -> None:
    path = written(tmp_path, "de\ten\nHund\tdog\n")
    assert read_lexicon(path, "en", "de").words == (WordPair("dog", ("Hund",)),)


def test_identical_forms_can_be_left_out_and_are_counted(tmp_path: Path) -> None:
    path = written(tmp_path, "Taxi taxi\ntaxi Droschke\ndog Hund\n")
    lexicon = read_lexicon(path, "en", "de", identical="drop")
    assert lexicon.words == (WordPair("taxi", ("Droschke",)), WordPair("dog", ("Hund",)))
    assert (lexicon.identical, lexicon.dropped_identical) == (1, 1)


def test_merging_keeps_every_word_once(tmp_path: Path) -> None:
    first = read_lexicon(written(tmp_path, "dog aso\ncat pusa\n"), "en", "tl")
    second = read_lexicon(written(tmp_path, "cat muning\ncat pusa\nsun araw\n"), "en", "tl")
    assert merge([first, second]).words == (
        WordPair("dog", ("aso",)),
        WordPair("cat", ("pusa", "muning")),
        WordPair("sun", ("araw",)),
    )


def test_lexicons_of_different_pairs_are_not_merged(tmp_path: Path) -> None:
    path = written(tmp_path, "a b\n")
    with pytest.raises(InvalidInputError, match="en-de, en-tl"):
        merge([read_lexicon(path, "en", "tl"), read_lexicon(path, "en", "de")])
    with pytest.raises(InvalidInputError, match="got none"):
        merge([])


@pytest.mark.parametrize("name", ["core", "strict"])
def test_the_bundled_lexicons_have_words_of_every_language(name: Any) -> None:
    path = bundled_lexicon(name)
    languages = path.read_text(encoding="utf-8").splitlines()[0].split("\t")[2:]
    assert len(languages) == 15
    for source, target in zip(languages, languages[1:] + languages[:1], strict=True):
        lexicon = read_lexicon(path, source, target, identical="drop")
        assert len(lexicon.words) >= 100
        assert not lexicon.dropped_empty


def test_there_are_two_bundled_lexicons() -> None:
    with pytest.raises(NotFoundError, match="'core' and 'strict', got 'big'"):
        bundled_lexicon("big")  # type: ignore[arg-type]  # the mistake is the subject


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        (" \n\t\n", "is empty"),
        (
            "dog aso\ncat\n",
            "line 2 .* should be a source and a target word, but has 1 of them: 'cat'",
        ),
        ("dog aso\nhot dog aso\n", "line 2 .* has 3 of them"),
        ("dog\taso\ncat\t\n", "line 2 .* has 1 of them"),
        ("en\ttl\tde\ndog\taso\n", "line 2 .* has 2 fields, but the header has 3"),
        ("en\ttl\tde\ndog\t\tHund\n", "no word pair of en-tl is left .* 1 with an empty cell"),
        ("en\ttl\tfil\ndog\taso\taso\n", "2 columns for 'tl'"),
    ],
)
def test_a_bad_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        read_lexicon(written(tmp_path, text), "en", "tl")


def test_dropping_may_leave_nothing(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="1 identical in both languages"):
        read_lexicon(written(tmp_path, "taxi Taxi\n"), "en", "de", identical="drop")


def test_the_languages_of_a_table_are_listed_when_one_is_missing() -> None:
    with pytest.raises(NotFoundError, match="no column for 'ru'; its languages are: en, zh, ja"):
        read_lexicon(bundled_lexicon(), "en", "ru")


def test_a_file_that_is_not_there_or_not_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no lexicon at"):
        read_lexicon(tmp_path / "none.txt", "en", "tl")
    with pytest.raises(InvalidInputError, match="is a directory"):
        read_lexicon(tmp_path, "en", "tl")
    latin = tmp_path / "latin.txt"
    latin.write_bytes("dog caf\xe9\n".encode("latin-1"))
    with pytest.raises(InvalidInputError, match=r"byte 7 of .* is not"):
        read_lexicon(latin, "en", "fr")


def test_one_language_is_no_pair(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="the same language: 'tl'"):
        read_lexicon(written(tmp_path, "a b\n"), "tgl", "Filipino")
