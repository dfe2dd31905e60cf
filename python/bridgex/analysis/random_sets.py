"""How high sets of neurons score that belong to no language: what a candidate has to beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bridgex.analysis.arrays import spectrum_scores
from bridgex.analysis.bridge_sets import random_bridge_sets
from bridgex.analysis.inference import bridge_scores
from bridgex.analysis.rules import layer_slice
from bridgex.analysis.word_draws import LEAST_RESAMPLES
from bridgex.progress import Silent

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bridgex.analysis.spectrum_inputs import SpectrumInputs
    from bridgex.progress import Reporter

    Scores = NDArray[np.float64]


@dataclass(frozen=True)
class RandomSets:
    """Bridge scores of random sets, of the same size in the same layers as a candidate's.

    Sets that cannot be scored have no part. Numbers are NaN for a candidate that cannot be scored
    itself, that has more neurons in a layer than there are outside the pair's, or beside which
    fewer than 20 random sets can be scored.

    Attributes
    ----------
    mean, sd
        Mean and standard deviation of the random sets' scores, float64 (bridge,).
    z
        Distance of the candidate's score from their mean in their standard deviations, float64
        (bridge,).
    share
        Share of the random sets that score at least as high as the candidate, float64 (bridge,).
    drawn
        Random sets beside the candidate, int64 (bridge,); 0 where none can be drawn.
    scored
        Those that can be scored, int64 (bridge,).
    """

    mean: Scores
    sd: Scores
    z: Scores
    share: Scores
    drawn: NDArray[np.int64]
    scored: NDArray[np.int64]


def random_set_comparison(
    inputs: SpectrumInputs,
    observed: Scores,
    *,
    count: int,
    seed: int = 0,
    threads: int | None = None,
    reporter: Reporter | None = None,
) -> RandomSets:
    """Score random sets as if they were candidates.

    Parameters
    ----------
    inputs
        The pair, its candidates and their activations.
    observed
        Layer scores of the candidates, float64 (layer, bridge).
    count
        Random sets beside every candidate. Candidates of the same size share them.
    seed, threads
        Of the draws: see ``random_bridge_sets``. Worker threads.
    reporter
        Hears of progress.

    Notes
    -----
    Cost: that of a spectrum with 10 times as many neurons, or as there are outside the pair's.
    """
    used = np.isfinite(observed)
    sizes = np.where(used, [[one.size for one in layer] for layer in inputs.members], 0)
    drawable = (sizes <= _free_neurons(inputs)[:, None]).all(axis=0) & used.any(axis=0)
    profiles, which = np.unique(sizes[:, drawable], axis=1, return_inverse=True)
    drawn = [
        random_bridge_sets(
            inputs.pair,
            inputs.neurons,
            inputs.statistics,
            layers=inputs.layers,
            sizes=profile.tolist(),
            count=count,
            seed=seed,
        )
        for profile in profiles.T
    ]
    null = np.full((count, *observed.shape), np.nan)
    layers = range(len(sizes)) if drawn else ()
    with (reporter or Silent()).task("random sets", total=len(layers), unit="layers") as progress:
        for layer in layers:
            scores = _layer_scores(inputs, layer, [sets[layer] for sets in drawn], threads)
            null[:, layer, drawable] = scores[which.ravel()].T
            progress.advance(1)
    return compared(
        bridge_scores(observed, used), bridge_scores(null, used), np.where(drawable, count, 0)
    )


def compared(score: Scores, null: Scores, drawn: NDArray[np.int64]) -> RandomSets:
    """Return where scores (bridge,) lie among those of random sets, (set, bridge).

    Parameters
    ----------
    score, null
        Bridge scores; NaN where there is none.
    drawn
        Random sets that were drawn beside a candidate, (bridge,).
    """
    mean, sd, z, share = (np.full_like(score, np.nan) for _ in range(4))
    known = np.isfinite(null)
    scored = known.sum(axis=0)
    for one in np.flatnonzero(np.isfinite(score) & (scored >= LEAST_RESAMPLES)):
        among = null[known[:, one], one]
        mean[one], sd[one] = among.mean(), among.std(ddof=1)
        share[one] = (among >= score[one]).mean()
        if among.max() > among.min():
            z[one] = (score[one] - mean[one]) / sd[one]
    return RandomSets(mean, sd, z, share, drawn, scored)


def _free_neurons(inputs: SpectrumInputs) -> NDArray[np.int64]:
    """Return how many neurons of every layer are outside those of both languages of the pair."""
    outside = ~(inputs.neurons.mask(inputs.pair.source) | inputs.neurons.mask(inputs.pair.target))
    offsets = inputs.neurons.layer_offsets
    return np.array([outside[layer_slice(offsets, layer)].sum() for layer in inputs.layers])


def _layer_scores(
    inputs: SpectrumInputs, layer: int, drawn: list[NDArray[np.int64]], threads: int | None
) -> Scores:
    """Return the scores of sets of several sizes in one layer, (size, set)."""
    union = np.unique(np.concatenate([sets.ravel() for sets in drawn]))
    scores = spectrum_scores(
        [inputs.pair_rows[layer]],
        [inputs.probes.rows(inputs.layers[layer], union)],
        [[np.searchsorted(union, one) for sets in drawn for one in sets]],
        estimator=inputs.options.estimator,
        normalize=inputs.options.normalize,
        threads=threads,
        **inputs.options.kernel,
    ).score
    return scores.reshape(len(drawn), -1)
