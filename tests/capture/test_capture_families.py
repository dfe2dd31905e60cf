"""Every family of the table, at both sites, against values computed from the model's weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from tests.family_oracles import ORACLES, plain_values

from bridgex.capture import collect_probes, collect_statistics
from bridgex.capture.choices import choose
from bridgex.capture.families import FAMILIES

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from bridgex.capture import CaptureModel
    from bridgex.schema import Site

    OpenModel = Callable[..., CaptureModel]

SITES: tuple[Site, ...] = ("act", "post")
RECORDS = ('English:"dog"', "Hund und Katze", "the\nthird", "das Haus", "", "水")
TEXTS = [text for text in RECORDS if text]


def test_every_family_of_the_table_has_an_oracle() -> None:
    assert set(ORACLES) == set(FAMILIES)


def mean_where_routed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    routed = np.isfinite(values)
    means: NDArray[np.float64] = np.where(routed, values, 0).sum(0) / np.maximum(routed.sum(0), 1)
    return means


@pytest.mark.parametrize("architecture", sorted(ORACLES))
def test_statistics_and_probes_equal_a_plain_loop(
    architecture: str, shared_model: OpenModel
) -> None:
    values = [plain_values(shared_model(architecture), text) for text in TEXTS]
    for site in SITES:
        check(shared_model(architecture, site), [text[site] for text in values])


def check(model: CaptureModel, values: list[list[NDArray[np.float64]]]) -> None:
    """Hold a model to the values (token, neuron) of every text and layer."""
    expected = np.hstack([np.vstack(layer) for layer in zip(*values, strict=True)])
    routed = np.isfinite(expected)
    known = np.where(routed, expected, 0)

    statistics = collect_statistics(model, RECORDS)

    assert statistics.token_count == len(expected)
    assert statistics.record_count == len(RECORDS)
    assert model.provenance.layer_sizes == tuple(layer.shape[1] for layer in values[0])
    np.testing.assert_array_equal(statistics.seen, routed.sum(0))
    assert (statistics.routed_count is None) == routed.all() == (not model.provenance.experts)
    near_zero = ((known != 0) & (np.abs(known) < 1e-5)).sum(0)
    difference = np.abs(statistics.positive_count - (known > 0).sum(0))
    assert (difference <= near_zero).all()
    scale = np.abs(known).max()
    np.testing.assert_allclose(statistics.sum, known.sum(0), atol=1e-4 * scale)
    np.testing.assert_allclose(statistics.sum_squares, (known**2).sum(0), atol=1e-4 * scale**2)
    largest = np.where(routed, expected, -np.inf).max(0)
    np.testing.assert_allclose(statistics.maximum, largest, atol=1e-4 * scale)

    probes = collect_probes(model, TEXTS)

    for layer, matrix in enumerate(probes):
        means = np.stack([mean_where_routed(text[layer]) for text in values], axis=1)
        np.testing.assert_allclose(matrix, means, atol=1e-4 * scale)


@pytest.mark.parametrize("architecture", sorted(ORACLES))
def test_choices_are_those_of_the_whole_model(architecture: str, shared_model: OpenModel) -> None:
    model = shared_model(architecture)
    rows = [np.array(model.tokenizer(text).input_ids) for text in TEXTS]
    chosen = choose(model, rows, [1] * len(rows))
    for row, choices in zip(rows, chosen, strict=True):
        with torch.no_grad():
            logits = model.model(torch.from_numpy(row)[None]).logits[0]
        np.testing.assert_array_equal(choices, logits.argmax(-1).numpy())
