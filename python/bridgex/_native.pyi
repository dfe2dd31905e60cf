from collections.abc import Sequence
from typing import TypeAlias, TypedDict, final

import numpy as np
from numpy.typing import NDArray

_Rows: TypeAlias = NDArray[np.float32] | NDArray[np.float64]
_Vector: TypeAlias = NDArray[np.float64]

__all__ = [
    "build_info",
    "dependence",
    "overlap_counts",
    "p_values",
    "resampled_scores",
    "spectrum_scores",
    "top_k",
]

@final
class _BuildInfo(TypedDict):
    version: str
    profile: str
    simd: str
    threads: int

def build_info() -> _BuildInfo: ...
def top_k(values: _Vector, k: int, *, tie_break: _Vector | None = None) -> NDArray[np.uint64]: ...
def overlap_counts(
    bitsets: NDArray[np.uint64], layer_offsets: NDArray[np.int64], *, threads: int | None = None
) -> NDArray[np.uint64]: ...
def dependence(
    x: _Rows,
    y: _Rows,
    *,
    estimator: str,
    normalize: str,
    bandwidth: str | float,
    tol: float,
    dtype: str,
    threads: int | None,
    matrix: bool,
) -> tuple[
    float, _Vector, _Vector, NDArray[np.float64] | None, int, float, _Vector, _Vector, int, int
]: ...
def spectrum_scores(
    pair_rows: Sequence[_Rows],
    bridge_rows: Sequence[_Rows],
    members: Sequence[Sequence[NDArray[np.int64]]],
    *,
    estimator: str,
    normalize: str,
    bandwidth: str | float,
    tol: float,
    dtype: str,
    threads: int | None,
) -> tuple[
    NDArray[np.float64],
    NDArray[np.uint8],
    NDArray[np.int64],
    NDArray[np.float64],
    NDArray[np.int64],
    NDArray[np.int64],
]: ...
def resampled_scores(
    pair_rows: _Rows,
    bridge_rows: _Rows,
    members: Sequence[NDArray[np.int64]],
    *,
    position: int,
    permutations: NDArray[np.int64],
    subsets: NDArray[np.bool_],
    estimator: str,
    normalize: str,
    bandwidth: str | float,
    tol: float,
    dtype: str,
    threads: int | None,
) -> tuple[_Vector, NDArray[np.float64], NDArray[np.float64], int]: ...
def p_values(
    x: _Rows,
    y: _Rows,
    *,
    estimator: str,
    bandwidth: str | float,
    tol: float,
    dtype: str,
    threads: int | None,
) -> NDArray[np.float64]: ...
