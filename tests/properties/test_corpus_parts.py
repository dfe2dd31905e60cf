"""Splitting a text, whatever its records."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bridgex.corpora import split_parts, split_words
from bridgex.schema import Pair, WordPair

RECORDS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), max_size=30)
PART_BYTES = st.integers(1, 60)
PAIR = Pair("id", "tl")


@given(RECORDS, PART_BYTES)
def test_parts_hold_every_record_once_and_in_order(records: list[str], part_bytes: int) -> None:
    parts = list(split_parts(records, language="sw", part_bytes=part_bytes))
    assert [record for part in parts for record in part.records] == records
    for part, following in pairwise(parts):
        size = sum(len(record.encode()) for record in part.records)
        assert size <= part_bytes or len(part.records) == 1
        assert size + len(following.records[0].encode()) > part_bytes
        assert part.place.records_before + len(part.records) == following.place.records_before
        assert part.chain_after == following.place.chain_before


@given(RECORDS, RECORDS, PART_BYTES)
def test_appended_records_leave_earlier_places_as_they_were(
    records: list[str], more: list[str], part_bytes: int
) -> None:
    before = list(split_parts(records, language="sw", part_bytes=part_bytes))
    after = list(split_parts([*records, *more], language="sw", part_bytes=part_bytes))
    assert after[: max(len(before) - 1, 0)] == before[:-1]
    for last, grown in zip(before[-1:], after[len(before) - 1 :], strict=False):
        assert grown.place == last.place
        assert grown.records[: len(last.records)] == last.records


@given(RECORDS.filter(bool), st.data())
def test_a_changed_record_changes_every_chain_after_it(
    records: list[str], data: st.DataObject
) -> None:
    changed = data.draw(st.integers(0, len(records) - 1))
    other = [*records]
    other[changed] += "x"
    chains = [
        [part.chain_after for part in split_parts(text, language="sw", part_bytes=1)]
        for text in (records, other)
    ]
    for index, (mine, theirs) in enumerate(zip(*chains, strict=True)):
        assert (mine == theirs) == (index < changed)


@given(st.lists(st.sampled_from("abcdef"), max_size=20), st.integers(1, 4))
def test_word_lists_keep_the_first_of_each(words: list[str], block: int) -> None:
    parts = split_words((WordPair(word, ("x",)) for word in words), pair=PAIR, block=block)
    kept = [word.source for part in parts for word in part.records]
    assert kept == sorted(set(words), key=words.index)
