"""Progress of probes, told by the word."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bridgex.engines.local import _Words


class Told:
    """A progress that remembers every step."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    def advance(self, amount: int) -> None:
        self.steps.append(amount)


@given(st.lists(st.integers(0, 300), max_size=20), st.integers(0, 256), st.sampled_from([1, 3]))
def test_every_word_is_told_once(rows: list[int], words: int, passes: int) -> None:
    told = Told()
    progress = _Words(told, words, passes=passes)
    for amount in rows:
        progress.advance(amount)
        assert sum(told.steps) <= words
    progress.finish()
    assert sum(told.steps) == words
    assert all(step > 0 for step in told.steps)


def test_words_are_told_within_a_part() -> None:
    told = Told()
    progress = _Words(told, 10, passes=3)
    for _ in range(20):
        progress.advance(1)
    assert told.steps == [1] * 6
