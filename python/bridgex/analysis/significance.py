"""How often chance alone would make a pair of neurons depend as much on each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridgex import _native
from bridgex.analysis.shapes import activations, check_samples, measure

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from bridgex.analysis.arrays import Bandwidth, Estimator, Precision


def pair_p_values(
    x: ArrayLike,
    y: ArrayLike,
    *,
    estimator: Estimator = "unbiased",
    bandwidth: Bandwidth = "neuron",
    tol: float = 1e-3,
    dtype: Precision = "f32",
    threads: int | None = None,
) -> NDArray[np.float64]:
    """Return the chance of a dependence as large or larger under independence, for every pair.

    Each is valid for its pair alone: not for the best match of a row, nor for a layer score, whose
    test is a permutation (``resampled_scores``).

    Parameters
    ----------
    x, y
        Activations, (n1, sample) and (n2, sample).
    estimator
        ``linear`` takes the linear kernel; the others share the Gaussian kernel and this statistic.
    bandwidth, tol, dtype, threads
        As in ``dependence``.

    Returns
    -------
    NDArray
        float64 (n1, n2); 1 for a constant row, NaN for a row that is left out, and where the
        kernel is so narrow that permutations change nothing.

    Raises
    ------
    InvalidInputError
        As ``dependence``, and when there are fewer than 4 samples.

    Notes
    -----
    The statistic is s = tr(A B) of the centred kernels A and B. Over permutations of the samples
    its mean and variance are exact, from tr A, tr A² and the sum of the squared diagonal; its
    skewness is that of the limit, √8 tr A³ tr B³ / (tr A² tr B²)^(3/2). A gamma distribution
    shifted to these three (Pearson's type III) gives the upper tail. Cost: that of ``dependence``
    with ``matrix``, and a gamma function a pair.

    References
    ----------
    Kazi-Aoual, Hitier, Sabatier and Lebreton 1995, "Refined approximations to permutation tests for
    multivariate inference".

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(2, 200))
    >>> (pair_p_values(x, x**2) < 1e-6).tolist()
    [[True, False], [False, True]]
    """
    options = measure(
        estimator=estimator, bandwidth=bandwidth, tol=tol, dtype=dtype, threads=threads
    )
    first, second = activations(x, "x"), activations(y, "y")
    check_samples([first], [second])
    return _native.p_values(first, second, **options)
