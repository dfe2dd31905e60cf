"""Where a score lies among those of random sets, some of which have none."""

from __future__ import annotations

import numpy as np
import pytest

from bridgex.analysis.random_sets import compared


def test_random_sets_that_cannot_be_scored_have_no_part() -> None:
    scores = np.random.default_rng(0).normal(size=30)
    null = np.stack([scores, scores, scores, np.ones(30), np.full(30, np.nan)], axis=1)
    null[3, 1] = np.nan
    null[:11, 2] = np.nan
    found = compared(np.array([0.5, 0.5, 0.5, 0.5, 0.5]), null, np.array([30, 30, 30, 30, 0]))
    assert found.scored.tolist() == [30, 29, 19, 30, 0]
    assert found.drawn.tolist() == [30, 30, 30, 30, 0]
    rest = np.delete(scores, 3)
    assert found.mean[:2] == pytest.approx([scores.mean(), rest.mean()])
    assert found.share[:2] == pytest.approx([(scores >= 0.5).mean(), (rest >= 0.5).mean()])
    assert found.z[1] == pytest.approx((0.5 - rest.mean()) / rest.std(ddof=1))
    for values in (found.mean, found.sd, found.z, found.share):
        assert np.isnan(values[[2, 4]]).all()
    assert found.share[3] == 1
    assert np.isnan(found.z[3])


def test_a_candidate_without_a_score_has_no_place_among_random_sets() -> None:
    found = compared(np.array([np.nan]), np.ones((20, 1)), np.array([20]))
    assert np.isnan([found.mean[0], found.sd[0], found.z[0], found.share[0]]).all()
