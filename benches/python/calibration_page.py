"""``python -m benches.python.calibration_page`` prints ``docs/calibration.md``, in some minutes."""

from __future__ import annotations

import os
import platform
import sys
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from benches.python import calibration
from benches.python.populations import ALIKE, LAYERS, SIGNAL

from bridgex import _native

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def page() -> Iterator[str]:
    """Yield the page, section by section."""
    yield "# Calibration"
    yield INTRODUCTION
    yield from _uniform_section(400)
    yield from _drift_section(120)
    yield from _power_section((20, 40, 80, 160, 320), 150)
    yield from _stable_section(((37, 40), (100, 40), (300, 20)))
    minutes = time.process_time() / 60
    yield (
        "`python -m benches.python.calibration_page` printed this page after "
        f"{minutes:.0f} minutes of processor time, on one thread ({machine()})."
    )


INTRODUCTION = (
    "Do p-values, intervals and verdicts hold what they promise? Here the truth is known: words "
    "are drawn from a population whose neurons stay the same. Every word has 12 latent features "
    "with heavy tails (Student's t, 5 degrees of freedom); a neuron weighs them, adds noise of its "
    f"own ({1 - SIGNAL:.0%} of the variance) and goes through a GELU; {LAYERS} layers. A candidate "
    "has a share of the pair's latent features: its *strength*, 0 for independence. All with the "
    "defaults: `unbiased`, CKA, bandwidth `neuron`."
)


def machine() -> str:
    """Say on which machine this runs."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} cores, {_native.build_info()['simd']}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _uniform_section(replications: int) -> Iterator[str]:
    yield "## P-values of independent sets"
    yield (
        f"50 words with one to three probes that share {ALIKE:.0%} of their latent features; three "
        f"independent candidates of 8, 12 and 20 neurons a layer; 199 permutations; {replications} "
        "times. p should be uniform on 1/200, 2/200, ..., 1: its distance from that, with the "
        "chance of one so large (Kolmogorov-Smirnov), and how often p is 0.05 or less."
    )
    rows = []
    for name, by_word, count in (
        ("words", True, replications),
        ("single probes (wrong)", False, replications // 2),
    ):
        found = calibration.independent(count, by_word=by_word)
        for kind, values in found.p_values.items():
            distance, chance = calibration.kolmogorov_smirnov(values, found.permutations)
            below = _percent(float(np.mean(np.array(values) <= calibration.LEVEL)))
            rows.append([name, kind, f"{distance:.3f}", _chance(chance), below])
        distance, chance = calibration.kolmogorov_smirnov(found.least_family, found.permutations)
        below = _percent(float(np.mean(np.array(found.least_family) <= calibration.LEVEL)))
        kind = "smallest family-wise p of the three"
        rows.append([name, kind, f"{distance:.3f}", _chance(chance), below])
    yield _table(["permuted", "p of", "distance", "chance of it", "p ≤ 0.05"], rows)
    yield (
        "Probes of one word are alike. Permuting them one by one takes that for dependence, which "
        "is why words are permuted whole."
    )
    right, wrong = calibration.one_depends(replications // 2)
    yield (
        f"With one candidate that depends on the pair (strength 0.5) and two that do not, in "
        f"{replications // 2} samples, the family-wise p is 0.05 or less for the first in "
        f"{_percent(right)} and for one of the others in {_percent(wrong)}."
    )


def _chance(chance: float) -> str:
    return f"{chance:.2f}" if chance >= 0.01 else "< 0.01"


def _drift_section(replications: int) -> Iterator[str]:
    yield "## The size of a set"
    yield (
        f"Four independent candidates of different size, 60 words, {replications} times. The score "
        "grows with the size, because it is a mean of best matches; z should be 0 on average, with "
        "a standard deviation of 1, for every size."
    )
    rows = [
        [
            str(one.size),
            f"{one.score:.4f}",
            f"{one.z:+.2f}",
            f"{one.spread:.2f}",
            _percent(one.rejected),
        ]
        for one in calibration.drift(replications)
    ]
    yield _table(["neurons a layer", "mean score", "mean z", "sd of z", "p ≤ 0.05"], rows)


def _power_section(words: Sequence[int], replications: int) -> Iterator[str]:
    strength = (0.05, 0.1, 0.2, 0.4, 0.8)
    yield "## How many words dependence needs"
    yield (
        f"How often p of the bridge score is 0.05 or less, by the strength of a candidate of 10 "
        f"neurons a layer; {replications} times."
    )
    rows = [
        [str(count), *map(_percent, calibration.power(count, replications, strength).found)]
        for count in words
    ]
    yield _table(["words", *(f"strength {one:g}" for one in strength)], rows)


WHAT_IS_SAID = """\
- *covered*: how often the 95 % interval holds the truth; *interval*: its reach, as a share of that;
- *best inside*: how often the truly best is among those that may be (95 % or more is promised), and
  how many these are;
- *claims*: how often one candidate is named as reliably higher than the others, and how often it
  is not the truly best;
- *best in*: the share of the resamples in which the winner wins, and how often it is the best."""


def _stable_section(cases: Sequence[tuple[int, int]]) -> Iterator[str]:
    strength = (0.9, 0.6, 0.5, 0.2)
    yield "## Intervals, and who may be best"
    yield (
        f"Four candidates of 20 neurons a layer, of strength {', '.join(map(str, strength))}. From "
        "each of 4 populations words are drawn many times; the truth is the mean score over these "
        "draws and 100 more. 200 halves of the words say how far a score can be trusted:"
    )
    yield WHAT_IS_SAID
    rows = []
    for words, replications in cases:
        one = calibration.stable(words, 4, replications, strength)
        rows.append(
            [
                str(words),
                str(4 * replications),
                _percent(one.coverage),
                f"± {_percent(one.width)}",
                f"{_percent(one.best_inside)} of {one.inside:.1f}",
                f"{_percent(one.claims)}, wrong {_percent(one.wrong)}",
                f"{_percent(one.said)}, right {_percent(one.right)}",
            ]
        )
    head = ["words", "samples", "covered", "interval", "best inside", "claims", "best in"]
    yield _table(head, rows)


def _wrapped(section: str) -> str:
    """Break the lines of a paragraph; tables, lists and headings stay as they are."""
    return section if section[0] in "|#-" else textwrap.fill(section, 100, break_on_hyphens=False)


if __name__ == "__main__":
    for section in page():
        sys.stdout.write(_wrapped(section) + "\n\n")
        sys.stdout.flush()
