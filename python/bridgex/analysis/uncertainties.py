"""How far the scores of a pair's candidates can be trusted, with these words and neurons."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bridgex.analysis.arrays import spectrum_scores
from bridgex.analysis.inference import (
    PermutationTest,
    Stability,
    bridge_scores,
    complete_halves,
    permutation_test,
    stability,
)
from bridgex.analysis.random_sets import RandomSets, random_set_comparison
from bridgex.analysis.resampling import resampled_scores
from bridgex.analysis.spectrum_options import DEFAULT_BANDWIDTH
from bridgex.analysis.word_draws import (
    LEAST_RESAMPLES,
    Resampling,
    can_be_permuted,
    check_words,
    word_halves,
    word_numbers,
    word_permutations,
)
from bridgex.errors import InvalidInputError
from bridgex.progress import Silent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from bridgex.analysis.arrays import Bandwidth, Estimator, Normalize, Precision
    from bridgex.analysis.resampling import ResampledScores
    from bridgex.analysis.spectra import Spectrum
    from bridgex.analysis.spectrum_inputs import SpectrumInputs
    from bridgex.progress import Reporter


@dataclass(frozen=True)
class Uncertainty:
    """What resampling says about the bridge scores: means over layers that can be estimated.

    Attributes
    ----------
    score
        Bridge scores, float64 (bridge,); NaN where no layer is estimable.
    words
        Number of words; their probes stay together.
    resampling
        What was drawn.
    test
        Whether a candidate's neurons depend on the pair's at all; None without permutations, or
        where too few words have as many probes as another to trade places with it.
    stability
        How much the scores and their order depend on the choice of the words; None without
        resamples, or where fewer than 20 of them can be scored.
    random_sets
        Whether sets of neurons of no language score as much; None without random sets.
    rank
        Largest number of features per neuron that were resampled, int64 (layer,); empty where
        nothing was.
    """

    score: NDArray[np.float64]
    words: int
    resampling: Resampling
    test: PermutationTest | None
    stability: Stability | None
    random_sets: RandomSets | None
    rank: NDArray[np.int64]


def uncertainty(
    pair_rows: Sequence[ArrayLike],
    bridge_rows: Sequence[ArrayLike],
    members: Sequence[Sequence[ArrayLike]],
    *,
    groups: ArrayLike | None = None,
    resampling: Resampling | None = None,
    estimator: Estimator = "unbiased",
    normalize: Normalize = "cka",
    bandwidth: Bandwidth = "neuron",
    tol: float = 1e-3,
    dtype: Precision = "f32",
    threads: int | None = None,
    reporter: Reporter | None = None,
) -> Uncertainty:
    """Say how far bridge scores can be trusted, from activations that any tool has made.

    Parameters
    ----------
    pair_rows, bridge_rows, members, estimator, normalize, bandwidth, tol, dtype, threads
        See ``spectrum_scores``. ``tol`` is that of ``score`` alone: the features that are resampled
        have that of ``resampling``, 0.1 by default.
    groups
        Label of every sample's word, (sample,): samples with the same label are resampled
        together. By default every sample is a word.
    resampling
        What is drawn; ``random_sets`` has no part in it, because nothing is known here about
        other neurons.
    reporter
        Hears of progress.

    Raises
    ------
    InvalidInputError
        As ``spectrum_scores``; and when there is no layer, not one label for every sample, or
        fewer than 8 words to be resampled.

    Notes
    -----
    Samples are resampled, and neither rows nor kernels are made anew: rows are standardised and
    kernel widths chosen once, from all samples. The same permutation and the same half apply in
    all layers and to all candidates. ``inference`` says what is made of the scores.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> pair = rng.normal(size=(5, 60))
    >>> bridges = np.concatenate([pair + rng.normal(size=(5, 60)), rng.normal(size=(5, 60))])
    >>> found = uncertainty([pair], [bridges], [[np.arange(5), np.arange(5, 10)]])
    >>> found.stability.may_be_best
    array([ True, False])
    >>> (found.test.family_p <= 0.05).tolist()
    [True, False]
    """
    if not len(pair_rows):
        raise InvalidInputError("no layer came, and a score is a mean over layers")
    measure: dict[str, Any] = {
        "estimator": estimator,
        "normalize": normalize,
        "bandwidth": bandwidth,
        "dtype": dtype,
    }
    scores = spectrum_scores(
        pair_rows, bridge_rows, members, tol=tol, threads=threads, **measure
    ).score
    samples = np.asarray(pair_rows[0]).shape[1]
    labels = np.arange(samples) if groups is None else groups
    return _resampled(
        (pair_rows, bridge_rows, members),
        scores,
        word_numbers(labels, samples),
        resampling or Resampling(),
        reporter or Silent(),
        threads=threads,
        **measure,
    )


def spectrum_uncertainty(
    inputs: SpectrumInputs,
    spectrum: Spectrum,
    *,
    layers: Sequence[int] | None = None,
    resampling: Resampling | None = None,
    threads: int | None = None,
    reporter: Reporter | None = None,
) -> Uncertainty:
    """Say how far the bridge scores of a pair in a store can be trusted.

    Parameters
    ----------
    inputs
        What the spectrum was computed from.
    spectrum
        Its scores.
    layers
        Layer numbers that the bridge score is a mean over; by default all of the spectrum.
    resampling, threads, reporter
        See ``uncertainty``. Probes of the same source word are resampled together.

    Raises
    ------
    InvalidInputError
        When there are fewer than 8 words to be resampled.
    """
    chosen = spectrum.layers if layers is None else tuple(layers)
    inputs = inputs.within(chosen)
    observed = spectrum.score[[spectrum.layers.index(layer) for layer in chosen]]
    resampling, reporter = resampling or Resampling(), reporter or Silent()
    sources = [word.source for word in inputs.probes.words]
    found = _resampled(
        (inputs.pair_rows, inputs.bridge_rows, inputs.members),
        observed,
        word_numbers(sources, len(sources)),
        resampling,
        reporter,
        threads=threads,
        estimator=inputs.options.estimator,
        normalize=inputs.options.normalize,
        bandwidth=inputs.options.bandwidth or DEFAULT_BANDWIDTH,
    )
    if not resampling.random_sets:
        return found
    random_sets = random_set_comparison(
        inputs,
        observed,
        count=resampling.random_sets,
        seed=resampling.seed,
        threads=threads,
        reporter=reporter,
    )
    return replace(found, random_sets=random_sets)


def _resampled(
    arrays: tuple[Sequence[ArrayLike], Sequence[ArrayLike], Sequence[Sequence[ArrayLike]]],
    observed: NDArray[np.float64],
    words: NDArray[np.int64],
    resampling: Resampling,
    reporter: Reporter,
    **measure: Any,
) -> Uncertainty:
    """Resample layer after layer, and judge the means over them."""
    count = len(np.unique(words))
    if resampling.permutations or resampling.resamples:
        check_words(count)
    orders = resampling.permutations if can_be_permuted(words) else 0
    permutations = word_permutations(words, orders, seed=resampling.seed)
    halves = word_halves(words, resampling.resamples, seed=resampling.seed)
    layers = list(zip(*arrays, strict=True)) if len(permutations) + len(halves) else []
    parts = []
    with reporter.task("resampling", total=len(layers), unit="layers") as progress:
        for pair, bridge, own in layers:
            parts.append(
                resampled_scores(
                    [pair],
                    [bridge],
                    [own],
                    permutations=permutations,
                    subsets=halves,
                    tol=resampling.tol,
                    **measure,
                )
            )
            progress.advance(1)
    return _judged(parts, observed, count, resampling)


def _judged(
    parts: Sequence[ResampledScores],
    observed: NDArray[np.float64],
    words: int,
    resampling: Resampling,
) -> Uncertainty:
    used = np.isfinite(observed)
    score = bridge_scores(observed, used)
    test, stable = None, None
    if parts and len(parts[0].permuted):
        test = permutation_test(
            np.concatenate([part.observed for part in parts]),
            np.concatenate([part.permuted for part in parts], axis=1),
            used,
        )
    if resampling.resamples:
        halves = bridge_scores(np.concatenate([part.subset for part in parts], axis=1), used)
        if complete_halves(halves).sum() >= LEAST_RESAMPLES:
            stable = stability(score, halves, words)
    return Uncertainty(
        score=score,
        words=words,
        resampling=resampling,
        test=test,
        stability=stable,
        random_sets=None,
        rank=np.array([int(part.rank[0]) for part in parts], dtype=np.int64),
    )
