"""What counts and how text is laid out: every policy against a plain reading of the same text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from bridgex.capture import collect_probes, collect_statistics
from bridgex.capture.batching import record_rows
from bridgex.errors import InvalidInputError, ProvenanceError
from bridgex.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from bridgex.capture import CaptureModel
    from bridgex.schema import NeuronStatistics

    OpenModel = Callable[..., CaptureModel]

RECORDS = ("Hund", "das Haus", "the dog and the cat", "水は", "Hund<eos>", "a", "nd")


def plain_values(model: CaptureModel, ids: list[int]) -> NDArray[np.float64]:
    """Return the neurons of all layers (token, neuron) of one row, read without a hook."""
    seen: list[torch.Tensor] = []
    for site in model.sites:
        module: Any = site.module
        forward = type(module).forward

        def record(x: torch.Tensor, *, module: Any = module, forward: Any = forward) -> Any:
            seen.append(forward(module, x))
            return seen[-1]

        module.forward = record
    with torch.no_grad():
        model.model(torch.tensor([ids]))
    for site in model.sites:
        del site.module.forward
    return np.hstack([layer.reshape(len(ids), -1).double().numpy() for layer in seen])


def joined(model: CaptureModel, *, special: bool) -> list[int]:
    rows = model.tokenizer(list(RECORDS), add_special_tokens=special).input_ids
    return [token for row in rows for token in row]


def assert_plain(statistics: NeuronStatistics, values: NDArray[np.float64]) -> None:
    assert statistics.token_count == len(values)
    assert statistics.record_count == len(RECORDS)
    np.testing.assert_array_equal(statistics.positive_count, (values > 0).sum(0))
    np.testing.assert_allclose(statistics.sum, values.sum(0), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(statistics.sum_squares, (values**2).sum(0), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(statistics.maximum, values.max(0), rtol=1e-4, atol=1e-4)


def test_joined_records_are_cut_into_blocks_without_marks(open_model: OpenModel) -> None:
    model = open_model(packing="concat", max_tokens=10)
    ids = joined(model, special=False)
    assert len(ids) % 10, "the last block is to be shorter"
    blocks = [ids[start : start + 10] for start in range(0, len(ids), 10)]
    values = np.vstack([plain_values(model, block) for block in blocks])
    own = np.array(ids) > 3
    assert not own.all(), "a mark within the text is to be left out of the sums"
    assert_plain(collect_statistics(model, RECORDS), values[own])


def test_joined_records_keep_their_marks_where_these_count(open_model: OpenModel) -> None:
    model = open_model(packing="concat", max_tokens=10, special="include")
    ids = joined(model, special=True)
    blocks = [ids[start : start + 10] for start in range(0, len(ids), 10)]
    values = np.vstack([plain_values(model, block) for block in blocks])
    assert_plain(collect_statistics(model, RECORDS), values)


def test_a_block_is_as_long_as_published_or_as_the_context(open_model: OpenModel) -> None:
    long = {"max_position_embeddings": 4096}
    assert open_model(packing="concat", changes=long, batch_tokens=16).max_tokens == 2048
    assert open_model(packing="concat").max_tokens == 96


def test_no_record_makes_no_block(open_model: OpenModel) -> None:
    model = open_model(packing="concat")
    assert record_rows(model, []) == []
    assert record_rows(model, ["", "<eos>"]) == []


@pytest.mark.parametrize(
    ("positions", "special", "chosen"),
    [
        ("prompt", "exclude", slice(1, None)),
        ("prompt", "include", slice(0, None)),
        ("last", "exclude", slice(-1, None)),
        ("last", "include", slice(-1, None)),
        ("all", "exclude", slice(0, None)),
        ("all", "include", slice(0, None)),
    ],
)
def test_positions_of_a_probe(
    open_model: OpenModel, positions: str, special: str, chosen: slice
) -> None:
    model = open_model(positions=positions, special=special)
    values = plain_values(model, model.tokenizer("the dog").input_ids)
    found = np.vstack(collect_probes(model, ["the dog"]))[:, 0]
    np.testing.assert_allclose(found, values[chosen].mean(0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "gemma2"])
def test_another_batch_size_differs_by_rounding_alone(
    open_model: OpenModel, architecture: str
) -> None:
    words = ("Hund", "Haus", "the", "dog", "and", "水", "cat")
    records = [
        " ".join(words[(start + step) % 7] for step in range(start % 9 + 1)) for start in range(120)
    ]
    small = collect_statistics(open_model(architecture, batch_tokens=20, max_tokens=96), records)
    large = collect_statistics(open_model(architecture, batch_tokens=900, max_tokens=96), records)
    counts = np.abs(small.positive_count - large.positive_count).sum()
    assert counts <= 1e-5 * small.token_count * small.positive_count.size
    for name in ("sum", "sum_squares"):
        one, other = getattr(small, name), getattr(large, name)
        assert np.abs(one - other).max() <= 1e-6 * np.abs(other).max()


@pytest.mark.parametrize(
    ("choice", "value", "name"),
    [
        ("special", "include", "special"),
        ("positions", "all", "positions"),
        ("packing", "concat", "packing"),
        ("max_tokens", 5, "max_tokens"),
        ("batch_tokens", 77, "batch_tokens"),
        ("dtype", "bfloat16", "dtype"),
    ],
)
def test_a_store_refuses_another_policy(
    open_model: OpenModel, tmp_path: Path, choice: str, value: object, name: str
) -> None:
    Store.open_or_create(str(tmp_path / "store"), open_model().provenance)
    other = open_model(**{choice: value}).provenance
    with pytest.raises(ProvenanceError, match=f"policy {name}.*{value}"):
        Store.open_or_create(str(tmp_path / "store"), other)


def spoil(model: CaptureModel, words: int | slice) -> None:
    """Make embeddings NaN."""
    embeddings: Any = model.model.get_input_embeddings()
    embeddings.weight.data[words] = float("nan")


@pytest.mark.parametrize("collect", [collect_statistics, collect_probes])
def test_an_activation_that_is_no_number_is_named_with_its_text(
    open_model: OpenModel, collect: Any
) -> None:
    model = open_model(site="post")
    word = model.tokenizer("水", add_special_tokens=False).input_ids[-1]
    spoil(model, word)
    with pytest.raises(InvalidInputError, match=r"layer 0, neuron 0 gave NaN.* on 'ab水'"):
        collect(model, ["abcde", "abcdf", "ab水", "Hund"])


def test_a_long_text_is_named_by_its_beginning(open_model: OpenModel) -> None:
    model = open_model(site="post")
    spoil(model, slice(None))
    with pytest.raises(InvalidInputError, match=f"on '{'x' * 60}…'"):
        collect_statistics(model, ["x" * 80])
