"""Rows and options that tests of dependence share, and how far rounding may carry a score."""

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from bridgex.analysis.arrays import Dependence, dependence
from bridgex.testing import reference

Rows = NDArray[np.float64]

KINDS: dict[str, Callable[[np.random.Generator, int], Rows]] = {
    "normal": lambda rng, size: rng.normal(size=size),
    "heavy tails": lambda rng, size: rng.standard_t(2, size=size),
    "few values": lambda rng, size: rng.integers(0, 3, size=size).astype(np.float64),
    "mostly zero": lambda rng, size: rng.normal(size=size) * (rng.random(size) < 0.3),
    "far from zero": lambda rng, size: 1e6 + rng.normal(size=size),
    "one outlier": lambda _, size: np.where(np.arange(size) == size // 2, 1.0, 0.0),
    "constant": lambda rng, size: np.full(size, rng.normal()),
}

# Rows whose kernels are unlike those of a bell curve: few samples carry most of the variance, the
# leading eigenvalues are equal, or the kernel is nearly that of another row.
HOSTILE: dict[str, Callable[[np.random.Generator, int], Rows]] = {
    "no moments": lambda rng, size: rng.standard_cauchy(size=size),
    "powers": lambda rng, size: rng.permutation(1.5 ** np.linspace(-20, 20, size)),
    "grid": lambda rng, size: rng.permutation(np.arange(float(size))),
    "two values": lambda rng, size: (rng.random(size) < rng.choice([0.02, 0.1, 0.5])).astype(float),
    "clusters": lambda rng, size: rng.integers(0, 6, size) * 10.0 + 1e-3 * rng.normal(size=size),
    "bulk and levels": lambda rng, size: np.where(
        rng.random(size) < 0.8, 0.01 * rng.normal(size=size), rng.integers(-4, 5, size)
    ),
    "few outliers": lambda rng, size: (
        rng.normal(size=size) + 10.0 ** rng.integers(1, 5) * (rng.random(size) < 3 / size)
    ),
    "mostly zero": KINDS["mostly zero"],
    "normal": KINDS["normal"],
}

ESTIMATORS = st.sampled_from(["unbiased", "biased", "reference", "linear"])
NORMALIZE = st.sampled_from(["cka", "none"])

OPTIONS = st.fixed_dictionaries(
    {
        "estimator": ESTIMATORS,
        "normalize": NORMALIZE,
        "bandwidth": st.sampled_from(["neuron", "layer", "reference", 0.3, 2.0, 50.0]),
    }
)


@st.composite
def row_sets(
    draw: st.DrawFn, *, least_samples: int = 4, most_samples: int = 50
) -> tuple[Rows, Rows]:
    samples = draw(st.integers(least_samples, most_samples))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kinds = st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=4)
    first, second = (np.array([KINDS[kind](rng, samples) for kind in draw(kinds)]) for _ in "xy")
    if draw(st.booleans()):
        second[0] = first[0] ** 2  # so that something depends on something
    return first, second


@st.composite
def hostile_sets(draw: st.DrawFn) -> tuple[Rows, Rows]:
    """Draw sets that share outlying samples, rows, or nearly rows."""
    samples = draw(st.integers(20, 160))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kinds = st.lists(st.sampled_from(sorted(HOSTILE)), min_size=1, max_size=4)
    x, y = (np.array([HOSTILE[kind](rng, samples) for kind in draw(kinds)]) for _ in "xy")
    if draw(st.booleans()):
        places = rng.choice(samples, size=draw(st.integers(1, 4)), replace=False)
        spikes = 10.0 ** rng.uniform(0, 3, size=places.size)
        x[:, places] += spikes * x.std(axis=1, keepdims=True)
        y[:, places] -= spikes * y.std(axis=1, keepdims=True)
    shared = draw(st.sampled_from(["nothing", "a row", "nearly a row", "its square"]))
    if shared == "its square":
        y[-1] = x[0] ** 2
    elif shared != "nothing":
        distance = 0.0 if shared == "a row" else 10.0 ** draw(st.integers(-9, -1))
        y[-1] = x[0] + distance * x[0].std() * rng.normal(size=samples)
    return x, y


def computed(sets: tuple[Rows, Rows], **options: Any) -> Dependence | None:
    """Return the dependence, or nothing where the rows define no bandwidth."""
    try:
        return dependence(*sets, matrix=True, **options)
    except ValueError as error:
        if "no bandwidth is defined" not in str(error):
            raise
        return None


def condition(sets: tuple[Rows, Rows], options: dict[str, Any]) -> float:
    """Return by how much normalising makes rounding grow: a lot, where own terms nearly vanish."""
    if options["normalize"] == "none" or options["estimator"] != "unbiased":
        return 1.0
    published = options["bandwidth"] == "reference"
    rows = [reference.standardise(one, published=published) for one in sets]
    widths = reference.bandwidths(rows[0], rows[1], options["bandwidth"])
    shares = [
        reference.own_terms(one, width, "biased", "cka")
        / reference.own_terms(one, width, "unbiased", "cka")
        for one, width in zip(rows, widths, strict=True)
    ]
    return float(np.nanmax(np.concatenate(shares), initial=1.0))


def agree(found: Rows, expected: Rows, slack: float) -> None:
    assert np.array_equal(np.isnan(found), np.isnan(expected))
    assert np.all((np.abs(found - expected) <= slack) | np.isnan(expected))
