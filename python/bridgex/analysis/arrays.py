"""Arrays to arrays, in the compiled core.

Rows of an activation matrix are neurons and columns are samples. A set of neurons is a bitset:
neuron ``n`` is bit ``n % 64`` (counted from the least significant) of word ``n // 64``, and the
bits past the last neuron are zero.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from bridgex import _native
from bridgex.analysis.scores import Dependence, Reason, SpectrumScores
from bridgex.analysis.shapes import (
    activations,
    layer_bounds,
    layer_rows,
    measure,
    packed_sets,
    thread_count,
    vector,
)
from bridgex.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "Bandwidth",
    "Dependence",
    "Estimator",
    "Normalize",
    "Precision",
    "Reason",
    "SpectrumScores",
    "dependence",
    "overlap_counts",
    "spectrum_scores",
    "top_k",
    "unpack",
]

Estimator = Literal["unbiased", "biased", "reference", "linear"]
Normalize = Literal["cka", "none"]
Bandwidth = Literal["neuron", "layer", "reference"] | float
Precision = Literal["f32", "f64"]


def top_k(values: ArrayLike, k: int, tie_break: ArrayLike | None = None) -> NDArray[np.uint64]:
    """Return the set of the k largest values as a bitset with exactly k bits.

    Of equal values the one with the larger ``tie_break`` comes first, then the lower index.

    Parameters
    ----------
    values
        One number per neuron, (neuron,); minus infinity is allowed, NaN is not.
    k
        Size of the set, 0 to the number of neurons.
    tie_break
        A second number per neuron, (neuron,).

    Returns
    -------
    NDArray
        uint64 (ceil(neuron / 64),).

    Raises
    ------
    InvalidInputError
        When a value is NaN, ``k`` is out of range, or the shapes differ.

    Notes
    -----
    Linear in the number of neurons; no memory to speak of but the result.

    Examples
    --------
    >>> unpack(top_k([0.5, 1.0, 0.5, 1.0], 3), 4)
    array([0, 1, 3])
    """
    first = vector(values, "values")
    second = None if tie_break is None else vector(tie_break, "tie_break")
    if second is not None and second.shape != first.shape:
        raise InvalidInputError(
            f"tie_break must have one number per value: {first.size} are expected, "
            f"{second.size} came"
        )
    if isinstance(k, bool) or not isinstance(k, int | np.integer):
        raise InvalidInputError(f"k must be a whole number, not {k!r}")
    if not 0 <= k <= first.size:
        raise InvalidInputError(f"k must be between 0 and the {first.size} values, not {k}")
    return _native.top_k(first, k, tie_break=second)


def unpack(bitset: NDArray[np.uint64], n: int) -> NDArray[np.int64]:
    """Return the neurons in a bitset, ascending, int64 (size of the set,).

    Parameters
    ----------
    bitset
        uint64 (ceil(n / 64),).
    n
        Number of neurons.

    Raises
    ------
    InvalidInputError
        When the bitset has another length, or a bit past the last neuron is set.

    Examples
    --------
    >>> unpack(np.array([5], dtype=np.uint64), 3)
    array([0, 2])
    """
    words = -(-n // 64)
    if bitset.dtype != np.uint64 or bitset.shape != (words,):
        raise InvalidInputError(
            f"a bitset of {n} neurons is uint64 with shape ({words},), not {bitset.dtype} with "
            f"shape {bitset.shape}"
        )
    bits = np.unpackbits(bitset.astype("<u8", copy=False).view(np.uint8), bitorder="little")
    members = np.flatnonzero(bits).astype(np.int64, copy=False)
    if members.size and members[-1] >= n:
        raise InvalidInputError(f"the bitset holds neuron {members[-1]}, but there are only {n}")
    return members


def overlap_counts(
    bitsets: NDArray[np.uint64],
    layer_offsets: ArrayLike | None = None,
    *,
    threads: int | None = None,
) -> NDArray[np.uint64]:
    """Return the sizes of the intersections of all pairs of sets.

    Parameters
    ----------
    bitsets
        uint64 (language, ceil(neuron / 64)).
    layer_offsets
        Start of every layer on the neuron axis, and its end, (layer + 1,). Layers need not begin
        at a word.
    threads
        Worker threads; by default ``BRIDGEX_NUM_THREADS``, or all cores. The result does not
        depend on it.

    Returns
    -------
    NDArray
        uint64 (language, language), or (layer, language, language) where offsets are given. The
        diagonal holds the sizes of the sets.

    Raises
    ------
    InvalidInputError
        When an array has the wrong shape or dtype, or the offsets fall or leave the bitsets.

    Notes
    -----
    languages² · neurons / 128 word operations at most; where few languages share neurons, about
    languages · neurons / 64. Memory is the result, and for each thread a few tables of
    8 · languages² bytes and 8 KiB a language.

    Examples
    --------
    >>> overlap_counts(np.array([[0b0111], [0b1110]], dtype=np.uint64))
    array([[3, 2],
           [2, 3]], dtype=uint64)
    >>> overlap_counts(np.array([[0b0111], [0b1110]], dtype=np.uint64), [0, 2, 4])[0]
    array([[2, 1],
           [1, 1]], dtype=uint64)
    """
    bitsets = packed_sets(bitsets)
    bits = bitsets.shape[1] * 64
    offsets = layer_bounds([0, bits] if layer_offsets is None else layer_offsets, bits)
    counts = _native.overlap_counts(bitsets, offsets, threads=thread_count(threads))
    return counts[0] if layer_offsets is None else counts


def dependence(
    x: ArrayLike,
    y: ArrayLike,
    *,
    estimator: Estimator = "unbiased",
    normalize: Normalize = "cka",
    bandwidth: Bandwidth = "neuron",
    tol: float = 1e-3,
    dtype: Precision = "f32",
    threads: int | None = None,
    matrix: bool = False,
) -> Dependence:
    r"""Measure how strongly two sets of neurons depend on each other over the same samples.

    Every row is standardised (ddof = 1) and gets a Gaussian kernel over the samples,
    K[a, b] = exp(-(x_a - x_b)² / (2 σ²)). With H = I - 1 1ᵀ / S and s = tr(K H L H):

    ``unbiased``
        [s - S/(S-2) dᵀe + (Σd)(Σe) / ((S-1)(S-2))] / (S (S-3)), where d = diag(H K H) and
        e = diag(H L H). May be negative and is never clamped.
    ``biased``
        s / (S-1)².
    ``reference``
        tr(K H L), what the published scripts compute. It is not HSIC.
    ``linear``
        The squared correlation, without any kernel: the honest baseline.

    Parameters
    ----------
    x, y
        Activations, (n1, sample) and (n2, sample); float32 and float64 are taken as they are.
    estimator
        See above.
    normalize
        ``cka`` divides by the square root of the product of both rows' own terms (with
        ``unbiased``: debiased CKA); ``none`` leaves the estimator as it is.
    bandwidth
        Kernel width σ in units of a row's standard deviation. ``neuron``: the median difference
        between the samples of that row (where that is zero, the median of the differences that
        are not). ``layer``: the median distance between rows of both sets, which makes the score
        squared correlation. ``reference``: the published rule, the lower median of the distances
        within both sets plus 1e-6, with 1e-6 added to every standard deviation. Or a number.
    tol
        Largest error of an entry that low-rank features may make, on the scale of ``cka``.
        0 computes with the kernels themselves.
    dtype
        Precision of the products. Kernels are always computed in float64; features in float32 where
        ``f32`` and ``tol`` allow it.
    threads
        Worker threads; by default ``BRIDGEX_NUM_THREADS``, or all cores. The result does not
        depend on it.
    matrix
        Whether to keep all n1 × n2 entries.

    Returns
    -------
    Dependence

    Raises
    ------
    InvalidInputError
        When a shape is wrong, a set is empty, a value is NaN or infinite, there are fewer than 4
        samples for ``unbiased`` (2 otherwise), or no bandwidth is defined.

    Notes
    -----
    HKH = ΦΦᵀ + E with E positive semidefinite: Φ from a pivoted Cholesky factorisation or from a
    Taylor series, rotated to the r leading directions, so that s = ‖ΦᵀΨ‖² up to
    λ₁(HLH) tr(E_x) + λ₁(HKH) tr(E_y). r is chosen per neuron so that ``tol`` holds; kernels are
    used where r would exceed √(S/2) or S/16, whichever is more. Cost: 2 n1 n2 r² S operations and
    (n1 + n2) (r + 3) S numbers of memory; nothing proportional to n1 n2 unless ``matrix``.

    References
    ----------
    Gretton et al. 2005, "Measuring statistical dependence with Hilbert-Schmidt norms".
    Song et al. 2012, "Feature selection via dependence maximization", eq. 5.
    Nguyen et al. 2021, "Do wide and deep networks learn the same things?" (debiased CKA).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(3, 200))
    >>> result = dependence(x, x[:2] ** 2)
    >>> int(result.row_max.argmin())
    2
    """
    options = measure(
        estimator=estimator, bandwidth=bandwidth, tol=tol, dtype=dtype, threads=threads
    )
    first, second = activations(x, "x"), activations(y, "y")
    if first.shape[1] != second.shape[1]:
        raise InvalidInputError(
            f"x and y must have the same samples: x has {first.shape[1]}, y has {second.shape[1]}"
        )
    return Dependence(
        *_native.dependence(
            first,
            second,
            normalize=normalize,
            **options,
            matrix=matrix,
        )
    )


def spectrum_scores(
    pair_rows: Sequence[ArrayLike],
    bridge_rows: Sequence[ArrayLike],
    members: Sequence[Sequence[ArrayLike]],
    *,
    estimator: Estimator = "unbiased",
    normalize: Normalize = "cka",
    bandwidth: Bandwidth = "neuron",
    tol: float = 1e-3,
    dtype: Precision = "f32",
    threads: int | None = None,
) -> SpectrumScores:
    """Score every candidate in every layer: the layer scores of ``dependence``, all at once.

    A layer is multiplied once against the union of all candidates' neurons; the candidates are
    told apart afterwards. With the ``layer`` bandwidth the median is taken over the pair's rows
    and the union's, so that it is the same for every candidate; with ``reference`` every
    candidate has its own, and its own product.

    Parameters
    ----------
    pair_rows
        Per layer the activations of the pair's neurons, (n1, sample).
    bridge_rows
        Per layer the activations of the neurons that any candidate has, (union, sample).
    members
        Per layer and candidate the rows of the layer's ``bridge_rows`` that are the candidate's,
        each at most once.
    estimator, normalize, bandwidth, tol, dtype, threads
        See ``dependence``.

    Returns
    -------
    SpectrumScores

    Raises
    ------
    InvalidInputError
        When shapes do not agree, a value is NaN or infinite, a member is repeated or does not
        exist, or there are too few samples for the estimator.

    Notes
    -----
    Cost: 2 n1 union r² S operations a layer. As many layers as there are threads are in memory at
    a time.
    """
    options = measure(
        estimator=estimator, bandwidth=bandwidth, tol=tol, dtype=dtype, threads=threads
    )
    first, second, indices = layer_rows(pair_rows, bridge_rows, members)
    return SpectrumScores(
        *_native.spectrum_scores(
            first,
            second,
            indices,
            normalize=normalize,
            **options,
        )
    )
