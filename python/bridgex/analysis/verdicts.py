"""What a ranking allows to be said, in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bridgex.analysis.inference import PermutationTest, Stability
    from bridgex.analysis.random_sets import RandomSets
    from bridgex.analysis.uncertainties import Uncertainty

LEVEL = 0.05
"""A chance below which something counts as more than chance."""

CANNOT_BE_PERMUTED = (
    "words cannot be permuted: too few have as many probes as another to trade places with"
)


def verdict(found: Uncertainty, bridges: Sequence[str]) -> tuple[str, ...]:
    """Say what the resamples, the permutations and the random sets allow to be said.

    Parameters
    ----------
    found
        The uncertainty of the scores.
    bridges
        The candidates, in the order of its arrays.

    Returns
    -------
    A sentence for each of the three that was drawn, in that order. ``docs/uncertainty.md`` has the
    rules.
    """
    known = np.flatnonzero(np.isfinite(found.score))
    order = [int(i) for i in known[np.argsort(-found.score[known], kind="stable")]]
    names = [bridges[i] for i in order]
    if not names:
        return ("no candidate can be scored",)
    sentences = []
    if found.stability is not None:
        sentences.append(_of_halves(found.stability, order, names, found.words))
    elif found.resampling.resamples:
        sentences.append("too few halves of the words can be scored to say which is best")
    if found.test is not None:
        sentences.append(_of_permutations(found.test, order, names))
    elif found.resampling.permutations:
        sentences.append(CANNOT_BE_PERMUTED)
    if found.random_sets is not None:
        sentences.append(_of_random_sets(found.random_sets, order, names))
    return tuple(sentences)


def _of_halves(found: Stability, order: list[int], names: list[str], words: int) -> str:
    if len(names) == 1:
        return f"{names[0]} is the only candidate that can be scored"
    share = {
        name: value
        for i, name in zip(order, names, strict=True)
        if np.isfinite(value := found.probability_of_best[i])
    }
    first, *others = share
    unknown = [name for name in names if name not in share]
    apart = f"; halves of the words cannot score {_list(unknown)}" if unknown else ""
    if not others:
        return f"halves of the words can score {first} alone, and not {_list(unknown)}"
    may = {name for i, name in zip(order, names, strict=True) if found.may_be_best[i]}
    rivals = [name for name in others if name in may]
    end = f"{_with(words)} ({first} is best in {share[first]:.0%} of the resamples){apart}"
    if rivals:
        return f"no reliable difference between {first} and {_list(rivals)} {end}"
    return f"{first} scores reliably higher than {_list(others)} {end}"


def _of_permutations(found: PermutationTest, order: list[int], names: list[str]) -> str:
    if not np.isfinite(found.z[order]).any():
        return "words cannot be permuted to any effect: every order of them gives the same scores"
    chance, known = _split(found.family_p, order, names)
    if not chance:
        return "the neurons of every candidate depend on the pair's, beyond chance"
    if len(chance) == len(known):
        return "no candidate's neurons depend on the pair's beyond chance"
    return f"not beyond chance: how the pair's neurons depend on those of {_list(chance)}"


def _of_random_sets(found: RandomSets, order: list[int], names: list[str]) -> str:
    chance, known = _split(found.share, order, names)
    if not known:
        if found.drawn[order].any():
            return "no comparison with random sets: too few of them can be scored"
        return "no random sets beside these: there are too few neurons outside the pair's"
    if not chance:
        return "every candidate scores higher than random sets of active neurons do"
    if len(chance) == len(known):
        return "no candidate scores higher than random sets of active neurons do"
    return f"no higher than random sets of active neurons do: {_list(chance)}"


def _split(
    p: NDArray[np.float64], order: list[int], names: list[str]
) -> tuple[list[str], list[str]]:
    """Return the names of those whose chance is above the level, and of those that have one."""
    known = {name: p[i] for i, name in zip(order, names, strict=True) if np.isfinite(p[i])}
    return [name for name, chance in known.items() if chance > LEVEL], list(known)


def _with(words: int) -> str:
    return f"with these {words:,} words"


def _list(names: list[str]) -> str:
    return ", ".join(names)
