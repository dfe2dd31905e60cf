"""What counts, what is refused, and what is left behind: nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from bridgex.capture import collect_probes, collect_statistics, count_tokens
from bridgex.capture.batching import Row, batches, bucket
from bridgex.capture.recorder import reading
from bridgex.errors import InvalidInputError, ModelSupportError
from bridgex.schema import NeuronStatistics

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridgex.capture import CaptureModel

    OpenModel = Callable[..., CaptureModel]

RECORDS = ("Hund", "das Haus", "the dog and the cat", "水は", "Hund", "a", "nd")


class Counter:
    """A progress that remembers."""

    def __init__(self) -> None:
        self.amount = 0

    def advance(self, amount: int) -> None:
        self.amount += amount


def assert_equal(left: NeuronStatistics, right: NeuronStatistics) -> None:
    for name in ("positive_count", "sum", "sum_squares", "maximum"):
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name))
    assert (left.token_count, left.record_count) == (right.token_count, right.record_count)


def hook_count(model: CaptureModel) -> int:
    return sum(
        len(module._forward_hooks) + len(module._forward_pre_hooks)
        for module in model.model.modules()
    )


def test_the_same_text_gives_the_same_bits(open_model: OpenModel) -> None:
    model = open_model(batch_tokens=16)
    assert_equal(collect_statistics(model, RECORDS), collect_statistics(model, RECORDS))


def test_the_grouping_into_batches_changes_no_count_of_tokens(open_model: OpenModel) -> None:
    small = collect_statistics(open_model(batch_tokens=1, max_tokens=64), RECORDS)
    large = collect_statistics(open_model(batch_tokens=4096, max_tokens=64), RECORDS)
    assert (small.token_count, small.record_count) == (large.token_count, large.record_count)
    np.testing.assert_allclose(small.sum, large.sum, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(small.maximum, large.maximum, rtol=1e-4, atol=1e-4)


def test_parts_add_up_to_the_whole(open_model: OpenModel) -> None:
    model = open_model()
    parts = collect_statistics(model, RECORDS[:3]).merge(collect_statistics(model, RECORDS[3:]))
    whole = collect_statistics(model, RECORDS)
    assert parts.token_count == whole.token_count
    np.testing.assert_allclose(parts.sum, whole.sum, rtol=1e-4, atol=1e-4)


def test_special_tokens_do_not_count_unless_asked(open_model: OpenModel) -> None:
    without = collect_statistics(open_model(), ["Hund"])
    with_ = collect_statistics(open_model(special="include"), ["Hund"])
    assert without.token_count == 1  # <bos> Hund
    assert with_.token_count == 2


def test_a_special_token_inside_the_text_does_not_count_either(open_model: OpenModel) -> None:
    assert collect_statistics(open_model(), ["Hund<eos>Hund"]).token_count == 2


def test_records_without_a_token_add_nothing(open_model: OpenModel) -> None:
    statistics = collect_statistics(open_model(), ["", "Hund", "<eos>"])
    assert (statistics.record_count, statistics.token_count) == (3, 1)


def test_no_record_gives_the_neutral_element(open_model: OpenModel) -> None:
    model = open_model()
    assert_equal(collect_statistics(model, []), NeuronStatistics.zeros(72))


@pytest.mark.parametrize("special", ["exclude", "include"])
def test_every_token_of_a_long_record_counts_once(open_model: OpenModel, special: str) -> None:
    text = "abcdefghijklmnopqrstuvw"
    model = open_model(max_tokens=7, special=special)
    statistics = collect_statistics(model, [text])
    assert statistics.token_count == len(text) + (special == "include")
    assert statistics.record_count == 1


def test_windows_of_a_long_record_are_read_like_records(open_model: OpenModel) -> None:
    long = collect_statistics(open_model(max_tokens=7), ["abcdefghijkl"])
    short = collect_statistics(open_model(max_tokens=7), ["abcdef", "ghijkl"])
    np.testing.assert_array_equal(long.sum, short.sum)


def test_a_window_without_room_for_text_is_refused(open_model: OpenModel) -> None:
    with pytest.raises(InvalidInputError, match="max_tokens is 1"):
        collect_statistics(open_model(max_tokens=1), ["Hund"])


def test_progress_hears_of_every_token(open_model: OpenModel) -> None:
    model, progress = open_model(batch_tokens=8), Counter()
    collect_statistics(model, RECORDS, progress=progress)
    assert progress.amount == count_tokens(model, RECORDS)


def test_one_text_is_not_taken_for_many(open_model: OpenModel) -> None:
    with pytest.raises(InvalidInputError, match="sequence of texts"):
        collect_statistics(open_model(), "Hund")


def test_probes_keep_the_order_of_the_prompts(open_model: OpenModel) -> None:
    model = open_model(batch_tokens=8)
    together = collect_probes(model, RECORDS)
    for sample, prompt in enumerate(RECORDS):
        for layer, alone in enumerate(collect_probes(model, [prompt])):
            np.testing.assert_allclose(
                together[layer][:, [sample]], alone, rtol=1e-4, atol=1e-5, err_msg=prompt
            )


def test_probes_of_some_neurons_are_the_rows_of_all(open_model: OpenModel) -> None:
    model, progress = open_model(batch_tokens=16), Counter()
    every = collect_probes(model, RECORDS)
    wanted = [np.array([23, 0, 7]), np.arange(0), np.arange(24)]
    some = collect_probes(model, RECORDS, neurons=wanted, progress=progress)
    for layer, neurons, rows in zip(every, wanted, some, strict=True):
        assert rows.flags.c_contiguous
        assert rows.tobytes() == layer[neurons].tobytes()
    assert progress.amount == len(RECORDS)


def test_probes_at_the_last_token(open_model: OpenModel) -> None:
    # The mean over one token is that token; what stands before it is the same in both.
    last = collect_probes(open_model(positions="last"), ["abc"])
    whole = collect_probes(open_model(), ["abc"])
    before = collect_probes(open_model(), ["ab"])
    for matrix, three, two in zip(last, whole, before, strict=True):
        np.testing.assert_allclose(matrix, 3 * three - 2 * two, rtol=1e-3, atol=1e-4)


def test_a_prompt_without_a_token_is_refused(open_model: OpenModel) -> None:
    with pytest.raises(InvalidInputError, match="has no token"):
        collect_probes(open_model(), ["Hund", ""])


def test_a_prompt_longer_than_the_context_is_refused(open_model: OpenModel) -> None:
    with pytest.raises(InvalidInputError, match="context of 96"):
        collect_probes(open_model(), ["x" * 96])


@pytest.mark.parametrize("site", ["act", "post"])
def test_outputs_have_the_same_bits_with_and_without_hooks(
    open_model: OpenModel, site: str
) -> None:
    model = open_model(site=site)
    ids = torch.tensor([[1, 9, 30, 77]])
    with torch.no_grad():
        free = model.decoder(input_ids=ids).last_hidden_state
        with reading(model.sites, lambda *_: None) as meter, meter.forward(4):
            read = model.decoder(input_ids=ids).last_hidden_state
    assert torch.equal(free, read)


@pytest.mark.parametrize("error", [None, RuntimeError, KeyboardInterrupt])
def test_hooks_are_gone_afterwards(
    open_model: OpenModel, error: type[BaseException] | None
) -> None:
    model = open_model()

    class Failing:
        def advance(self, amount: int) -> None:
            del amount
            assert hook_count(model) == len(model.sites)
            if error is not None:
                raise error

    if error is None:
        collect_statistics(model, RECORDS, progress=Failing())
    else:
        with pytest.raises(error):
            collect_statistics(model, RECORDS, progress=Failing())
    assert hook_count(model) == 0


def test_a_module_that_is_not_called_stops_the_run(open_model: OpenModel) -> None:
    model = open_model()
    decoder: Any = model.decoder
    decoder.layers[1].mlp.act_fn = torch.nn.SiLU()
    with pytest.raises(ModelSupportError, match="layer 1 was read 0 times"):
        collect_statistics(model, RECORDS)
    assert hook_count(model) == 0


def test_a_module_that_is_called_twice_stops_the_run(open_model: OpenModel) -> None:
    model = open_model()
    module = model.sites[0].module

    class Twice(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> Any:
            module(x)
            return module(x)

    decoder: Any = model.decoder
    decoder.layers[0].mlp.act_fn = Twice()
    with pytest.raises(ModelSupportError, match="layer 0 was read 2 times"):
        collect_statistics(model, RECORDS)


def test_values_of_another_width_stop_the_run(open_model: OpenModel) -> None:
    model = open_model()
    with reading(model.sites, lambda *_: None) as meter, meter.forward(3):
        with pytest.raises(ModelSupportError, match=r"3 tokens of 24 neurons.*\(3, 23\)"):
            meter.check(0, torch.zeros(3, 23), None)
        for layer in range(3):
            meter._fired[layer] = 1


@pytest.mark.parametrize("collect", [collect_statistics, collect_probes])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_an_activation_that_is_no_number_is_named(
    open_model: OpenModel, collect: Any, bad: float
) -> None:
    model = open_model(site="post")
    decoder: Any = model.decoder
    decoder.layers[1].mlp.up_proj.weight[5] = bad
    with pytest.raises(InvalidInputError, match="layer 1, neuron 5"):
        collect(model, ["Hund"])


def test_rows_of_a_batch_have_one_length_and_fit() -> None:
    rows = [Row(np.arange(n), np.ones(n, np.bool_)) for n in (5, 3, 5, 9, 3, 3, 5)]
    made = list(batches(rows, batch_tokens=8))
    assert [batch.ids.shape for batch in made] == [(2, 3), (1, 3), (1, 5), (1, 5), (1, 5), (1, 9)]
    assert sorted(np.concatenate([batch.rows for batch in made]).tolist()) == list(range(7))


def test_bucket_keeps_the_order_within_a_length() -> None:
    assert bucket([2, 1, 2, 2, 1], lambda length: 4 // length) == [[1, 4], [0, 2], [3]]
