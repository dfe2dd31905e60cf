"""What goes into the compiled core: contiguous, of the right type, and of shapes that agree.

The one home of shape errors. Values are looked at by the core, which sees them anyway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bridgex.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    Rows = NDArray[np.float32] | NDArray[np.float64]

_EXACT = 2**53

_MATRIX = 2
"""Axes of a matrix."""


def measure(
    *, estimator: object, bandwidth: object, tol: object, dtype: object, threads: object
) -> dict[str, Any]:
    """Return the choices that every measure of dependence has, once they are of the right type."""
    words = {"estimator": estimator, "dtype": dtype}
    for name, value in words.items():
        if not isinstance(value, str):
            raise InvalidInputError(f"{name} must be a word, not {value!r}")
    if not (isinstance(bandwidth, str) or _is_number(bandwidth)):
        raise InvalidInputError(f"bandwidth must be a word or a number, not {bandwidth!r}")
    if not _is_number(tol):
        raise InvalidInputError(f"tol must be a number, not {tol!r}")
    return {
        **words,
        "bandwidth": bandwidth if isinstance(bandwidth, str) else float(bandwidth),  # type: ignore[arg-type]  # a number
        "tol": float(tol),  # type: ignore[arg-type]  # a number
        "threads": thread_count(threads),
    }


def thread_count(threads: object) -> int | None:
    """Return a number of threads that the core can look at."""
    if threads is None:
        return None
    if isinstance(threads, bool) or not isinstance(threads, int | np.integer):
        raise InvalidInputError(f"threads must be a whole number from 1 to 1024, not {threads!r}")
    return min(max(int(threads), 0), 2**31)


def _is_number(value: object) -> bool:
    return isinstance(value, float | int | np.floating | np.integer) and not isinstance(value, bool)


def vector(values: ArrayLike, name: str) -> NDArray[np.float64]:
    """Return a contiguous float64 vector."""
    array = np.asarray(values)
    if array.ndim != 1 or array.dtype.kind not in "fiu":
        raise InvalidInputError(
            f"{name} must be a vector of real numbers, not {array.dtype} with shape {array.shape}"
        )
    if (
        array.dtype.kind in "iu"
        and array.size
        and max(-int(array.min()), int(array.max())) > _EXACT
    ):
        raise InvalidInputError(f"{name} must be within ±2^53, where float64 tells numbers apart")
    return np.ascontiguousarray(array, dtype=np.float64)


def activations(values: ArrayLike, name: str) -> Rows:
    """Return a contiguous matrix of float32 or float64."""
    array = np.asarray(values)
    if isinstance(values, np.ma.MaskedArray):
        raise InvalidInputError(f"{name} must not be masked: fill what is missing, or leave it out")
    if array.ndim != _MATRIX or array.dtype.kind not in "fiu":
        raise InvalidInputError(
            f"{name} must hold real numbers with shape (neuron, sample), not {array.dtype} with "
            f"shape {array.shape}"
        )
    if array.dtype in (np.float16, np.float32):
        return np.ascontiguousarray(array, dtype=np.float32)
    return np.ascontiguousarray(array, dtype=np.float64)


def packed_sets(values: ArrayLike) -> NDArray[np.uint64]:
    """Return contiguous bitsets, (language, word)."""
    array = np.asarray(values)
    if array.dtype != np.uint64 or array.ndim != _MATRIX:
        raise InvalidInputError(
            "bitsets must be uint64 with shape (language, word), not "
            f"{array.dtype} with shape {array.shape}"
        )
    return np.ascontiguousarray(array, dtype=np.uint64)


def layer_bounds(values: ArrayLike, bits: int) -> NDArray[np.int64]:
    """Return layer offsets that rise from 0 or more to at most the number of bits."""
    offsets = np.asarray(values)
    if offsets.ndim != 1 or offsets.size <= 1 or offsets.dtype.kind not in "iu":
        raise InvalidInputError(
            "layer_offsets must hold at least two whole numbers, not "
            f"{offsets.dtype} with shape {offsets.shape}"
        )
    if offsets[0] < 0 or offsets[-1] > bits or np.any(offsets[1:] < offsets[:-1]):
        raise InvalidInputError(
            f"layer_offsets must rise within the {bits} bits of the bitsets, not {offsets.tolist()}"
        )
    return offsets.astype(np.int64)


def layer_rows(
    pair_rows: Sequence[ArrayLike],
    bridge_rows: Sequence[ArrayLike],
    members: Sequence[Sequence[ArrayLike]],
) -> tuple[list[Rows], list[Rows], list[list[NDArray[np.int64]]]]:
    """Return the rows and members of every layer, after checking that they fit each other."""
    if not len(pair_rows) == len(bridge_rows) == len(members):
        raise InvalidInputError(
            "pair_rows, bridge_rows and members must have one entry per layer, but have "
            f"{len(pair_rows)}, {len(bridge_rows)} and {len(members)}"
        )
    first = [activations(rows, f"pair_rows[{layer}]") for layer, rows in enumerate(pair_rows)]
    second = [activations(rows, f"bridge_rows[{layer}]") for layer, rows in enumerate(bridge_rows)]
    check_samples(first, second)
    return first, second, member_indices(members, second)


def check_samples(first: list[Rows], second: list[Rows]) -> int:
    """Refuse layers that have different samples; return how many they have."""
    counts = {rows.shape[1] for rows in (*first, *second)}
    if len(counts) > 1:
        raise InvalidInputError(
            f"all layers must have the same samples, but have {sorted(counts)} of them"
        )
    return counts.pop() if counts else 0


def draws(
    values: ArrayLike | None, samples: int, name: str, dtype: type[np.int64 | np.bool_]
) -> NDArray[Any]:
    """Return draws of samples, (draw, sample); none where there are no values."""
    if values is None:
        return np.empty((0, samples), dtype=dtype)
    array = np.asarray(values)
    kinds = "b" if dtype is np.bool_ else "iu"
    if array.dtype.kind not in kinds or array.ndim != _MATRIX or array.shape[1] != samples:
        expected = "booleans" if dtype is np.bool_ else "whole numbers"
        raise InvalidInputError(
            f"{name} must be {expected} with shape (draw, {samples}), not {array.dtype} with "
            f"shape {array.shape}"
        )
    return np.ascontiguousarray(array, dtype=dtype)


def member_indices(
    members: Sequence[Sequence[ArrayLike]], rows: list[Rows]
) -> list[list[NDArray[np.int64]]]:
    """Return the members as int64 vectors, after checking that they name rows, each once."""
    candidates = {len(layer) for layer in members}
    if len(candidates) > 1:
        raise InvalidInputError(
            f"members must have the same candidates in every layer, but have {sorted(candidates)}"
        )
    return [
        [_indices(one, len(rows[layer]), f"members[{layer}][{c}]") for c, one in enumerate(layers)]
        for layer, layers in enumerate(members)
    ]


def _indices(values: ArrayLike, count: int, name: str) -> NDArray[np.int64]:
    array = np.asarray(values)
    if array.size == 0:
        return np.empty(0, dtype=np.int64)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise InvalidInputError(
            f"{name} must be a vector of row indices, not {array.dtype} with shape {array.shape}"
        )
    if array.min() < 0 or array.max() >= count:
        raise InvalidInputError(
            f"{name} must name rows 0 to {count - 1}, but names {array.min()} to {array.max()}"
        )
    if np.unique(array).size < array.size:
        raise InvalidInputError(f"{name} must name every row at most once")
    return array.astype(np.int64)
