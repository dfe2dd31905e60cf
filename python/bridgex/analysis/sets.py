"""Algebra of neuron sets, array by array.

A set is a bitset, as ``top_k`` returns it: neuron ``n`` is bit ``n % 64`` (counted from the least
significant) of word ``n // 64``. Several sets are the rows of a matrix.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bridgex.analysis.shapes import packed_sets
from bridgex.errors import InvalidInputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Combinations", "combinations", "difference", "intersection", "pack", "union"]

_REVERSED = np.packbits(np.unpackbits(np.arange(256, dtype=np.uint8)), bitorder="little")
"""Every byte with its bits in the other order."""


@dataclass(frozen=True)
class Combinations:
    """How many neurons are in exactly these sets and no other, the most first.

    Of equal counts fewer sets come first, then the order of the sets.
    """

    members: NDArray[np.uint64]
    """The sets of every combination, as bitsets: uint64 (combination, ceil(set / 64))."""
    counts: NDArray[np.int64]
    """Neurons in exactly those sets, int64 (combination,)."""


def pack(members: ArrayLike, n: int) -> NDArray[np.uint64]:
    """Return the bitset that holds some of n neurons, uint64 (ceil(n / 64),).

    Parameters
    ----------
    members
        Whole numbers, 0 to n - 1, in any order.
    n
        Number of neurons.

    Raises
    ------
    InvalidInputError
        When a member is no whole number, or not below ``n``.

    Examples
    --------
    >>> pack([0, 2, 64], 65)
    array([5, 1], dtype=uint64)
    """
    neurons = np.asarray(members)
    if neurons.ndim != 1 or (neurons.size and neurons.dtype.kind not in "iu"):
        raise InvalidInputError(
            f"members must be a vector of whole numbers, not {neurons.dtype} with shape "
            f"{neurons.shape}"
        )
    if neurons.size and (neurons.min() < 0 or neurons.max() >= n):
        raise InvalidInputError(
            f"members must be 0 to {n - 1}, but are {neurons.min()} to {neurons.max()}"
        )
    mask = np.zeros(-(-n // 64) * 64, dtype=np.bool_)
    mask[neurons.astype(np.int64)] = True
    return np.packbits(mask, bitorder="little").view("<u8").astype(np.uint64, copy=False)


def intersection(bitsets: ArrayLike) -> NDArray[np.uint64]:
    """Return the neurons that are in all sets, uint64 (word,).

    Parameters
    ----------
    bitsets
        uint64 (set, word), one set or more.

    Raises
    ------
    InvalidInputError
        When there is no set, or the array is no matrix of uint64.

    Examples
    --------
    >>> intersection(np.array([[0b0111], [0b1110]], dtype=np.uint64))
    array([6], dtype=uint64)
    """
    sets = packed_sets(bitsets)
    if not len(sets):
        raise InvalidInputError("an intersection needs one set or more, but there is none")
    shared: NDArray[np.uint64] = np.bitwise_and.reduce(sets, axis=0)
    return shared


def union(bitsets: ArrayLike) -> NDArray[np.uint64]:
    """Return the neurons that are in any of the sets, uint64 (word,).

    Parameters
    ----------
    bitsets
        uint64 (set, word).

    Raises
    ------
    InvalidInputError
        When the array is no matrix of uint64.

    Examples
    --------
    >>> union(np.array([[0b0111], [0b1110]], dtype=np.uint64))
    array([15], dtype=uint64)
    """
    together: NDArray[np.uint64] = np.bitwise_or.reduce(packed_sets(bitsets), axis=0)
    return together


def difference(bitset: NDArray[np.uint64], others: ArrayLike) -> NDArray[np.uint64]:
    """Return the neurons of a set that are in none of the others, uint64 (word,).

    Parameters
    ----------
    bitset
        uint64 (word,).
    others
        uint64 (set, word).

    Raises
    ------
    InvalidInputError
        When an array has the wrong shape or dtype.

    Examples
    --------
    >>> difference(np.array([0b0111], dtype=np.uint64), np.array([[0b1110]], dtype=np.uint64))
    array([1], dtype=uint64)
    """
    away = union(others)
    if bitset.dtype != np.uint64 or bitset.shape != away.shape:
        raise InvalidInputError(
            f"the bitset must be uint64 with shape {away.shape} as the others are, not "
            f"{bitset.dtype} with shape {bitset.shape}"
        )
    rest: NDArray[np.uint64] = bitset & ~away
    return rest


def combinations(bitsets: ArrayLike, *, limit: int | None = None, minimum: int = 1) -> Combinations:
    """Count the neurons of every combination of sets that has any: the bars of an UpSet plot.

    Every neuron of any set is counted once: in the combination of all sets that hold it.

    Parameters
    ----------
    bitsets
        uint64 (set, word).
    limit
        The most combinations to return; by default all.
    minimum
        The fewest neurons of a combination that is returned.

    Raises
    ------
    InvalidInputError
        When the array is no matrix of uint64, or ``limit`` or ``minimum`` is negative.

    Notes
    -----
    There can be as many combinations as neurons. Memory is ceil(set / 64) · 24 bytes for every
    neuron that any set holds; time is that of sorting them.

    References
    ----------
    Lex et al. 2014, "UpSet: Visualization of intersecting sets".

    Examples
    --------
    >>> found = combinations(np.array([[0b00111], [0b11110]], dtype=np.uint64))
    >>> found.counts
    array([2, 2, 1])
    >>> found.members.ravel()
    array([2, 3, 1], dtype=uint64)
    """
    if minimum < 0 or (limit is not None and limit < 0):
        raise InvalidInputError(
            f"limit and minimum must not be negative, but are {limit} and {minimum}"
        )
    kinds, counts = _distinct(_memberships(packed_sets(bitsets)))
    sizes = np.bitwise_count(kinds).sum(axis=0)
    kept = np.flatnonzero(counts >= minimum)
    # Larger keys hold earlier sets, so their complements rise in the order of the sets.
    keys = (*(~kinds[::-1, kept]), sizes[kept], -counts[kept])
    order = kept[np.lexsort(keys)][:limit]
    return Combinations(_as_bitsets(kinds[:, order]), counts[order])


def _memberships(sets: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the sets of every neuron that any holds, (word, neuron), the first set highest."""
    used = _bits(union(sets))
    found = np.zeros((-(-len(sets) // 64), used.sum()), dtype=np.uint64)
    for index, one in enumerate(sets):
        found[index // 64] |= _bits(one)[used].astype(np.uint64) << np.uint64(63 - index % 64)
    return found


def _bits(bitset: NDArray[np.uint64]) -> NDArray[np.bool_]:
    octets = bitset.astype("<u8", copy=False).view(np.uint8)
    return np.unpackbits(octets, bitorder="little").view(np.bool_)


def _distinct(kinds: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return the distinct columns, and how often each is there."""
    ordered = kinds[:, np.lexsort(kinds)] if kinds.size else kinds
    first = np.ones(ordered.shape[1], dtype=np.bool_)
    first[1:] = (ordered[:, 1:] != ordered[:, :-1]).any(axis=0)
    starts = np.flatnonzero(first)
    return ordered[:, starts], np.diff(starts, append=ordered.shape[1]).astype(np.int64)


def _as_bitsets(kinds: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return columns, where the first set is the highest bit, as rows where it is the lowest."""
    octets = np.ascontiguousarray(kinds.T).astype(">u8").view(np.uint8)
    return _REVERSED[octets].view("<u8").astype(np.uint64, copy=False)
