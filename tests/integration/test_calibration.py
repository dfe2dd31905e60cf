"""P-values, intervals and verdicts hold what they promise: the study of the docs, in small."""

from __future__ import annotations

import numpy as np
import pytest
from benches.python.calibration import (
    LEVEL,
    drift,
    independent,
    kolmogorov_smirnov,
    one_depends,
    power,
    stable,
)


def test_p_values_of_independent_sets_are_uniform() -> None:
    found = independent(60, words=20, seed=11)
    for values in (*found.p_values.values(), found.least_family):
        assert kolmogorov_smirnov(values, found.permutations)[1] > 0.01


def test_probes_that_trade_places_one_by_one_would_be_taken_for_dependence() -> None:
    found = independent(40, words=20, by_word=False)
    assert np.mean(np.array(found.p_values["bridge score"]) <= LEVEL) > 0.15


def test_only_the_candidate_that_depends_is_found() -> None:
    right, wrong = one_depends(20, words=60)
    assert right >= 0.6
    assert wrong <= 0.15


def test_z_does_not_grow_with_the_size_of_a_set_as_scores_do() -> None:
    small, large = drift(20, (8, 80))
    assert large.score > 1.2 * small.score
    for one in (small, large):
        assert abs(one.z) < 3 / 20**0.5
        assert 0.6 < one.spread < 1.5


def test_dependence_is_found_the_better_the_stronger_it_is() -> None:
    found = power(60, 20, (0.0, 0.3, 0.9)).found
    assert found[0] <= 0.2
    assert found[1] < found[2]
    assert found[2] >= 0.9


def test_intervals_cover_and_the_truly_best_may_be_best() -> None:
    found = stable(40, 1, 12, (0.9, 0.5, 0.4, 0.2))
    assert found.coverage >= 0.9
    assert found.best_inside >= 0.9
    assert found.wrong == 0


@pytest.mark.parametrize(("shift", "chance"), [(0.0, 1.0), (0.2, 0.0)])
def test_the_distance_from_uniform_is_seen(shift: float, chance: float) -> None:
    values = np.clip(np.arange(1, 201) / 200 - shift, 1 / 200, 1).tolist()
    distance, found = kolmogorov_smirnov(values, 199)
    assert distance == pytest.approx(shift, abs=0.006)
    assert found == pytest.approx(chance, abs=0.01)
