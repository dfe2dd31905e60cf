"""What else computes the same numbers, written as well as its own approach allows.

Rivals are given standardised rows over their kernel widths for nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from bridgex.analysis.arrays import dependence
from bridgex.testing import reference

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bridgex.analysis.arrays import Bandwidth

    Rows = NDArray[Any]


def scaled(x: Rows, y: Rows, bandwidth: Bandwidth) -> tuple[Rows, Rows]:
    """Return standardised rows over their kernel widths."""
    found = dependence(x, y, bandwidth=bandwidth, tol=0.1)
    first, second = (
        (reference.standardise(rows, published=bandwidth == "reference") / widths[:, None])
        for rows, widths in ((x, found.bandwidth_x), (y, found.bandwidth_y))
    )
    return first.astype(np.float32), second.astype(np.float32)


def kernels(u: Rows) -> torch.Tensor:
    """Return a Gaussian kernel per row, (row, sample, sample)."""
    values = torch.from_numpy(u)
    differences = values[:, :, None] - values[:, None, :]
    return differences.square_().mul_(-0.5).exp_()


def published_loop(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Return tr(KH HL) for every pair of kernels, by a loop over pairs and dense products."""
    size = first.shape[1]
    centring = torch.eye(size) - torch.full((size, size), 1.0 / size)
    scores = torch.empty(len(first), len(second))
    for i, one in enumerate(first):
        for j, other in enumerate(second):
            scores[i, j] = torch.trace((one @ centring) @ (centring @ other))
    return scores


def centred_kernels(u: Rows, v: Rows) -> torch.Tensor:
    """Return debiased CKA from all centred kernels and one product of them, in torch."""
    first, second = (u_centred(kernels(one)).flatten(1) for one in (u, v))
    own = [one.square().sum(1).rsqrt() for one in (first, second)]
    return (first @ second.T) * own[0][:, None] * own[1]


def u_centred(kernel: torch.Tensor) -> torch.Tensor:
    """Centre kernels so that the products of their entries add up to the unbiased estimator."""
    size = kernel.shape[1]
    kernel.diagonal(dim1=1, dim2=2).zero_()
    sums = kernel.sum(2)
    total = sums.sum(1)[:, None, None] / ((size - 1) * (size - 2))
    sums /= size - 2
    kernel += total - sums[:, :, None]
    kernel -= sums[:, None, :]
    kernel.diagonal(dim1=1, dim2=2).zero_()
    return kernel


def taylor(u: Rows, v: Rows, order: int = 3) -> Rows:
    """Return debiased CKA from the Taylor series of wide kernels and one product, in NumPy."""
    first, second = taylor_features(u, order), taylor_features(v, order)
    product = np.concatenate(first, axis=0) @ np.concatenate(second, axis=0).T
    blocks = product.reshape(order + 1, len(u), order + 1, len(v))
    squares = np.einsum("kilj,kilj->ij", blocks, blocks)
    diagonals = [np.square(features).sum(axis=0) for features in (first, second)]
    own = [taylor_own(*one) for one in zip((first, second), diagonals, strict=True)]
    matrix: Rows = unbiased(squares, *diagonals) / np.sqrt(np.outer(*own))
    return matrix


def taylor_features(u: Rows, order: int) -> Rows:
    """Return the centred features e^(-u²/2) u^k / √k! of every row, (k, row, sample)."""
    half = -0.5 * np.square(u)
    features = np.empty((order + 1, *u.shape), dtype=np.float32)
    np.expm1(half, out=features[0])
    power = features[0] + 1.0
    for k in range(1, order + 1):
        power = power * u / np.float32(np.sqrt(k))
        features[k] = power
    features -= features.mean(axis=2, keepdims=True)
    return features


def taylor_own(features: Rows, diagonal: Rows) -> Rows:
    """Return the unbiased estimator of every row with itself, (row,)."""
    gram = np.einsum("kis,lis->ikl", features, features, optimize=True)
    squares = np.square(gram).sum(axis=(1, 2))
    products = np.square(diagonal).sum(axis=1)
    return correct(squares, products, diagonal.sum(axis=1) ** 2, diagonal.shape[1])


def unbiased(squares: Rows, d: Rows, e: Rows) -> Rows:
    """Return the unbiased estimator of every pair, (row, row)."""
    return correct(squares, d @ e.T, np.outer(d.sum(axis=1), e.sum(axis=1)), d.shape[1])


def correct(squares: Rows, products: Rows, totals: Rows, size: int) -> Rows:
    """Return Song et al. 2012, eq. 5, from tr(KHLH), dᵀe and (Σd)(Σe)."""
    value: Rows = squares - size / (size - 2) * products + totals / ((size - 1) * (size - 2))
    return value / (size * (size - 3))


def factors(x: Rows, y: Rows, bandwidth: Bandwidth, tol: float) -> tuple[Rows, Rows]:
    """Return matrices of the shapes of the product inside ``dependence``, (features, sample).

    A neuron's features are as many as it has when it is measured against itself.
    """
    found = dependence(x, y, bandwidth=bandwidth, tol=tol)
    rng = np.random.default_rng(0)

    def features(rows: Rows, widths: NDArray[np.float64]) -> Rows:
        ranks = [
            dependence(row[None], row[None], bandwidth=float(width), tol=tol, threads=1).rank
            for row, width in zip(rows, widths, strict=True)
        ]
        return rng.standard_normal((sum(ranks), rows.shape[1]), dtype=np.float32)

    return features(x, found.bandwidth_x), features(y, found.bandwidth_y)


def numpy_product(one: Rows, other: Rows) -> Rows:
    """Return all products of rows, by the BLAS that NumPy comes with."""
    return one @ other.T


def torch_product(one: Rows, other: Rows) -> Rows:
    """Return all products of rows, by the BLAS that torch comes with."""
    product: Rows = (torch.from_numpy(one) @ torch.from_numpy(other).T).numpy()
    return product


PRODUCTS = {"numpy": numpy_product, "torch": torch_product}
