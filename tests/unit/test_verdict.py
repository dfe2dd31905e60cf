"""What a ranking allows to be said."""

from __future__ import annotations

import numpy as np
import pytest

from bridgex.analysis import Resampling, Uncertainty, verdict
from bridgex.analysis.inference import PermutationTest, Stability
from bridgex.analysis.random_sets import RandomSets

NAN = float("nan")
BRIDGES = ("de", "tl", "xx", "fr")
SCORES = (0.2, 0.3, NAN, 0.1)


def uncertain(
    scores: tuple[float, ...] = SCORES,
    *,
    inside: tuple[bool, ...] | None = None,
    family: tuple[float, ...] | None = None,
    z: tuple[float, ...] = (1.0, 2.0, NAN, NAN),
    share: tuple[float, ...] | None = None,
    sets_drawn: int = 0,
    permutations: int = 0,
    best: tuple[float, ...] = (0.02, 0.974, NAN, 0.006),
) -> Uncertainty:
    """Return results of which only what a verdict needs is made up."""
    nothing = np.full(len(scores), NAN)
    stability = test = random_sets = None
    if inside is not None:
        stability = Stability(nothing, nothing, np.array(best), np.array(inside), 400)
    if family is not None:
        test = PermutationTest(np.array(z), nothing, np.array(family), nothing[None], nothing[None])
    if share is not None:
        drawn = np.full(len(scores), sets_drawn)
        random_sets = RandomSets(nothing, nothing, nothing, np.array(share), drawn, drawn)
    rank = np.zeros(1, dtype=np.int64)
    return Uncertainty(
        np.array(scores), 37, Resampling(permutations), test, stability, random_sets, rank
    )


@pytest.mark.parametrize(
    ("inside", "start"),
    [
        ((False, True, False, False), "tl scores reliably higher than de, fr"),
        ((True, True, False, True), "no reliable difference between tl and de, fr"),
        ((False, True, False, True), "no reliable difference between tl and fr"),
    ],
)
def test_the_best_is_named_only_where_no_other_may_be_best(
    inside: tuple[bool, ...], start: str
) -> None:
    end = " with these 37 words (tl is best in 97% of the resamples)"
    assert verdict(uncertain(inside=inside), BRIDGES) == (start + end,)


@pytest.mark.parametrize(
    ("inside", "best", "sentence"),
    [
        (
            (True, False, False, True),
            (0.6, NAN, NAN, 0.4),
            "no reliable difference between de and fr",
        ),
        (
            (True, False, False, False),
            (1.0, NAN, NAN, 0.0),
            "de scores reliably higher than fr",
        ),
        (
            (True, False, False, False),
            (1.0, NAN, NAN, NAN),
            "halves of the words can score de alone, and not tl, fr",
        ),
    ],
)
def test_what_no_half_can_score_is_neither_best_nor_beaten(
    inside: tuple[bool, ...], best: tuple[float, ...], sentence: str
) -> None:
    [found] = verdict(uncertain(inside=inside, best=best), BRIDGES)
    assert found.startswith(sentence)
    assert found.endswith(("; halves of the words cannot score tl", "alone, and not tl, fr"))


@pytest.mark.parametrize(
    ("family", "sentence"),
    [
        ((0.01, 0.05, NAN, 0.01), "the neurons of every candidate depend on the pair's"),
        ((0.06, 0.3, NAN, 0.9), "no candidate's neurons depend on the pair's beyond chance"),
        ((0.06, 0.01, NAN, 0.9), "not beyond chance: how the pair's neurons depend on those of de"),
    ],
)
def test_dependence_beyond_chance_is_told(family: tuple[float, ...], sentence: str) -> None:
    *_, found = verdict(uncertain(family=family), BRIDGES)
    assert found.startswith(sentence)


@pytest.mark.parametrize(
    ("share", "sentence"),
    [
        ((0.01, 0.05, NAN, 0.0), "every candidate scores higher than random sets"),
        ((0.06, 1.0, NAN, 0.9), "no candidate scores higher than random sets"),
        ((0.06, 0.0, NAN, 0.9), "no higher than random sets of active neurons do: de, fr"),
        ((NAN, 0.0, NAN, 0.9), "no higher than random sets of active neurons do: fr"),
        ((NAN, NAN, NAN, NAN), "no random sets beside these"),
    ],
)
def test_random_sets_are_what_a_candidate_has_to_beat(
    share: tuple[float, ...], sentence: str
) -> None:
    *_, found = verdict(uncertain(share=share), BRIDGES)
    assert found.startswith(sentence)


def test_random_sets_without_scores_are_not_blamed_on_the_number_of_neurons() -> None:
    *_, found = verdict(uncertain(share=(NAN, NAN, NAN, NAN), sets_drawn=100), BRIDGES)
    assert found == "no comparison with random sets: too few of them can be scored"


def test_permutations_that_change_no_score_are_no_evidence() -> None:
    nothing = (NAN, NAN, NAN, NAN)
    *_, found = verdict(uncertain(family=(1.0, 1.0, NAN, 1.0), z=nothing), BRIDGES)
    assert found.startswith("words cannot be permuted to any effect")


def test_every_part_has_its_sentence() -> None:
    everything = uncertain(inside=(True, True, False, True), family=SCORES, share=SCORES)
    assert len(verdict(everything, BRIDGES)) == 3


def test_what_cannot_be_scored_is_said() -> None:
    nothing = uncertain((NAN, NAN), inside=(False, False))
    assert verdict(nothing, ("de", "tl")) == ("no candidate can be scored",)
    one = uncertain((NAN, 0.2), inside=(False, True))
    assert verdict(one, ("de", "tl")) == ("tl is the only candidate that can be scored",)
    halves, words = verdict(uncertain(permutations=199), BRIDGES)
    assert halves.startswith("too few halves of the words")
    assert words.startswith("words cannot be permuted: too few have as many probes")
