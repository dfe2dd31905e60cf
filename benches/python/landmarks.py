"""How many columns a factor of a kernel needs, by how its landmarks are chosen.

``python -m benches.python.landmarks`` prints a Markdown table: the median and the largest number
of columns until the trace of what is left out is at most 1e-5 of the largest eigenvalue, over 20
rows of 1,000 samples with the ``neuron`` bandwidth. The eigendecomposition needs the fewest that
any choice can do with; 200 stands for 200 or more.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bridgex.testing.reference import kernel, median_difference, standardise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Vector = NDArray[np.float64]

ROWS, SAMPLES, COLUMNS = 20, 1000, 200
RESIDUAL = 1e-5


def gelu(values: Vector) -> Vector:
    """Return x Φ(x), in the form with tanh."""
    result: Vector = values * (1 + np.tanh(np.sqrt(2 / np.pi) * (values + 0.0447 * values**3))) / 2
    return result


KINDS: dict[str, Callable[[np.random.Generator], Vector]] = {
    "normal": lambda rng: rng.normal(size=(ROWS, SAMPLES)),
    "Student's t, 5 degrees": lambda rng: rng.standard_t(5, size=(ROWS, SAMPLES)),
    "its square": lambda rng: rng.standard_t(5, size=(ROWS, SAMPLES)) ** 2,
    "GELU of t, 4 degrees": lambda rng: gelu(rng.standard_t(4, size=(ROWS, SAMPLES)) - 0.5),
}


def needed(u: Vector, landmarks: Iterator[int] | None) -> int:
    """Return the columns of a Cholesky factor with these landmarks, or with the worst left."""
    left = np.ones(u.size)
    columns: list[Vector] = []
    leading = 0.0
    while len(columns) < COLUMNS:
        pivot = int(left.argmax()) if landmarks is None else next(landmarks, -1)
        if pivot < 0:
            return COLUMNS
        if left[pivot] <= 1e-13:
            continue
        column = np.exp(-((u - u[pivot]) ** 2) / 2)
        for earlier in columns:
            column -= earlier[pivot] * earlier
        column /= np.sqrt(left[pivot])
        left = np.maximum(left - column**2, 0.0)
        columns.append(column)
        leading = max(leading, float(column.var()) * u.size)
        if left.sum() <= RESIDUAL * leading:
            break
    return len(columns)


def least(u: Vector) -> int:
    """Return the fewest columns of any factor."""
    values = np.linalg.eigvalsh(kernel(u, 1.0) + 1.0)[::-1]
    return int(np.argmax(values.sum() - np.cumsum(values) <= RESIDUAL * values[0])) + 1


def choices(u: Vector, rng: np.random.Generator) -> dict[str, int]:
    """Return the columns needed by every choice of landmarks."""
    shares = [_spread(n) for n in range(1, 4 * COLUMNS)]
    order = np.argsort(u)
    quantiles = (int(order[int(share * u.size)]) for share in shares)
    places = u.min() + np.array(shares) * (u.max() - u.min())
    grid = (int(np.abs(u - place).argmin()) for place in places)
    return {
        "eigenvectors": least(u),
        "greedy": needed(u, None),
        "uniform grid": needed(u, grid),
        "quantiles": needed(u, quantiles),
        "random": needed(u, iter(rng.permutation(u.size).tolist())),
    }


def table() -> Iterator[str]:
    """Return the lines of the table."""
    rng = np.random.default_rng(1)
    header = True
    for name, draw in KINDS.items():
        counts: dict[str, list[int]] = {}
        for row in standardise(draw(rng)):
            for choice, count in choices(row / median_difference(row), rng).items():
                counts.setdefault(choice, []).append(count)
        if header:
            yield f"| rows | {' | '.join(counts)} |"
            yield f"|---|{'---|' * len(counts)}"
            header = False
        cells = (f"{np.median(found):.0f} ({max(found)})" for found in counts.values())
        yield f"| {name} | {' | '.join(cells)} |"


def _spread(number: int) -> float:
    """Return the number's digits in base 2, mirrored behind the point (van der Corput)."""
    share, unit = 0.0, 0.5
    while number:
        share += unit * (number % 2)
        number //= 2
        unit /= 2
    return share


if __name__ == "__main__":
    for line in table():
        sys.stdout.write(line + "\n")
