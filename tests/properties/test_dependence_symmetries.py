"""What must not matter: order of sets, neurons and samples, origin, sign and unit of a row."""

from typing import Any

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.dependence_cases import ESTIMATORS, NORMALIZE, Rows, agree, computed, hostile_sets

from bridgex.analysis.arrays import Dependence, dependence
from bridgex.testing import reference

# The published way to standardise adds 1e-6 to every deviation, so that units matter to it.
OPTIONS = st.fixed_dictionaries(
    {
        "estimator": ESTIMATORS,
        "normalize": NORMALIZE,
        "bandwidth": st.sampled_from(["neuron", "layer", 0.3, 2.0]),
        "tol": st.sampled_from([0.0, 1e-3]),
    }
)


def measured(x: Rows, y: Rows, options: dict[str, Any]) -> tuple[Rows, Dependence]:
    result = computed((x, y), **options, dtype="f64")
    assume(result is not None)
    assert result is not None
    assert result.matrix is not None
    return result.matrix, result


def slack(*results: tuple[Rows, Dependence]) -> float:
    largest = max(float(np.nanmax(np.abs(matrix), initial=1.0)) for matrix, _ in results)
    return sum(result.error_bound for _, result in results) + 1e-6 * largest


def undone(found: Rows, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Rows:
    result = np.empty_like(found)
    result[np.ix_(rows, columns)] = found
    return result


@settings(max_examples=60)
@given(sets=hostile_sets(), options=OPTIONS, seed=st.integers(0, 2**32 - 1))
def test_orders_do_not_matter(sets: tuple[Rows, Rows], options: dict[str, Any], seed: int) -> None:
    x, y = sets
    rng = np.random.default_rng(seed)
    one = measured(x, y, options)
    rows, columns = rng.permutation(len(x)), rng.permutation(len(y))
    samples = rng.permutation(x.shape[1])
    turned = measured(y, x, options)
    mixed = measured(x[:, samples], y[:, samples], options)
    moved = measured(x[rows], y[columns], options)
    agree(turned[0].T, one[0], slack(one, turned))
    agree(mixed[0], one[0], slack(one, mixed))
    agree(undone(moved[0], rows, columns), one[0], slack(one, moved))
    for _, other in (turned, mixed, moved):
        assert (other.constant_rows, other.left_out) == (one[1].constant_rows, one[1].left_out)


@settings(max_examples=60)
@given(
    sets=hostile_sets(),
    options=OPTIONS,
    exponent=st.sampled_from([-900, -300, -40, 40, 300, 900]),
    sign=st.sampled_from([-1.0, 1.0]),
)
def test_unit_and_sign_do_not_matter(
    sets: tuple[Rows, Rows], options: dict[str, Any], exponent: int, sign: float
) -> None:
    x, y = sets
    if options["bandwidth"] == "layer":
        sign = 1.0  # rows that point elsewhere are at other distances
    one = measured(x, y, options)
    other = measured(x, np.ldexp(sign * y, exponent), options)
    agree(other[0], one[0], slack(one, other))


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    samples=st.integers(2, 6),
    estimator=st.sampled_from(["biased", "reference", "linear"]),
    bandwidth=st.sampled_from(["neuron", "layer", "reference", 0.5]),
)
def test_few_samples_suffice_for_estimators_with_bias(
    seed: int, samples: int, estimator: Any, bandwidth: Any
) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(2, samples)), rng.normal(size=(3, samples))
    options: dict[str, Any] = {"estimator": estimator, "bandwidth": bandwidth}
    result = dependence(x, y, **options, dtype="f64", matrix=True)
    assert result.matrix is not None
    plain = reference.dependence_matrix(x, y, **options)
    agree(result.matrix, plain, result.error_bound + 1e-8)
