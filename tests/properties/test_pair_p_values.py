"""p-values of pairs, against their plain definition and against permutations."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridgex.analysis import pair_p_values
from bridgex.errors import InvalidInputError
from bridgex.testing import reference
from bridgex.testing.inference import pair_p_value


def plain(x: Any, y: Any, estimator: str, bandwidth: Any) -> list[list[float]]:
    first, second = (
        reference.standardise(one, published=bandwidth == "reference") for one in (x, y)
    )
    widths = reference.bandwidths(first, second, bandwidth)

    def kernels(rows: Any, sigmas: Any) -> list[Any]:
        if estimator == "linear":
            return [np.outer(row, row) for row in rows]
        pairs = zip(rows, sigmas, strict=True)
        return [reference.centred(reference.kernel(row, sigma)) for row, sigma in pairs]

    others = kernels(second, widths[1])
    return [[pair_p_value(one, other) for other in others] for one in kernels(first, widths[0])]


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    samples=st.integers(8, 40),
    estimator=st.sampled_from(["unbiased", "linear"]),
    bandwidth=st.sampled_from(["neuron", "layer", 0.4, 1.5]),
)
def test_p_values_are_the_defined_ones(
    seed: int, samples: int, estimator: Any, bandwidth: Any
) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.standard_t(4, size=(3, samples)), rng.standard_t(4, size=(2, samples))
    y[0] += x[0] ** 2
    found = pair_p_values(x, y, estimator=estimator, bandwidth=bandwidth, tol=0.0, dtype="f64")
    expected = plain(x, y, estimator, bandwidth)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-9)


def test_the_tail_is_that_of_permutations() -> None:
    rng = np.random.default_rng(5)
    x, y = rng.exponential(size=(1, 60)), rng.standard_t(5, size=(400, 60))
    p = pair_p_values(x, y)[0]
    permuted = pair_p_values(x, np.array([rng.permutation(row) for row in y]))[0]
    for level in (0.02, 0.05, 0.1, 0.2):
        spread = 3 * np.sqrt(level / p.size)
        assert abs(np.mean(p <= level) - level) < spread
        assert abs(np.mean(permuted <= level) - level) < spread


def test_degenerate_rows() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 20))
    y = np.vstack([np.ones(20), np.full(20, 1e308) * (np.arange(20) == 0), rng.normal(size=20)])
    p = pair_p_values(x, y)
    assert (p[:, 0] == 1.0).all()
    assert np.isfinite(p[:, 2]).all()
    assert np.isnan(pair_p_values(x, x, bandwidth=1e-6)).all()  # no two samples are alike
    with pytest.raises(InvalidInputError, match="needs 4 samples"):
        pair_p_values(x[:, :3], y[:, :3])
    with pytest.raises(InvalidInputError, match="same samples"):
        pair_p_values(x, y[:, :10])
