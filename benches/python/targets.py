"""How fast the metrics and the store should be: the table that measurements are held against."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from benches.python.results import Result, Results

BRIDGEX = "bridgex"


class Target(NamedTuple):
    """What one piece of work may cost.

    Attributes
    ----------
    work
        What is done.
    group, who
        The bench that does it.
    seconds
        Most seconds, where the target is a time.
    faster
        Rivals, and how many times faster than each it should be, at least.
    within
        Floors, and how many times as long as each it may take, at most.
    memory
        Most bytes of the process.
    """

    work: str
    group: str
    who: str = BRIDGEX
    seconds: float | None = None
    faster: tuple[tuple[str, float], ...] = ()
    within: tuple[tuple[str, float], ...] = ()
    memory: float | None = None


class Verdict(NamedTuple):
    """One condition of a target, and what came of it; nothing where a bench is absent.

    ``excess`` is how many times too long or too large: at most 1 where the target is met.
    """

    target: Target
    kind: str
    rival: str | None
    bound: float
    value: float | None
    excess: float | None


SQUARE = "100 × 100 neurons, 1,000 samples"
PAIR = "one pair of languages, 32 layers × 14,336 neurons, top 1 %, 13 candidates, 2 threads"
OVERLAP = "overlap of 200 sets among 2.3 million neurons"
CRITERION = "overlap 200 x 2.3M"
PYTHON_OVERLAP = "test_bench_overlap"
STORED = "235 MB of probes, 32 layers × 14,336 neurons × 256 samples, half precision"
HALF = "store, float16, "

TARGETS = (
    Target(
        f"{SQUARE}, `layer` bandwidth, tol 1e-4",
        "layer",
        seconds=2.5e-3,
        faster=(("torch", 300), ("taylor", 3)),
    ),
    Target(
        f"{SQUARE}, `reference` bandwidth and estimator, tol 1e-4",
        "reference",
        seconds=2.5e-3,
        faster=(("published loop", 100_000),),
    ),
    Target(
        f"{SQUARE}, `neuron` bandwidth, tol 1e-3",
        "neuron",
        seconds=60e-3,
        faster=(("torch", 15),),
    ),
    Target(
        "500 × 500 neurons, `layer`, against the product alone",
        "block layer",
        within=(("numpy product", 1.3), ("torch product", 1.3)),
    ),
    Target(
        "500 × 500 neurons, `neuron`, against the product alone",
        "block neuron",
        within=(("numpy product", 1.3), ("torch product", 1.3)),
    ),
    Target(f"{PAIR}, `layer`", "pair layer", "2 threads", seconds=0.6),
    Target(f"{PAIR}, `neuron`", "pair neuron", "2 threads", seconds=10),
    Target("all 105 pairs of 15 languages, as above, `layer`", "all pairs", seconds=60, memory=4e9),
    Target(
        "1,000 permutations of the pair's middle layers, 2 threads, `layer`",
        "permutations layer",
        seconds=30,
    ),
    Target(
        f"{OVERLAP}, as called from Python",
        PYTHON_OVERLAP,
        "test_bridgex",
        seconds=50e-3,
        faster=(
            ("test_numpy_bitwise_count_in_blocks", 17),
            ("test_pyroaring_intersection_cardinality", 50),
        ),
    ),
    Target(f"{OVERLAP}, hybrid kernel, AVX2", CRITERION, "avx2/Hybrid", seconds=50e-3),
    Target(f"{OVERLAP}, dense kernel, AVX2", CRITERION, "avx2/Dense", seconds=150e-3),
    Target(f"{STORED}: write", f"{HALF}write", within=(("np.memmap", 1.3),)),
    Target(f"{STORED}: read all layers", f"{HALF}layers", within=(("np.memmap", 1.3),)),
    Target(f"{STORED}: 140 rows of each layer", f"{HALF}rows", seconds=10e-3),
    Target(
        "statistics over text, a model of the demo model's shape",
        "capture, random",
        within=(("bare decoder", 1.03),),
    ),
)


def total(result: Result) -> float:
    """Return the seconds of a piece of work, which may have been timed in parts."""
    return float(sum(result.info["seconds"])) if "seconds" in result.info else result.median


def verdicts(target: Target, results: Results) -> list[Verdict]:
    """Return every condition of a target, and what came of it."""
    found = results.get((target.group, target.who))

    def against(rival: str, ratio: Callable[[float, float], float]) -> float | None:
        other = results.get((target.group, rival))
        return ratio(total(found), total(other)) if found and other else None

    lines = []
    if target.seconds is not None:
        value = total(found) if found else None
        excess = None if value is None else value / target.seconds
        lines.append(Verdict(target, "time", None, target.seconds, value, excess))
    for rival, bound in target.faster:
        value = against(rival, lambda own, other: other / own)
        excess = None if value is None else bound / value
        lines.append(Verdict(target, "faster", rival, bound, value, excess))
    for rival, bound in target.within:
        value = against(rival, lambda own, other: own / other)
        excess = None if value is None else value / bound
        lines.append(Verdict(target, "within", rival, bound, value, excess))
    if target.memory is not None:
        value = float(found.info["peak_memory"]) if found else None
        excess = None if value is None else value / target.memory
        lines.append(Verdict(target, "memory", None, target.memory, value, excess))
    return lines
