"""Layer scores of permuted samples, and of some of the samples.

Kernels are functions of two samples: permuting or leaving out samples permutes or leaves out rows
of the features that a kernel was written in, and nothing is computed anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bridgex import _native
from bridgex.analysis.shapes import draws, layer_rows, measure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from bridgex.analysis.arrays import Bandwidth, Estimator, Normalize, Precision


@dataclass(frozen=True)
class ResampledScores:
    """Layer scores under every draw of samples, all with the same features.

    Attributes
    ----------
    observed
        Scores of the samples as they are, float64 (layer, bridge). They differ from those of
        ``spectrum_scores`` by the accuracy of the features, and compare with the draws.
    permuted
        Scores of permuted samples, float64 (permutation, layer, bridge).
    subset
        Scores of some of the samples, float64 (subset, layer, bridge).
    rank
        Largest number of features per neuron in use, int64 (layer,).
    """

    observed: NDArray[np.float64]
    permuted: NDArray[np.float64]
    subset: NDArray[np.float64]
    rank: NDArray[np.int64]


def resampled_scores(
    pair_rows: Sequence[ArrayLike],
    bridge_rows: Sequence[ArrayLike],
    members: Sequence[Sequence[ArrayLike]],
    *,
    permutations: ArrayLike | None = None,
    subsets: ArrayLike | None = None,
    estimator: Estimator = "unbiased",
    normalize: Normalize = "cka",
    bandwidth: Bandwidth = "neuron",
    tol: float = 0.1,
    dtype: Precision = "f32",
    threads: int | None = None,
) -> ResampledScores:
    """Score every candidate in every layer, for the samples as they are and for every draw.

    Rows are standardised and kernel widths chosen once, from all samples. A permutation moves the
    candidates' samples against the pair's, in every layer and for every candidate alike. A subset
    is scored as if there were no other samples: features are centred over it, own terms are its
    own. A row that holds one value only there scores 0; a row that cannot be estimated from all
    samples is left out of every draw; a score is NaN where no row of one set is left.

    Parameters
    ----------
    pair_rows, bridge_rows, members
        As in ``spectrum_scores``.
    permutations
        Orders of the samples, integer (permutation, sample); none by default.
    subsets
        Which samples are in, bool (subset, sample); none by default.
    estimator, normalize, bandwidth, dtype, threads
        As in ``dependence``. With ``reference``, not normalised, the trace of m of S samples is
        multiplied by (S / m)².
    tol
        As in ``dependence``, for the features; but no neuron has more than 32 of them, or S/16, or
        √(S/2), whichever is most. 0 takes as many as that allows. What a feature leaves out is left
        out in every draw alike.

    Returns
    -------
    ResampledScores

    Raises
    ------
    InvalidInputError
        As ``spectrum_scores``; and when a permutation does not name every sample once, or a subset
        has too few samples for the estimator.

    Notes
    -----
    Cost of a draw: 2 n1 union r² operations for every sample that is in, and (n1 + union) r copied
    numbers a sample. Memory: the features of one layer, (n1 + union) (r + 1) S numbers, and for
    every thread as many of its own again where subsets are drawn.
    """
    options = measure(
        estimator=estimator, bandwidth=bandwidth, tol=tol, dtype=dtype, threads=threads
    )
    first, second, indices = layer_rows(pair_rows, bridge_rows, members)
    samples = first[0].shape[1] if first else 0
    orders = draws(permutations, samples, "permutations", np.int64)
    kept = draws(subsets, samples, "subsets", np.bool_)
    layers = [
        _native.resampled_scores(
            *layer,
            position=position,
            permutations=orders,
            subsets=kept,
            normalize=normalize,
            **options,
        )
        for position, layer in enumerate(zip(first, second, indices, strict=True))
    ]
    bridges = len(indices[0]) if indices else 0

    def table(part: int, draws: NDArray[Any]) -> NDArray[np.float64]:
        scores = np.empty((len(draws), len(layers), bridges))
        for position, layer in enumerate(layers):
            scores[:, position] = layer[part]
        return scores

    return ResampledScores(
        observed=np.array([layer[0] for layer in layers]).reshape(len(layers), bridges),
        permuted=table(1, orders),
        subset=table(2, kept),
        rank=np.array([layer[3] for layer in layers], dtype=np.int64),
    )
