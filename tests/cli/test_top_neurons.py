"""Probes of the top neurons: less is stored, and the default questions get the same answers."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bridgex.analysis import (
    Resampling,
    Selection,
    SpectrumOptions,
    rank_bridges,
    spectrum_inputs,
    spectrum_of,
    spectrum_uncertainty,
    top_neurons,
)
from bridgex.analysis.probe_neurons import check_top_neurons, probe_form
from bridgex.corpora import split_parts, split_words
from bridgex.errors import InvalidInputError, NotFoundError
from bridgex.schema import Pair, ProbeForm, WordPair
from bridgex.store import Store
from bridgex.testing import synthetic

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PAIR = Pair("id", "tl")
SIZES = (300, 260)
LANGUAGES = ("id", "tl", "en", "es", "sw")
WORDS = tuple(WordPair(f"kata{number}", (f"salita{number}",)) for number in range(40))
PERCENT = 6.0


def add_language(store: Store, language: str) -> None:
    records = [f"{language} {number}" for number in range(20)]
    for part in split_parts(records, language=language):
        statistics = synthetic.statistics(records, layer_sizes=SIZES)
        # So that every two languages share some.
        often = np.arange(sum(SIZES)) % 50 == 0
        store.add_statistics(
            part,
            replace(
                statistics,
                positive_count=np.where(often, statistics.token_count, statistics.positive_count),
            ),
        )


def add_probes(store: Store, form: ProbeForm) -> None:
    kept = form.layer_neurons(SIZES)
    for words in split_words(WORDS, pair=PAIR):
        block = synthetic.probes(words, "off", layer_sizes=SIZES)
        if kept is not None:
            rows = zip(block.activations, kept, strict=True)
            block = replace(block, activations=tuple(layer[index] for layer, index in rows))
        store.add_probes(words, block, "off", form)


def new_store(path: Path, *languages: str) -> Store:
    store = Store.create(path, synthetic.provenance(layer_sizes=SIZES))
    for language in languages:
        add_language(store, language)
    return store


def chosen(store: Store, percent: float = PERCENT) -> ProbeForm:
    return probe_form(store, PAIR, "off", neurons="top", percent=percent, dtype="f32")


@pytest.fixture
def stores(tmp_path: Path) -> tuple[Store, Store]:
    """A store of all neurons, and one of the top ones."""
    every, top = (new_store(tmp_path / name, *LANGUAGES) for name in ("every", "top"))
    add_probes(every, ProbeForm())
    add_probes(top, chosen(top))
    return every, top


def answer(store: Store, options: SpectrumOptions, **wanted: Any) -> list[bytes]:
    """Scores, and what resampled words and random sets say about them."""
    inputs = spectrum_inputs(store.snapshot(), PAIR, options=options, **wanted)
    found = spectrum_of(inputs)
    trust = spectrum_uncertainty(
        inputs,
        found,
        layers=rank_bridges(found).layers,
        resampling=Resampling(permutations=20, resamples=20, random_sets=20),
    )
    assert np.isfinite(found.score).any()
    assert trust.random_sets is not None
    return [found.score.tobytes(), trust.random_sets.share.tobytes()]


@pytest.mark.parametrize("percent", [PERCENT, 5.0])
@pytest.mark.parametrize("bridge_set", ["contrast", "specific", "all"])
def test_answers_are_the_same_bits(
    stores: tuple[Store, Store], percent: float, bridge_set: Any
) -> None:
    options = SpectrumOptions(selection=Selection(top_percent=percent), bridge_set=bridge_set)
    every, top = (answer(store, options) for store in stores)
    assert every == top
    assert stores[1].info().probes[0].neurons < sum(SIZES)


def test_neurons_that_were_not_chosen_are_named(stores: tuple[Store, Store]) -> None:
    for options in (
        SpectrumOptions(selection=Selection(top_percent=40)),
        SpectrumOptions(selection=Selection(select="contrast", top_percent=20)),
    ):
        with pytest.raises(NotFoundError, match=r"do not keep neuron \d+ of layer 0"):
            spectrum_inputs(stores[1].snapshot(), PAIR, options=options)


def test_a_language_that_came_later(stores: tuple[Store, Store]) -> None:
    _, top = stores
    options = SpectrumOptions(selection=Selection(top_percent=PERCENT))
    known = ("en", "es", "sw")
    before = spectrum_of(spectrum_inputs(top.snapshot(), PAIR, bridges=known, options=options))
    add_language(top, "de")
    after = spectrum_of(spectrum_inputs(top.snapshot(), PAIR, bridges=known, options=options))
    assert before.score.tobytes() == after.score.tobytes()
    with pytest.raises(NotFoundError, match=r"(?s)do not keep neuron .*--bridges"):
        spectrum_inputs(top.snapshot(), PAIR, options=options)
    # A word list that grows keeps its neurons; other probes are chosen for anew.
    assert chosen(top).languages == tuple(sorted(LANGUAGES))
    assert "de" in top_neurons(top.snapshot(), PAIR, percent=PERCENT).languages


def test_statistics_come_first(tmp_path: Path) -> None:
    store = new_store(tmp_path / "store", "id")
    with pytest.raises(NotFoundError, match="chosen from statistics, and tl has none"):
        chosen(store)
    add_language(store, "tl")
    with pytest.raises(InvalidInputError, match="no other language has statistics"):
        chosen(store)
    add_language(store, "en")
    assert chosen(store).languages == ("en", "id", "tl")
    with pytest.raises(InvalidInputError, match="is no neuron"):
        chosen(store, 0.01)


@pytest.mark.parametrize(
    "options",
    [
        SpectrumOptions.preset("paper"),
        SpectrumOptions(bridge_percent=2.0),
        SpectrumOptions(selection=Selection(select="contrast")),
    ],
)
def test_choices_that_need_other_neurons(options: SpectrumOptions) -> None:
    with pytest.raises(InvalidInputError, match="other choices were given"):
        check_top_neurons(options)


# From the command line


@pytest.fixture(scope="module")
def model(model_directory: Callable[..., Path]) -> Path:
    """A random model of three layers of 256 neurons."""
    return model_directory("llama", intermediate_size=256, max_position_embeddings=256)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts of three languages and a lexicon of 40 words."""
    directory = tmp_path_factory.mktemp("files")
    for language in ("id", "tl", "en"):
        lines = [f"{language} kalimat {number} kata {number * 7}" for number in range(30)]
        (directory / f"{language}.txt").write_text("\n".join(lines), encoding="utf-8")
    words = [f"{one.source}\t{one.targets[0]}" for one in WORDS]
    (directory / "lexicon.txt").write_text("\n".join(words), encoding="utf-8")
    return directory


def probes_arguments(model: Path, files: Path, store: Path, *options: str) -> list[Any]:
    return [
        "ingest", "probes", model, store, "--source", "id", "--target", "tl",
        "--lexicon", files / "lexicon.txt", "--gold", "off", *options,
    ]  # fmt: skip


def test_ingest_query_and_refuse(
    bridgex: Callable[..., Any], model: Path, files: Path, tmp_path: Path
) -> None:
    every, top = tmp_path / "every", tmp_path / "top"
    texts = [
        word for code in ("id", "tl", "en") for word in ("--text", f"{code}={files}/{code}.txt")
    ]
    refused = bridgex(*probes_arguments(model, files, tmp_path / "empty", "--neurons", "top"))
    assert refused.code == 1
    assert "chosen from statistics, and id, tl have none" in refused.err
    for store in (every, top):
        assert bridgex("ingest", "corpus", model, store, *texts, "--probe-block", "16").code == 0
    assert bridgex(*probes_arguments(model, files, every)).code == 0
    few = ("--neurons", "top", "--top-percent", "4")
    done = bridgex(*probes_arguments(model, files, top, *few))
    assert done.code == 0, done.err
    assert "of 768 neurons stored as f32" in done.err
    (probes,) = Store.open(top).info().probes
    assert (probes.parts, probes.samples) == (3, 40)
    assert probes.neurons < 768 / 2
    question = ("--source", "id", "--target", "tl", "--top-percent", "4", "--format", "json")
    same = [json.loads(bridgex("query", "bridges", store, *question).out) for store in (every, top)]
    assert same[0]["rows"] == same[1]["rows"]
    assert same[0]["rows"][0]["score"] is not None
    for options, message in (
        (["--neurons", "all"], "and all neurons as f32 were asked for"),
        ([*few, "--probe-dtype", "f16"], "as f16 were asked for"),
        (["--neurons", "top"], "the top 1 % of neurons"),
        ([*few, "--probe-block", "8"], "created with probe_block 16, and 8 was asked for"),
    ):
        refused = bridgex(*probes_arguments(model, files, top, *options))
        assert (refused.code, refused.out) == (1, "")
        assert message in refused.err
    usage = bridgex(*probes_arguments(model, files, top, "--top-percent", "4"))
    assert usage.code == 2
