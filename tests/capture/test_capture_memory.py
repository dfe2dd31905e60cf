"""Batches for which memory runs out, by real failures of torch's allocator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from tests.notes import Notes

from bridgex.capture import collect_probes, collect_statistics, generate, gold_filter
from bridgex.capture.memory import Halving, is_out_of_memory
from bridgex.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridgex.capture import CaptureModel

    OpenModel = Callable[..., CaptureModel]

RECORDS = [letters * 3 for letters in ("ab", "cd", "ef", "gh", "ij", "kl", "xy", "zz")]
# More than any machine has.
EXABYTE = 1 << 60


class Limited(torch.nn.Module):
    """An activation for which memory suffices for some rows only, in the second layer."""

    def __init__(self, module: torch.nn.Module, rows: int) -> None:
        super().__init__()
        self.module = module
        self.rows = rows
        self.failed = 0

    def forward(self, values: torch.Tensor) -> Any:
        if values.shape[0] > self.rows:
            self.failed += 1
            torch.empty(EXABYTE, dtype=torch.uint8)
        return self.module(values)


@pytest.fixture
def limited(open_model: OpenModel) -> Callable[..., tuple[CaptureModel, Limited, Notes]]:
    """Open a model whose second layer has memory for some rows only."""

    def open_(rows: int, **options: Any) -> tuple[CaptureModel, Limited, Notes]:
        notes = Notes()
        model = open_model(progress=notes, **options)
        decoder: Any = model.decoder
        limit = Limited(decoder.layers[1].mlp.up_proj, rows)
        decoder.layers[1].mlp.up_proj = limit
        return model, limit, notes

    return open_


def test_statistics_are_those_of_the_halves(open_model: OpenModel, limited: Any) -> None:
    model, limit, notes = limited(2)
    statistics = collect_statistics(model, RECORDS)
    assert limit.failed == 3  # eight rows, and four twice
    halves = collect_statistics(open_model(batch_tokens=2 * 7), RECORDS)
    assert statistics.token_count == halves.token_count
    for name in ("positive_count", "sum", "sum_squares", "maximum"):
        np.testing.assert_allclose(
            getattr(statistics, name), getattr(halves, name), rtol=1e-5, atol=1e-6
        )
    (note,) = notes.notes
    assert note.startswith("memory ran out in 1 of 1 forward passes")


def test_probes_are_those_of_the_halves(open_model: OpenModel, limited: Any) -> None:
    model, _, notes = limited(1)
    for found, whole in zip(
        collect_probes(model, RECORDS), collect_probes(open_model(), RECORDS), strict=True
    ):
        np.testing.assert_allclose(found, whole, rtol=1e-4, atol=1e-5)
    assert len(notes.notes) == 1


def test_answers_are_those_of_the_halves(open_model: OpenModel, limited: Any) -> None:
    model, limit, notes = limited(3)
    whole = open_model()
    texts = generate(model, RECORDS, max_new_tokens=4)
    assert texts == generate(whole, RECORDS, max_new_tokens=4)
    assert len(notes.notes) == 1
    assert limit.failed
    answers = [[text.strip() or "x"] for text in texts]
    np.testing.assert_array_equal(
        gold_filter(model, RECORDS, answers), gold_filter(whole, RECORDS, answers)
    )


def test_experts_count_the_tokens_of_the_halves(open_model: OpenModel) -> None:
    model, whole = open_model("mixtral"), open_model("mixtral")
    decoder: Any = model.decoder
    limit = Limited(decoder.layers[1].input_layernorm, 2)
    decoder.layers[1].input_layernorm = limit
    found, expected = (collect_statistics(one, RECORDS) for one in (model, whole))
    assert limit.failed == 3
    np.testing.assert_array_equal(found.seen, expected.seen)
    np.testing.assert_allclose(found.sum, expected.sum, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(found.maximum == -np.inf, expected.seen == 0)


def test_nothing_is_said_where_memory_suffices(limited: Any) -> None:
    model, limit, notes = limited(8)
    collect_statistics(model, RECORDS)
    assert (limit.failed, notes.notes) == (0, [])


def test_a_single_row_that_does_not_fit_is_refused(limited: Any) -> None:
    model, _, _ = limited(0)
    with pytest.raises(InvalidInputError, match="a row of 7 tokens was expected to fit") as caught:
        collect_statistics(model, RECORDS)
    assert "--max-tokens below 7" in str(caught.value)


def test_other_errors_are_not_taken_for_a_want_of_memory() -> None:
    def fail(_part: slice) -> None:
        raise RuntimeError("shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="multiplied"):
        Halving().run(4, 10, fail)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"), True),
        (MemoryError(), True),
        (ValueError("out of memory"), False),
        (RuntimeError("index out of range"), False),
    ],
)
def test_how_libraries_say_that_memory_ran_out(error: BaseException, expected: bool) -> None:
    assert is_out_of_memory(error) is expected


def test_parts_are_consecutive_and_complete() -> None:
    seen: list[slice] = []

    def forward(part: slice) -> None:
        if part.stop - part.start > 3:
            raise MemoryError
        seen.append(part)

    halving = Halving()
    halving.run(11, 5, forward)
    halving.run(2, 5, forward)
    assert [(part.start, part.stop) for part in seen] == [(0, 2), (2, 5), (5, 8), (8, 11), (0, 2)]
    assert (halving.passes, halving.split) == (2, 1)
