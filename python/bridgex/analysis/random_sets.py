"""How high sets of neurons score that belong to no language: what a candidate has to beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bridgex.analysis.arrays import spectrum_scores
from bridgex.analysis.bridge_sets import random_bridge_sets
from bridgex.analysis.inference import bridge_scores
from bridgex.analysis.rules import layer_slice
from bridgex.progress import Silent

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bridgex.analysis.spectrum_inputs import SpectrumInputs
    from bridgex.progress import Reporter

    Scores = NDArray[np.float64]


@dataclass(frozen=True)
class RandomSets:
    """Bridge scores of random sets, of the same size in the same layers as a candidate's.

    All float64 (bridge,). NaN for a candidate that cannot be scored, or that has more neurons in
    a layer than there are outside the pair's.

    Attributes
    ----------
    mean, sd
        Mean and standard deviation of the random sets' scores.
    z
        Distance of the candidate's score from their mean in their standard deviations.
    share
        Share of the random sets that score at least as high as the candidate.
    """

    mean: Scores
    sd: Scores
    z: Scores
    share: Scores


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
    return _compared(bridge_scores(observed, used), bridge_scores(null, used))


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


def _compared(score: Scores, null: Scores) -> RandomSets:
    mean, sd = null.mean(axis=0), null.std(axis=0, ddof=1)
    share = np.where(np.isfinite(mean), (null >= score).mean(axis=0), np.nan)
    z = np.divide(
        score - mean, sd, out=np.full_like(score, np.nan), where=null.max(axis=0) > null.min(axis=0)
    )
    return RandomSets(mean, sd, z, share)
