"""A store that was filled layer by layer is the store that the model in memory fills."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bridgex.capture.checkpoint import StoredTensor
from bridgex.capture.costs import LOADINGS, Budget
from bridgex.capture.skeleton import Skeleton
from bridgex.engines.local import ingest_corpora, ingest_probes
from bridgex.engines.planning import plan
from bridgex.errors import InvalidInputError, ModelSupportError
from bridgex.lexicon import Lexicon
from bridgex.progress import Silent
from bridgex.schema import Pair, WordPair
from bridgex.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bridgex.capture import CaptureModel
    from bridgex.schema import NeuronStatistics

    OpenModel = Callable[..., CaptureModel]

TEXTS = {
    "de": tuple(f"Hund und Katze {number}" for number in range(20)),
    "en": tuple(f"the dog, number {number}" for number in range(15)),
}
WORDS = tuple(WordPair(f"word{number}", (f"Wort{number}",)) for number in range(40))
LEXICON = Lexicon(Pair("en", "de"), WORDS)


def filled(model: CaptureModel, path: Path) -> Store:
    store = Store.open_or_create(path, model.provenance, part_bytes=64, probe_block=16)
    ingest_corpora(model, store, TEXTS, reporter=Silent())
    for gold in ("off", "keep"):
        ingest_probes(model, store, LEXICON, gold=gold, reporter=Silent())
    return store


def with_room(model: CaptureModel, tokens: int, parts: int) -> CaptureModel:
    """The model with a limit that leaves room for so many tokens."""
    assert model.budget is not None
    costs = model.budget.costs
    limit = min(map(costs.fixed, LOADINGS)) + costs.group(tokens, parts)
    return replace(model, budget=Budget(limit, costs))


def assert_equal(left: NeuronStatistics, right: NeuronStatistics) -> None:
    for name in ("positive_count", "sum", "sum_squares", "maximum", "seen"):
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name))


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Remember every group of parameters that is loaded."""
    seen: list[Any] = []
    load = Skeleton.load

    def remember(skeleton: Skeleton, group: Any) -> None:
        seen.append(group)
        load(skeleton, group)

    monkeypatch.setattr(Skeleton, "load", remember)
    return seen


@pytest.mark.parametrize("architecture", ["llama", "qwen2_moe"])
def test_both_ways_fill_the_same_store(
    open_model: OpenModel, tmp_path: Path, loads: list[Any], architecture: str
) -> None:
    whole = filled(open_model(architecture, mode="resident"), tmp_path / "whole").snapshot()
    assert not loads
    swept = filled(open_model(architecture, mode="sweep"), tmp_path / "swept").snapshot()
    for language in TEXTS:
        assert_equal(whole.statistics(language), swept.statistics(language))
    ours, theirs = (snapshot.probes(LEXICON.pair, "off") for snapshot in (swept, whole))
    assert ours.words == theirs.words
    for layer in range(3):
        np.testing.assert_array_equal(ours.layer(layer), theirs.layer(layer))
    kept = [snapshot.probes(LEXICON.pair, "keep").words for snapshot in (swept, whole)]
    assert kept[0] == kept[1]


def test_parts_of_all_languages_share_a_sweep(
    open_model: OpenModel, tmp_path: Path, loads: list[Any]
) -> None:
    model = open_model(mode="sweep")
    store = Store.open_or_create(tmp_path / "store", model.provenance, part_bytes=64)
    found = ingest_corpora(model, store, TEXTS, reporter=Silent())
    assert found["de"].added > 3
    assert found["en"].added > 3
    assert loads == ["surroundings", 0, 1, 2]


@pytest.mark.parametrize("architecture", ["llama", "mixtral"])
def test_a_limit_makes_groups_and_loses_at_most_one(
    open_model: OpenModel, tmp_path: Path, loads: list[Any], architecture: str
) -> None:
    model = with_room(open_model(architecture, mode="sweep"), 100, 2)
    store = Store.open_or_create(tmp_path / "store", model.provenance, part_bytes=64)

    class Stopping(Silent):
        def task(self, description: str, *, total: int, unit: str) -> Any:
            if loads.count("surroundings") == 2:
                raise KeyboardInterrupt
            return super().task(description, total=total, unit=unit)

    with pytest.raises(KeyboardInterrupt):
        ingest_corpora(model, store, TEXTS, reporter=Stopping())
    before = store.snapshot().statistics("de").token_count
    assert before > 0
    done = ingest_corpora(model, store, TEXTS, reporter=Silent())
    assert done["de"].present > 0
    assert loads.count(0) > 2
    resident = open_model(architecture, mode="resident")
    whole = Store.open_or_create(tmp_path / "whole", resident.provenance, part_bytes=64)
    ingest_corpora(resident, whole, TEXTS, reporter=Silent())
    for language in TEXTS:
        assert_equal(whole.snapshot().statistics(language), store.snapshot().statistics(language))


@pytest.mark.parametrize("loading", LOADINGS)
def test_a_plan_tells_what_is_read(
    open_model: OpenModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loading: str
) -> None:
    """One part of each language, with room for one of them."""
    model = with_room(open_model(mode="sweep", batch_tokens=64), 400, 1)
    monkeypatch.setattr(Budget, "loading", lambda *_: loading)
    planned = plan(model, TEXTS)
    assert (planned.parts, planned.sweeps) == (2, 2)
    count = 0
    read = StoredTensor.read

    def counted(tensor: StoredTensor) -> Any:
        nonlocal count
        count += tensor.bytes
        return read(tensor)

    monkeypatch.setattr(StoredTensor, "read", counted)
    store = Store.open_or_create(tmp_path / "store", model.provenance)
    ingest_corpora(model, store, TEXTS, reporter=Silent())
    # Norms, two of 16 numbers in each layer, stay while its pieces come and go.
    again = (planned.bytes_read - 2 * planned.costs.read) // planned.costs.layers_read
    assert planned.bytes_read - count == again * 3 * 2 * 16 * 4
    assert (again > 0) == (loading == "pieces")


def test_a_part_that_does_not_fit_is_refused_with_the_limit_that_it_needs(
    open_model: OpenModel, tmp_path: Path
) -> None:
    model = with_room(open_model(mode="sweep"), 0, 0)
    store = Store.open_or_create(tmp_path / "store", model.provenance, part_bytes=64)
    with pytest.raises(InvalidInputError, match="beside a layer; it would into") as refused:
        ingest_corpora(model, store, TEXTS, reporter=Silent())
    needed = int(refused.value.message.rsplit(" ", 1)[1].replace(",", ""))
    assert model.budget is not None
    enough = replace(model, budget=Budget(needed + 10_000, model.budget.costs))
    assert ingest_corpora(enough, store, TEXTS, reporter=Silent())["de"].added > 0


def test_generation_is_refused(open_model: OpenModel) -> None:
    from bridgex.capture import generate

    with pytest.raises(ModelSupportError, match="layer by layer"):
        generate(open_model(mode="sweep"), ["a"])
