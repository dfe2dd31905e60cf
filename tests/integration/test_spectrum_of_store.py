"""Which probes a spectrum is computed from."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bridgex.analysis import Selection, SpectrumOptions, rank_bridges, spectrum
from bridgex.corpora import split_parts, split_words
from bridgex.errors import InvalidInputError
from bridgex.schema import Pair, WordPair
from bridgex.store import Store
from bridgex.testing import synthetic

if TYPE_CHECKING:
    from pathlib import Path

    from bridgex.schema import GoldFilter

PAIR = Pair("id", "tl")
LAYER_SIZES = (60, 50, 70)
OPTIONS = SpectrumOptions(Selection(top_percent=40))


def make(path: Path, words: int, *policies: GoldFilter) -> Store:
    """Make a store; the gold filter keeps about half of the words."""
    made = Store.create(path, synthetic.provenance(layer_sizes=LAYER_SIZES))
    for language in ("id", "tl", "en", "es"):
        records = [f"{language} {number}" for number in range(10)]
        for part in split_parts(records, language=language):
            made.add_statistics(part, synthetic.statistics(records, layer_sizes=LAYER_SIZES))
    pairs = [WordPair(f"kata{number}", (f"salita{number}",)) for number in range(words)]
    for block in split_words(pairs, pair=PAIR):
        for gold in policies:
            made.add_probes(block, synthetic.probes(block, gold, layer_sizes=LAYER_SIZES), gold)
    return made


def test_words_translated_right_are_preferred(tmp_path: Path) -> None:
    found = spectrum(make(tmp_path / "s", 90, "keep", "off").snapshot(), PAIR, options=OPTIONS)
    assert found.gold == "keep"
    assert 32 <= found.sample_count < 90


def test_all_words_are_used_where_those_are_too_few(tmp_path: Path) -> None:
    snapshot = make(tmp_path / "s", 40, "keep", "off").snapshot()
    found = spectrum(snapshot, PAIR, options=OPTIONS)
    assert (found.gold, found.sample_count) == ("off", 40)
    with pytest.raises(InvalidInputError, match=r"probes of 40 words, and 32 are needed"):
        spectrum(snapshot, PAIR, gold="keep", options=OPTIONS)


def test_too_few_probes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"of 40 words, and 32 are needed"):
        spectrum(make(tmp_path / "s", 40, "keep").snapshot(), PAIR, options=OPTIONS)
    with pytest.raises(InvalidInputError, match=r"has 20 probes, and 32 are needed"):
        spectrum(make(tmp_path / "t", 20, "off").snapshot(), PAIR, options=OPTIONS)


def test_a_ranking_needs_the_layers_it_averages(tmp_path: Path) -> None:
    snapshot = make(tmp_path / "s", 40, "off").snapshot()
    found = spectrum(snapshot, PAIR, layers=[0], options=OPTIONS)
    with pytest.raises(InvalidInputError, match="has no layers"):
        rank_bridges(found)
    assert rank_bridges(found, layers=[0]).layers == (0,)


def test_a_candidate_that_is_too_small_has_no_part_in_the_others_bandwidth(tmp_path: Path) -> None:
    snapshot = make(tmp_path / "s", 40, "off").snapshot()
    options = replace(OPTIONS, bridge_set="specific", bridge_percent=None, bandwidth="layer")
    both = spectrum(snapshot, PAIR, bridges=["en", "es"], layers=[0], options=options)
    alone = spectrum(snapshot, PAIR, bridges=["es"], layers=[0], options=options)
    assert both.bridge_counts.tolist() == [[4, 8]]
    assert both.reason == (("the candidate has fewer than 5 neurons", ""),)
    assert both.score[0, 1] == pytest.approx(alone.score[0, 0], rel=1e-12)
