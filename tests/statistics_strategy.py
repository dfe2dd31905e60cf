"""Statistics of a few languages with many ties, for property tests."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from bridgex.schema import NeuronStatistics

Given: TypeAlias = tuple[dict[str, NeuronStatistics], NDArray[np.int64]]


def statistics_of(counts: list[int], sums: list[float], tokens: int) -> NeuronStatistics:
    size = len(counts)
    return NeuronStatistics(
        positive_count=np.array(counts, dtype=np.int64),
        sum=np.array(sums, dtype=np.float64),
        sum_squares=np.ones(size),
        maximum=np.ones(size, dtype=np.float32),
        token_count=tokens,
        record_count=1,
    )


@st.composite
def some_statistics(
    draw: st.DrawFn,
) -> Given:
    """Statistics of three or four languages with many ties, over layers of unequal width."""
    widths = draw(st.lists(st.integers(20, 40), min_size=1, max_size=3))
    offsets = np.cumsum([0, *widths])
    tokens = draw(st.integers(1, 6))
    languages = draw(st.sampled_from([("aa", "bb", "cc"), ("aa", "bb", "cc", "dd")]))
    size = sum(widths)
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    found = {}
    for language in languages:
        counts = rng.integers(0, tokens + 1, size).tolist()
        found[language] = statistics_of(counts, rng.integers(0, 3, size).tolist(), tokens)
    return found, offsets
