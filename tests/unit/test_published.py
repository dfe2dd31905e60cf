"""What published scripts saved, as arrays: taken as it is, or refused with what was expected."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bridgex.analysis import Selection, select_neurons
from bridgex.errors import InvalidInputError, ProvenanceError
from bridgex.exchange import (
    imported_provenance,
    probe_tensor,
    published_probes,
    published_statistics,
    read_word_pairs,
)
from bridgex.schema import NeuronStatistics, Pair, WordPair
from bridgex.store import Store
from bridgex.testing import synthetic

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bridgex.corpora import CorpusPart

SHAPE = (3, 4)
FILE = Path("activation.zh.flores.llama")
PROBES = Path("activation_value_zh_ja_llama.pt")
PAIR = Pair("zh", "ja")
WORDS = tuple(WordPair(f"s{number}", (f"t{number}",)) for number in range(7))


def saved(tokens: int = 50, **more: Any) -> dict[str, NDArray[Any]]:
    rng = np.random.default_rng(tokens)
    over_zero = rng.integers(0, tokens + 1, SHAPE, dtype=np.int32)
    sum1 = rng.normal(size=SHAPE).astype(np.float32)
    return {"n": np.array(tokens), "over_zero": over_zero, "sum1": sum1, **more}


def taken(
    content: Any, language: str = "zh", corpus: str = "default"
) -> tuple[CorpusPart, NeuronStatistics, tuple[int, ...]]:
    return published_statistics(content, path=FILE, language=language, corpus=corpus)


def test_counts_and_sums_are_taken_as_they_are() -> None:
    content = saved()
    _, statistics, sizes = taken(content)
    assert sizes == (4, 4, 4)
    assert (statistics.token_count, statistics.record_count) == (50, 1)
    assert statistics.positive_count.tolist() == content["over_zero"].ravel().tolist()
    assert statistics.sum.tolist() == content["sum1"].ravel().tolist()
    assert statistics.unknown == ("sum_squares", "maximum")
    squares = taken(saved(sum2=np.ones(SHAPE, np.float32)))[1]
    assert squares.sum_squares.tolist() == [1.0] * 12
    assert squares.unknown == ("maximum",)


def test_a_store_keeps_what_is_known_and_invents_nothing(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "store", imported_provenance("a model", (4, 4, 4)))
    part, statistics, _ = taken(saved())
    assert store.add_statistics(part, statistics)
    assert not store.add_statistics(part, statistics)
    arrays = {path.name for path in store.path.glob("parts/*/*") if path.is_dir()}
    assert arrays == {"positive_count", "sum", "record_digests"}
    found = store.snapshot().statistics("zh")
    assert found.unknown == ("sum_squares", "maximum")
    for name, values in statistics.known().items():
        assert getattr(found, name).tobytes() == values.tobytes()


def test_what_one_corpus_lacks_is_not_known_of_the_language(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "store", imported_provenance("a model", (4, 4, 4)))
    without = saved(60)
    del without["sum1"]
    for content, corpus in ((saved(), "flores"), (without, "wiki")):
        part, statistics, _ = taken(content, corpus=corpus)
        store.add_statistics(part, statistics)
    snapshot = store.snapshot()
    assert "sum" not in snapshot.statistics("zh", "flores").unknown
    both = snapshot.statistics("zh")
    assert both.unknown == ("sum", "sum_squares", "maximum")
    assert both.token_count == 110
    total = saved()["over_zero"] + without["over_zero"]
    assert both.positive_count.tolist() == total.ravel().tolist()


def test_captured_statistics_are_never_taken_for_unknown(tmp_path: Path) -> None:
    store = Store.create(
        tmp_path / "store", synthetic.provenance(layer_sizes=(4, 4, 4)), part_bytes=100
    )
    part, statistics, _ = taken(saved())
    with pytest.raises(InvalidInputError, match="sum_squares is nan"):
        store.add_statistics(part, statistics)


def test_a_rule_that_needs_the_mean_says_that_it_is_not_known() -> None:
    content = {code: saved(tokens) for code, tokens in (("zh", 50), ("ja", 60))}
    for one in content.values():
        del one["sum1"]
    statistics = {code: taken(one, code)[1] for code, one in content.items()}
    offsets = imported_provenance("a model", (4, 4, 4)).layer_offsets
    for rule in (Selection(top_percent=50), Selection("contrast", top_percent=50)):
        with pytest.raises(InvalidInputError, match="mean of the activations is needed"):
            select_neurons(statistics, offsets, rule)
    for rule in (
        Selection(top_percent=50, ties="include"),
        Selection("lape", top_percent=50, quantile=0.5),
        Selection("threshold", threshold=0.5),
    ):
        assert select_neurons(statistics, offsets, rule).masks.any()


def test_the_same_content_has_the_same_id_and_other_content_another() -> None:
    same = {name: values.copy() for name, values in reversed(saved().items())}
    assert taken(same)[0].chain_after == taken(saved())[0].chain_after
    for name in ("n", "over_zero", "sum1"):
        other = saved()
        other[name] = other[name].copy()
        if name == "n":
            other[name] += 1
        else:
            other[name][1, 2] = 1
        assert taken(other)[0].chain_after != taken(saved())[0].chain_after


def test_the_same_numbers_in_another_shape_are_other_content() -> None:
    turned = {
        name: values.reshape(4, 3) if values.ndim else values for name, values in saved().items()
    }
    assert taken(turned)[0].chain_after != taken(saved())[0].chain_after


def changed(name: str, value: Any) -> dict[str, NDArray[Any]]:
    return {**saved(), name: value}


def at(values: NDArray[Any], number: float) -> NDArray[Any]:
    copy = values.copy()
    copy[2, 1] = number
    return copy


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.zeros((3, 4, 5), np.float32), r"expected n and over_zero .* a tensor \(3, 4, 5\)"),
        ({}, "found nothing"),
        ({"n": np.array(3), "sum1": np.zeros(SHAPE)}, "found n, sum1"),
        (changed("n", np.array(0)), "number of tokens"),
        (changed("n", np.array(2.5)), "number of tokens"),
        (changed("n", np.array([1, 2])), "number of tokens"),
        (changed("over_zero", np.zeros(12, np.int32)), r"whole numbers .* of shape \(12,\)"),
        (changed("over_zero", np.zeros(SHAPE, np.float32)), "whole numbers .* got float32"),
        (changed("over_zero", np.zeros((0, 4), np.int32)), "whole numbers"),
        (changed("over_zero", at(saved()["over_zero"], -1)), "is -1 at neuron 1 of layer 2"),
        (changed("over_zero", at(saved()["over_zero"], 51)), "is 51 at neuron 1 of layer 2, .* 50"),
        (changed("sum1", np.zeros((4, 3), np.float32)), r"shape \(3, 4\), .* shape \(4, 3\)"),
        (changed("sum1", np.zeros(SHAPE, np.int64)), "expected sum1 .* as floats"),
        (changed("sum1", at(saved()["sum1"], np.nan)), "sum1 .* is nan at neuron 1 of layer 2"),
        (changed("sum2", np.full(SHAPE, np.inf)), "sum2 .* is inf at neuron 0 of layer 0"),
    ],
)
def test_what_contradicts_itself_is_refused(content: Any, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message) as caught:
        taken(content)
    assert str(FILE) in caught.value.message


def test_two_models_of_one_shape_do_not_mix(tmp_path: Path) -> None:
    Store.create(tmp_path / "store", imported_provenance("llama", (4, 4, 4)))
    with pytest.raises(ProvenanceError, match='"llama", yours is "mistral"'):
        Store.open_or_create(tmp_path / "store", imported_provenance("mistral", (4, 4, 4)))


def tensor(samples: int = 7) -> NDArray[np.float32]:
    return np.random.default_rng(1).normal(size=(*SHAPE, samples)).astype(np.float32)


def test_probes_keep_their_words_in_any_number_of_parts(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "store", imported_provenance("a", (4, 4, 4)), probe_block=3)
    parts = list(published_probes(tensor(), WORDS, path=PROBES, pair=PAIR, block=3))
    assert [store.add_probes(part, block, "keep") for part, block in parts] == [True] * 3
    assert [store.add_probes(part, block, "keep") for part, block in parts] == [False] * 3
    probes = store.snapshot().probes(PAIR)
    assert probes.words == WORDS
    for layer in range(3):
        assert probes.layer(layer).tobytes() == tensor()[layer].tobytes()


def test_a_word_pair_that_comes_twice_is_its_first_sample() -> None:
    words = (*WORDS[:3], WORDS[0], *WORDS[3:])
    found = list(published_probes(tensor(8), words, path=PROBES, pair=PAIR, block=100))
    ((part, block),) = found
    assert part.records == WORDS
    assert block.activations[1].tolist() == tensor(8)[1][:, [0, 1, 2, 4, 5, 6, 7]].tolist()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.zeros(SHAPE, np.float32), r"expected one float tensor .* float32 of \(3, 4\)"),
        (np.zeros((3, 4, 5), np.int64), "found int64"),
        (np.zeros((3, 4, 0), np.float32), r"\(3, 4, 0\)"),
        (saved(), "found n, over_zero, sum1"),
    ],
)
def test_what_is_no_tensor_of_probes_is_refused(content: Any, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message) as caught:
        probe_tensor(content, PROBES)
    assert str(PROBES) in caught.value.message


def test_samples_without_words_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="holds 7 samples, and the word list 6"):
        next(published_probes(tensor(), WORDS[:6], path=PROBES, pair=PAIR, block=3))


def test_word_pairs_are_read_as_the_published_script_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "zh-ja.txt"
    path.write_text("  水\t水 \n\n火 ひ\n火 火\n", encoding="utf-8")
    assert read_word_pairs(path) == (
        WordPair("水", ("水",)), WordPair("火", ("ひ",)), WordPair("火", ("火",)),
    )  # fmt: skip
    path.write_text("water\n", encoding="utf-8")
    with pytest.raises(InvalidInputError, match=r"expected a source and a target word .*'water'"):
        read_word_pairs(path)
