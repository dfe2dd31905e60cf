"""What the dependence of sets of neurons comes back as."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Reason(IntEnum):
    """Why a layer has no score for a candidate."""

    ESTIMABLE = 0
    """It has one."""
    NO_PAIR_NEURONS = 1
    """The pair's set is empty."""
    NO_BRIDGE_NEURONS = 2
    """The candidate's set is empty."""
    PAIR_LEFT_OUT = 3
    """No neuron of the pair's set can be estimated."""
    BRIDGE_LEFT_OUT = 4
    """No neuron of the candidate's set can be estimated."""
    NO_BANDWIDTH = 5
    """The rows have no positive distance from each other, so no kernel width is defined."""


@dataclass(frozen=True)
class Dependence:
    """Dependence between two sets of neurons.

    Attributes
    ----------
    layer_score
        (mean of ``row_max`` + mean of ``column_max``) / 2 over the rows that can be estimated;
        NaN where there is none in one of the sets.
    row_max, column_max
        Best match of every row of ``x``, float64 (n1,), and of ``y``, float64 (n2,); NaN for rows
        that are left out.
    matrix
        Dependence of every row of ``x`` on every row of ``y``, float64 (n1, n2), if asked for.
    rank
        Largest number of features per neuron in use; 0 where the kernels themselves were used.
    error_bound
        Largest error that the low-rank features make in any entry, hence in the layer score.
        Rounding comes on top: in ``f32`` about 1e-6 of the largest entry (of ``biased``, for
        ``unbiased`` that is not normalised), in the tests never 5e-6.
    bandwidth_x, bandwidth_y
        Kernel width of every row in units of its standard deviation, float64 (n1,) and (n2,);
        NaN where it has none.
    constant_rows
        Rows with one value only, in both sets: they score 0.
    left_out
        Rows that cannot be estimated, in both sets: their own term is not positive.
    """

    layer_score: float
    row_max: NDArray[np.float64]
    column_max: NDArray[np.float64]
    matrix: NDArray[np.float64] | None
    rank: int
    error_bound: float
    bandwidth_x: NDArray[np.float64]
    bandwidth_y: NDArray[np.float64]
    constant_rows: int
    left_out: int


@dataclass(frozen=True)
class SpectrumScores:
    """Layer scores of one pair for many candidates.

    Attributes
    ----------
    score
        Layer score, float64 (layer, bridge); NaN where not estimable.
    reason
        ``Reason`` codes, uint8 (layer, bridge).
    rank
        Largest number of features per neuron in use, int64 (layer,); 0: exact kernels.
    error_bound
        Largest error that the low-rank features make in a layer's scores, float64 (layer,).
    constant_rows, left_out
        Rows of the pair and of the candidate together that hold one value only and score 0, and
        that cannot be estimated, int64 (layer, bridge).
    """

    score: NDArray[np.float64]
    reason: NDArray[np.uint8]
    rank: NDArray[np.int64]
    error_bound: NDArray[np.float64]
    constant_rows: NDArray[np.int64]
    left_out: NDArray[np.int64]
