"""The neurons of every language by each rule, as bool (language, neuron).

The functions take the statistics by language code, the layers' offsets on the flat neuron axis, and
the rule; ``select_neurons`` says what they mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bridgex.analysis.arrays import top_k, unpack
from bridgex.analysis.rules import layer_slice
from bridgex.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from numpy.typing import NDArray

    from bridgex.analysis.rules import Select, Selection
    from bridgex.schema import NeuronStatistics

    Masks = NDArray[np.bool_]

POOL_FACTOR = 10
"""Random sets are drawn from so many times as many of the most active neurons."""

ENOUGH_TOKENS = 100
"""Tokens of a language that an expert has to see before its neurons are judged by them."""

_TWO = 2  # sides of a comparison


def reached(statistics: NeuronStatistics) -> NDArray[np.bool_]:
    """Tell which neurons a language reaches, bool (neuron,).

    Those of a routed expert that saw ``ENOUGH_TOKENS`` of its tokens, or all where there are fewer;
    and every neuron that sees all tokens. Of the others no rate is known.
    """
    return statistics.seen >= min(ENOUGH_TOKENS, statistics.token_count)


def probability(statistics: NeuronStatistics) -> NDArray[np.float64]:
    """Activation probabilities of a language, float64 (neuron,); 0 where it reaches no neuron."""
    return np.where(reached(statistics), statistics.activation_probability, 0.0)


def log_odds(
    statistics: NeuronStatistics, tokens: NDArray[np.int64] | None = None
) -> NDArray[np.float64]:
    """Log-odds of being on, with half a count added to both sides: float64 (neuron,).

    Parameters
    ----------
    statistics
        Statistics of one language.
    tokens
        The number of tokens that half a count is added to, int64 (neuron,), by default those that
        the neuron saw; the counts are scaled to it.

    Notes
    -----
    ``log((c + 1/2) / (n - c + 1/2))`` for a neuron on at ``c`` of ``n`` tokens: finite for neurons
    that are never or always on (the empirical logit, Haldane 1956). Minus infinity where the
    language does not reach the neuron.
    """
    seen, on = statistics.seen, statistics.positive_count
    scale = 1.0 if tokens is None else tokens / np.maximum(seen, 1)
    odds = (on * scale + 0.5) / ((seen - on) * scale + 0.5)
    return np.where(reached(statistics), np.log(odds), -np.inf)


def compared_odds(statistics: Iterable[NeuronStatistics]) -> NDArray[np.float64]:
    """Log-odds of several languages that are to be compared, float64 (language, neuron).

    Of a mixture of experts, half a count is added to as many tokens as the neuron saw of the
    language that it saw fewest of, among those that reach it: a neuron that is never on has the
    same log-odds in all of them, however unequal the tokens that its expert saw.
    """
    languages = list(statistics)
    if all(one.routed_count is None for one in languages):
        return np.array([log_odds(one) for one in languages])
    most = np.int64(np.iinfo(np.int64).max)
    fewest = np.min([np.where(reached(one), one.seen, most) for one in languages], axis=0)
    return np.array([log_odds(one, fewest) for one in languages])


def entropy(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """Entropy over the languages of the normalised activation probabilities, in nats.

    Parameters
    ----------
    probability
        Activation probabilities, (language, neuron); no neuron may be off for all languages.

    Returns
    -------
    float64 (neuron,): 0 for neurons that are on for one language only, the logarithm of the number
    of languages for those that are on as often for all.

    References
    ----------
    Tang et al. 2024, "Language-Specific Neurons", arXiv 2402.16438.
    """
    share = probability / probability.sum(axis=0)
    logarithm = np.log(share, out=np.zeros_like(share), where=share > 0)
    result: NDArray[np.float64] = -(share * logarithm).sum(axis=0)
    return result


def most_active(
    activity: NDArray[np.float64], size: int, tie_break: NDArray[np.float64] | None = None
) -> NDArray[np.int64]:
    """Return the pool that random sets of a size are drawn from, as ascending indices."""
    return unpack(top_k(activity, min(POOL_FACTOR * size, activity.size), tie_break), activity.size)


def by_probability(
    statistics: Mapping[str, NeuronStatistics], layer_offsets: NDArray[np.int64], rule: Selection
) -> Masks:
    """Choose those that are on most often."""
    evidence = (
        np.where(reached(one), one.activation_probability, -np.inf) for one in statistics.values()
    )
    return _tops(evidence, statistics, layer_offsets, rule)


def by_contrast(
    statistics: Mapping[str, NeuronStatistics], layer_offsets: NDArray[np.int64], rule: Selection
) -> Masks:
    """Choose those whose log-odds exceed most the mean of the languages that reach the neuron."""
    _refuse_one_language(statistics, "contrast")
    odds = compared_odds(statistics.values())
    known = np.isfinite(odds)
    languages = known.sum(axis=0)
    mean = np.where(known, odds, 0.0).sum(axis=0) / np.maximum(languages, 1)
    return _tops(np.where(languages >= _TWO, odds - mean, -np.inf), statistics, layer_offsets, rule)


def by_entropy(
    statistics: Mapping[str, NeuronStatistics], layer_offsets: NDArray[np.int64], rule: Selection
) -> Masks:
    """Choose those of the lowest entropy among the active ones, for the languages they serve."""
    _refuse_one_language(statistics, "lape")
    rates = np.array([one.activation_probability for one in statistics.values()])
    known = np.array([reached(one) for one in statistics.values()])
    masks = np.zeros(rates.shape, dtype=np.bool_)
    for span in rule.spans(layer_offsets):
        masks[:, span] = _lowest_entropy(rates[:, span], known[:, span], rule)
    return masks


def by_threshold(
    statistics: Mapping[str, NeuronStatistics], layer_offsets: NDArray[np.int64], rule: Selection
) -> Masks:
    """Choose all that are on often enough."""
    del layer_offsets  # the same in every layer
    assert rule.threshold is not None
    masks: Masks = np.array([probability(one) >= rule.threshold for one in statistics.values()])
    return masks


def at_random(
    statistics: Mapping[str, NeuronStatistics], layer_offsets: NDArray[np.int64], rule: Selection
) -> Masks:
    """Draw as many in every layer as by probability, out of the most active."""
    assert rule.seed is not None
    profile = by_probability(statistics, layer_offsets, rule)
    masks = np.zeros_like(profile)
    for row, (language, one) in enumerate(statistics.items()):
        key = int.from_bytes(language.encode(), "little")
        for layer in range(layer_offsets.size - 1):
            span = layer_slice(layer_offsets, layer)
            size = int(profile[row, span].sum())
            known = span.start + np.flatnonzero(reached(one)[span])
            pool = known[most_active(one.activation_probability[known], size, one.mean[known])]
            drawn = np.random.default_rng([rule.seed, key, layer]).choice(pool, size, replace=False)
            masks[row, drawn] = True
    return masks


CHOOSE: Mapping[
    Select,
    Callable[[Mapping[str, NeuronStatistics], NDArray[np.int64], Selection], Masks],
] = {
    "probability": by_probability,
    "contrast": by_contrast,
    "lape": by_entropy,
    "threshold": by_threshold,
    "random": at_random,
}


def _tops(
    evidence: Iterable[NDArray[np.float64]],
    statistics: Mapping[str, NeuronStatistics],
    layer_offsets: NDArray[np.int64],
    rule: Selection,
) -> Masks:
    assert rule.ties is not None
    spans = rule.spans(layer_offsets)
    masks = np.zeros((len(statistics), int(layer_offsets[-1])), dtype=np.bool_)
    for row, values, one in zip(masks, evidence, statistics.values(), strict=True):
        mean = one.mean if rule.ties == "break" else None
        for span in spans:
            k = rule.size(span.stop - span.start)
            row[span] = _top(values[span], k, None if mean is None else mean[span])
    return masks


def _top(
    values: NDArray[np.float64], k: int, tie_break: NDArray[np.float64] | None
) -> NDArray[np.bool_]:
    """Return the k largest that are finite, or all of them where they are fewer.

    Without anything to break ties, all that equal the last one too.
    """
    known: NDArray[np.bool_] = np.isfinite(values)
    k = min(k, int(known.sum()))
    if k == 0:
        return np.zeros_like(known)
    if tie_break is None:
        included: NDArray[np.bool_] = known & (values >= np.partition(values, -k)[-k])
        return included
    mask = np.zeros_like(known)
    mask[unpack(top_k(values, k, tie_break), values.size)] = True
    return mask


def _lowest_entropy(rates: NDArray[np.float64], known: Masks, rule: Selection) -> Masks:
    """Return the members among neurons that are chosen from together, (language, neuron)."""
    assert rule.quantile is not None
    active = known & (rates > _quantile(rates[known], rule.quantile))
    compared = known.sum(axis=0) >= _TWO
    eligible = np.flatnonzero(active.any(axis=0) & compared)
    candidates = _filled(rates[:, eligible], known[:, eligible])
    k = min(rule.size(rates.shape[1]), eligible.size)
    lowest = top_k(-entropy(candidates), k, candidates.max(axis=0, initial=0.0))
    chosen = eligible[unpack(lowest, eligible.size)]
    masks = np.zeros_like(active)
    masks[:, chosen] = active[:, chosen]
    return masks


def _quantile(values: NDArray[np.float64], quantile: float) -> float:
    """Return the number at place round(quantile * count), at least the first; 1 of none."""
    if values.size == 0:
        return 1.0
    place = max(round(values.size * quantile), 1) - 1
    return float(np.partition(values, place)[place])


def _filled(rates: NDArray[np.float64], known: Masks) -> NDArray[np.float64]:
    """Return rates (language, neuron) with the mean of those that are known for the others."""
    if known.all():
        return rates
    mean = np.where(known, rates, 0.0).sum(axis=0) / known.sum(axis=0)
    return np.where(known, rates, mean)


def _refuse_one_language(statistics: Mapping[str, NeuronStatistics], rule: str) -> None:
    if len(statistics) < _TWO:
        raise InvalidInputError(
            f"{rule} needs two languages or more, and only {next(iter(statistics))!r} has "
            "statistics",
            hint="Ingest a corpus of another language, or select by probability.",
        )
