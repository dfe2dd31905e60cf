"""What the array layer refuses, and with which words."""

import doctest
from typing import Any

import numpy as np
import pytest

from bridgex import _native
from bridgex.analysis import arrays
from bridgex.analysis.arrays import (
    dependence,
    overlap_counts,
    spectrum_scores,
    top_k,
    unpack,
)
from bridgex.errors import InvalidInputError

ROWS = np.random.default_rng(0).normal(size=(3, 20))


@pytest.mark.parametrize(
    ("x", "y", "options", "message"),
    [
        (ROWS[0], ROWS, {}, r"x must hold real numbers with shape \(neuron, sample\), not float64"),
        (ROWS, ROWS.astype(str), {}, "y must hold real numbers"),
        (ROWS, ROWS * 1j, {}, "y must hold real numbers"),
        (ROWS, ROWS[:, :5], {}, "x and y must have the same samples: x has 20, y has 5"),
        (ROWS, ROWS[:0], {}, "y must have a row, but has none"),
        (ROWS[:, :3], ROWS[:, :3], {}, "unbiased estimator needs 4 samples or more, but there are"),
        (ROWS[:, :1], ROWS[:, :1], {"estimator": "biased"}, "biased estimator needs 2 samples"),
        (ROWS, ROWS, {"estimator": "hsic"}, 'estimator must be one of .*, not "hsic"'),
        (ROWS, ROWS, {"normalize": "max"}, 'normalize must be one of cka, none, not "max"'),
        (ROWS, ROWS, {"bandwidth": "auto"}, 'bandwidth must be one of .*, not "auto"'),
        (ROWS, ROWS, {"bandwidth": 0}, "bandwidth must be between 1e-60 and 1e60, not 0"),
        (ROWS, ROWS, {"bandwidth": float("nan")}, "bandwidth must be between 1e-60 and 1e60"),
        (ROWS, ROWS, {"dtype": "f16"}, 'dtype must be one of f32, f64, not "f16"'),
        (ROWS, ROWS, {"tol": -1e-3}, "tolerance must be finite and not negative, not -0.001"),
        (ROWS, ROWS, {"tol": float("inf")}, "tolerance must be finite and not negative"),
        (ROWS, ROWS, {"threads": -1}, "threads must be a whole number from 1 to 1024"),
        (ROWS, ROWS, {"threads": 2**70}, "threads must be a whole number from 1 to 1024"),
        (ROWS, ROWS, {"threads": True}, "threads must be a whole number"),
        (ROWS, ROWS, {"tol": None}, "tol must be a number, not None"),
        (ROWS, ROWS, {"dtype": np.float32}, "dtype must be a word"),
        (ROWS, ROWS, {"bandwidth": None}, "bandwidth must be a word or a number"),
        (ROWS, ROWS, {"bandwidth": 1e100}, "between 1e-60 and 1e60"),
        (np.ma.masked_invalid(ROWS), ROWS, {}, "x must not be masked"),
        (ROWS, ROWS, {"threads": 0}, 'threads must be a whole number from 1 to 1024, not "0"'),
        (ROWS[:1] * 0, ROWS[:1] * 0, {"bandwidth": "layer"}, "no bandwidth is defined"),
    ],
)
def test_dependence_refuses(x: Any, y: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        dependence(x, y, **options)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([ROWS], [ROWS], []), "one entry per layer, but have 1, 1 and 0"),
        (([ROWS], [ROWS[:, :9]], [[[0]]]), r"same samples, but have \[9, 20\] of them"),
        (([ROWS] * 2, [ROWS] * 2, [[[0]], []]), r"same candidates in every layer, .* \[0, 1\]"),
        (([ROWS], [ROWS], [[[0, 3]]]), r"members\[0\]\[0\] must name rows 0 to 2, .* 0 to 3"),
        (([ROWS], [ROWS], [[[-1]]]), r"must name rows 0 to 2, but names -1"),
        (([ROWS], [ROWS], [[[1, 1]]]), r"members\[0\]\[0\] must name every row at most once"),
        (([ROWS], [ROWS], [[[0.5]]]), "must be a vector of row indices, not float64"),
        (([ROWS], [ROWS[0]], [[[0]]]), r"bridge_rows\[0\] must hold real numbers with shape"),
    ],
)
def test_spectrum_scores_refuses(arguments: Any, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        spectrum_scores(*arguments)


def test_a_spectrum_may_be_empty() -> None:
    assert spectrum_scores([], [], []).score.shape == (0, 0)
    assert spectrum_scores([ROWS], [ROWS], [[]]).score.shape == (1, 0)


@pytest.mark.parametrize(
    ("values", "k", "tie_break", "message"),
    [
        ([[1.0]], 1, None, r"values must be a vector of real numbers, not float64 with shape"),
        (["a"], 1, None, "values must be a vector of real numbers"),
        ([1.0], 2, None, "k must be between 0 and the 1 values, not 2"),
        ([1.0], -1, None, "k must be between 0 and the 1 values, not -1"),
        ([1.0], 1, [1.0, 2.0], "tie_break must have one number per value: 1 are expected, 2 came"),
    ],
)
def test_top_k_refuses(values: Any, k: int, tie_break: Any, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        top_k(values, k, tie_break)


def test_unpack_refuses_what_is_no_set_of_that_many_neurons() -> None:
    with pytest.raises(InvalidInputError, match=r"uint64 with shape \(1,\), not int64"):
        unpack(np.zeros(1, dtype=np.int64), 3)
    with pytest.raises(InvalidInputError, match=r"with shape \(2,\)"):
        unpack(np.zeros(2, dtype=np.uint64), 3)
    with pytest.raises(InvalidInputError, match="holds neuron 3, but there are only 3"):
        unpack(np.array([8], dtype=np.uint64), 3)


@pytest.mark.parametrize(
    ("bitsets", "offsets", "message"),
    [
        (np.zeros((1, 1)), None, r"bitsets must be uint64 with shape \(language, word\)"),
        (np.zeros(1, dtype=np.uint64), None, r"not uint64 with shape \(1,\)"),
        (np.zeros((1, 1), dtype=np.uint64), [0, 65], "must rise within the 64 bits"),
        (np.zeros((1, 1), dtype=np.uint64), [0, 3, 2], r"must rise .* not \[0, 3, 2\]"),
        (np.zeros((1, 1), dtype=np.uint64), [0], "at least two whole numbers"),
        (np.zeros((1, 1), dtype=np.uint64), [0.0, 1.0], "at least two whole numbers"),
    ],
)
def test_overlap_counts_refuses(bitsets: Any, offsets: Any, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        overlap_counts(bitsets, offsets)


def test_no_sets_have_no_overlaps() -> None:
    assert overlap_counts(np.zeros((0, 2), dtype=np.uint64)).shape == (0, 0)


def test_any_layout_and_precision_is_taken() -> None:
    expected = dependence(ROWS, ROWS).layer_score
    assert dependence(np.asfortranarray(ROWS), ROWS[::-1]).layer_score == pytest.approx(expected)
    assert dependence(ROWS.astype(">f8"), ROWS.tolist()).layer_score == pytest.approx(expected)
    for dtype in (np.float32, np.float16):
        rounded = ROWS.astype(dtype)
        exact = dependence(rounded.astype(np.float64), rounded.astype(np.float64))
        assert dependence(rounded, rounded).layer_score == pytest.approx(exact.layer_score)


def test_errors_carry_their_remedy() -> None:
    with pytest.raises(InvalidInputError) as caught:
        dependence(ROWS[:, :3], ROWS[:, :3])
    assert caught.value.hint == "Use more probes, or another estimator."


def test_the_build_is_an_optimised_one() -> None:
    info = _native.build_info()
    assert info["profile"] == "release"
    assert info["threads"] >= 1
    assert info["simd"] in {"portable", "popcnt", "avx2", "avx512", "neon"}


def test_the_examples_in_the_documentation_run() -> None:
    outcome = doctest.testmod(arrays)
    assert outcome.failed == 0
    assert outcome.attempted >= 8


def test_a_row_whose_squares_lose_their_digits_is_left_out() -> None:
    x = np.array([[-0.22, -2.56, 1.72], [0.0, 0.0, 4.05e-87]])
    for tol in (0.0, 1e-3):
        found = dependence(
            x, [[1.0, -1.0, -1.0]], estimator="reference", bandwidth="reference", tol=tol
        )
        assert found.left_out == 1
        assert np.isnan(found.row_max[1])
