"""Which neurons belong to a language.

A neuron's evidence for a language is its activation probability, or its contrast: how much more
often it is on for this language than for the others, as a difference of log-odds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from bridgex.analysis.arrays import top_k, unpack
from bridgex.errors import InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from bridgex.schema import NeuronStatistics

Select = Literal["probability", "contrast"]
Scope = Literal["layer", "model"]
Ties = Literal["break", "include"]

ALWAYS_ON = 0.99
"""Activation probability from which a neuron counts as on for every token."""

UNINFORMATIVE_SHARE = 0.5
"""Sets of which a larger share is on for every token of every language say little about any."""


@dataclass(frozen=True)
class LanguageNeurons:
    """The neurons of every language, by one rule.

    Attributes
    ----------
    languages
        Language codes, in the order of the rows.
    masks
        Membership, bool (language, neuron) on the flat neuron axis.
    layer_offsets
        Start of every layer on the flat neuron axis, and its end: int64 (layer + 1,).
    saturation
        Share of every language's set that is on for at least 99 % of the tokens of all languages,
        float64 (language,). Such neurons are shared by construction.
    select, scope, top_percent, ties
        The rule.
    """

    languages: tuple[str, ...]
    masks: NDArray[np.bool_]
    layer_offsets: NDArray[np.int64]
    saturation: NDArray[np.float64]
    select: Select
    scope: Scope
    top_percent: float
    ties: Ties

    @property
    def bitsets(self) -> NDArray[np.uint64]:
        """The masks packed into words, uint64 (language, word), lowest bit first."""
        packed = np.packbits(self.masks, axis=1, bitorder="little")
        padding = -packed.shape[1] % 8
        return np.pad(packed, ((0, 0), (0, padding))).view("<u8")

    @property
    def uninformative(self) -> bool:
        """Whether neurons that are always on make up most of the sets."""
        return float(np.median(self.saturation)) > UNINFORMATIVE_SHARE

    def mask(self, language: str) -> NDArray[np.bool_]:
        """Return the membership of one language, bool (neuron,)."""
        if language not in self.languages:
            raise NotFoundError(
                f"no statistics of language {language!r}; there are {', '.join(self.languages)}",
                hint="Ingest a corpus of it with: bridgex ingest corpus.",
            )
        row: NDArray[np.bool_] = self.masks[self.languages.index(language)]
        return row

    def only(self, languages: Sequence[str]) -> LanguageNeurons:
        """Return the neurons of some of the languages, chosen as among all of them."""
        masks = np.array([self.mask(language) for language in languages])
        rows = [self.languages.index(language) for language in languages]
        return replace(
            self, languages=tuple(languages), masks=masks, saturation=self.saturation[rows]
        )


def layer_slice(layer_offsets: NDArray[np.int64], layer: int) -> slice:
    """Return the place of a layer on the flat neuron axis."""
    return slice(int(layer_offsets[layer]), int(layer_offsets[layer + 1]))


def log_odds(statistics: NeuronStatistics) -> NDArray[np.float64]:
    """Log-odds of being on, with half a count added to both sides: float64 (neuron,).

    Parameters
    ----------
    statistics
        Statistics of one language.

    Notes
    -----
    ``log((c + 1/2) / (n - c + 1/2))`` for a neuron on at ``c`` of ``n`` tokens: finite for neurons
    that are never or always on (the empirical logit, Haldane 1956).
    """
    on = statistics.positive_count + 0.5
    return np.log(on / (statistics.token_count + 1.0 - on))


def select_neurons(
    statistics: Mapping[str, NeuronStatistics],
    layer_offsets: NDArray[np.int64],
    *,
    select: Select = "probability",
    scope: Scope = "layer",
    top_percent: float = 1.0,
    ties: Ties = "break",
) -> LanguageNeurons:
    """Choose every language's neurons: the top percent by activation probability or contrast.

    Parameters
    ----------
    statistics
        Statistics by language code, all over the same flat neuron axis.
    layer_offsets
        Start of every layer on the flat neuron axis, and its end: int64 (layer + 1,).
    select
        ``probability``: share of the tokens at which the neuron is on. ``contrast``: its log-odds
        of being on minus the mean of that over all languages given.
    scope
        ``layer``: the same percentage in every layer. ``model``: over all layers together.
    top_percent
        Size of a set in percent of the neurons of a layer, or of the model; rounded to neurons.
    ties
        ``break``: exactly that many; equal evidence is ordered by larger mean activation, then by
        lower index. ``include``: everything equal to the last one as well, as the published
        scripts do, which enlarges the sets where probabilities saturate.

    Raises
    ------
    InvalidInputError
        When a set would be empty or everything, when no language is given, or when ``contrast`` is
        asked of a single language.

    References
    ----------
    Xu et al., "BridgeX-ICL", EMNLP 2025, arXiv 2508.17078.
    """
    if not statistics:
        raise InvalidInputError("no language has statistics", hint="Ingest a corpus first.")
    if not 0.0 < top_percent < 100.0:  # noqa: PLR2004 - percent
        raise InvalidInputError(f"top percent must lie between 0 and 100, got {top_percent:g}")
    evidence = _evidence(statistics, select)
    spans = list(_spans(layer_offsets, scope))
    masks = np.zeros((len(statistics), int(layer_offsets[-1])), dtype=np.bool_)
    for row, (language, values) in enumerate(evidence.items()):
        for span in spans:
            k = set_size(span.stop - span.start, top_percent)
            tie_break = statistics[language].mean[span]
            masks[row, span] = _top(values[span], k, tie_break, ties)
    return LanguageNeurons(
        languages=tuple(statistics),
        masks=masks,
        layer_offsets=layer_offsets,
        saturation=_saturation(statistics, masks),
        select=select,
        scope=scope,
        top_percent=top_percent,
        ties=ties,
    )


def set_size(neuron_count: int, top_percent: float) -> int:
    """Return the number of neurons in the top percent of so many, rounded; refuse none."""
    k = round(neuron_count * top_percent / 100.0)
    if k == 0:
        raise InvalidInputError(
            f"the top {top_percent:g} % of {neuron_count} neurons is no neuron",
            hint=f"Ask for at least {100.0 / neuron_count:.3g} percent.",
        )
    return k


def _evidence(
    statistics: Mapping[str, NeuronStatistics], select: Select
) -> dict[str, NDArray[np.float64]]:
    if select == "probability":
        return {code: one.activation_probability for code, one in statistics.items()}
    if len(statistics) < 2:  # noqa: PLR2004 - a contrast needs two sides
        raise InvalidInputError(
            f"contrast needs two languages or more, and only {next(iter(statistics))!r} has "
            "statistics",
            hint="Ingest a corpus of another language, or select by probability.",
        )
    odds = {code: log_odds(one) for code, one in statistics.items()}
    mean = np.mean(list(odds.values()), axis=0)
    return {code: values - mean for code, values in odds.items()}


def _spans(layer_offsets: NDArray[np.int64], scope: Scope) -> Iterator[slice]:
    if scope == "model":
        yield slice(0, int(layer_offsets[-1]))
        return
    for layer in range(layer_offsets.size - 1):
        yield layer_slice(layer_offsets, layer)


def _top(
    values: NDArray[np.float64], k: int, tie_break: NDArray[np.float64], ties: Ties
) -> NDArray[np.bool_]:
    if ties == "include":
        included: NDArray[np.bool_] = values >= np.partition(values, -k)[-k]
        return included
    mask = np.zeros(values.size, dtype=np.bool_)
    mask[unpack(top_k(values, k, tie_break), values.size)] = True
    return mask


def _saturation(
    statistics: Mapping[str, NeuronStatistics], masks: NDArray[np.bool_]
) -> NDArray[np.float64]:
    always = np.all(
        [one.activation_probability >= ALWAYS_ON for one in statistics.values()], axis=0
    )
    share: NDArray[np.float64] = (masks & always).sum(axis=1) / masks.sum(axis=1)
    return share
