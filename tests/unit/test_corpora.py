"""Splitting texts and word lists into parts."""

from __future__ import annotations

import hashlib
from itertools import islice, repeat

import numpy as np
import pytest

from bridgex.corpora import CHAIN_START, split_parts, split_words
from bridgex.errors import InvalidInputError
from bridgex.schema import Pair, WordPair

PAIR = Pair("id", "tl")


def test_parts_take_whole_records_up_to_their_size() -> None:
    records = ["aaaa", "bb", "cccc", "ñññ", "a longer record than a part", "d"]
    parts = list(split_parts(records, language="sw", part_bytes=8))
    assert [part.records for part in parts] == [
        ("aaaa", "bb"),
        ("cccc",),
        ("ñññ",),
        ("a longer record than a part",),
        ("d",),
    ]
    assert [part.place.records_before for part in parts] == [0, 2, 3, 4, 5]


def test_the_chain_is_that_of_its_definition() -> None:
    chain = bytes(32)
    for record in ["aaaa", "bb"]:
        chain = hashlib.sha256(chain + hashlib.sha256(record.encode()).digest()).digest()
    first, second = split_parts(["aaaa", "bb", "cccc"], language="sw", part_bytes=6)
    assert first.place.chain_before == CHAIN_START
    assert first.chain_after == second.place.chain_before == chain.hex()


def test_record_digests_are_the_first_bytes_of_sha256() -> None:
    (part,) = split_parts(["habari", "dunia"], language="sw")
    expected = [
        int.from_bytes(hashlib.sha256(record.encode()).digest()[:8], "little")
        for record in part.records
    ]
    assert part.record_digests().tolist() == expected
    assert part.record_digests().dtype == np.uint64


def test_parts_are_made_as_they_are_asked_for() -> None:
    endless = split_parts(repeat("habari ya dunia"), language="sw", part_bytes=100)
    assert [len(part.records) for part in islice(endless, 3)] == [6, 6, 6]


def test_nothing_makes_no_part() -> None:
    assert list(split_parts([], language="sw")) == []
    assert list(split_words([], pair=PAIR)) == []


def test_a_part_size_below_one_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="at least 1 byte, not 0"):
        split_parts(["a"], language="sw", part_bytes=0)
    with pytest.raises(InvalidInputError, match="at least 1 word pair, not 0"):
        split_words([], pair=PAIR, block=0)


def test_a_word_pair_is_taken_once() -> None:
    words = [WordPair(word, ("x",)) for word in "abacab"]
    parts = list(split_words(words, pair=PAIR, block=2))
    assert [word.source for part in parts for word in part.records] == ["a", "b", "c"]
    assert [len(part.records) for part in parts] == [2, 1]


def test_the_same_word_with_other_translations_is_another_word_pair() -> None:
    words = [WordPair("a", ("x",)), WordPair("a", ("x", "y")), WordPair("ax", ())]
    (part,) = split_words(words, pair=PAIR)
    assert part.records == tuple(words)
    assert len(set(part.record_digests().tolist())) == 3


@pytest.mark.parametrize("name", ["", "a\0b", "\udcff"])
def test_a_corpus_has_a_name_that_can_be_written(name: str) -> None:
    with pytest.raises(InvalidInputError, match="expected a name for the corpus") as error:
        split_parts(["rekodi"], language="sw", corpus=name)
    assert error.value.message.isprintable()
