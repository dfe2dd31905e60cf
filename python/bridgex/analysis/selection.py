"""The neurons of languages: chosen from statistics, and how much their sets can say."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bridgex.analysis.evidence import CHOOSE, probability
from bridgex.analysis.rules import Selection, check_layers, layer_slice
from bridgex.errors import InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from bridgex.schema import NeuronStatistics

ALWAYS_ON = 0.99
"""Activation probability from which a neuron counts as on for every token."""

UNINFORMATIVE_SHARE = 0.5
"""Sets of which a larger share is on for every token of every language say little about any."""


@dataclass(frozen=True)
class SetReport:
    """How large the sets of some languages are, and how much they can say about them.

    Attributes
    ----------
    languages
        Language codes, in the order of the other attributes.
    sizes
        Neurons in every language's set, int64 (language,).
    saturation
        Share of every language's set that is on for at least 99 % of the tokens of all languages
        of the store, float64 (language,); NaN for an empty set. Such neurons are shared by
        construction.
    """

    languages: tuple[str, ...]
    sizes: NDArray[np.int64]
    saturation: NDArray[np.float64]

    @property
    def empty(self) -> tuple[str, ...]:
        """Languages without any neuron."""
        pairs = zip(self.languages, self.sizes, strict=True)
        return tuple(language for language, size in pairs if size == 0)

    @property
    def typical_saturation(self) -> float:
        """Median of the saturation over the languages that have neurons; NaN where none has."""
        known = self.saturation[self.sizes > 0]
        return float(np.median(known)) if known.size else float("nan")

    @property
    def uninformative(self) -> bool:
        """Whether neurons that are always on make up most of the sets."""
        return self.typical_saturation > UNINFORMATIVE_SHARE


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
    always_on
        Neurons that are on for at least 99 % of the tokens of every language that the rule chose
        among, bool (neuron,).
    selection
        The rule.
    """

    languages: tuple[str, ...]
    masks: NDArray[np.bool_]
    layer_offsets: NDArray[np.int64]
    always_on: NDArray[np.bool_]
    selection: Selection

    @property
    def bitsets(self) -> NDArray[np.uint64]:
        """The masks packed into words, uint64 (language, word), lowest bit first."""
        packed = np.packbits(self.masks, axis=1, bitorder="little")
        padding = -packed.shape[1] % 8
        return np.pad(packed, ((0, 0), (0, padding))).view("<u8")

    @property
    def report(self) -> SetReport:
        """Sizes and saturation of the sets."""
        sizes = self.masks.sum(axis=1)
        always = (self.masks & self.always_on).sum(axis=1)
        nothing = np.full(sizes.shape, np.nan)
        return SetReport(
            languages=self.languages,
            sizes=sizes,
            saturation=np.divide(always, sizes, out=nothing, where=sizes > 0),
        )

    def mask(self, language: str) -> NDArray[np.bool_]:
        """Return the membership of one language, bool (neuron,)."""
        if language not in self.languages:
            raise NotFoundError(
                f"no statistics of language {language!r}; there are {', '.join(self.languages)}",
                hint="Ingest a corpus of it with: bridgex ingest corpus.",
            )
        row: NDArray[np.bool_] = self.masks[self.languages.index(language)]
        return row

    def combined(
        self, languages: Sequence[str], *, without: Sequence[str] = (), any_of: bool = False
    ) -> NDArray[np.bool_]:
        """Return the neurons that all of some languages have, and none of others.

        Parameters
        ----------
        languages
            Whose neurons: those that all of them share.
        without
            Languages whose neurons are taken away.
        any_of
            Take those that any of ``languages`` has, instead of all.

        Returns
        -------
        Membership on the flat neuron axis, bool (neuron,).
        """
        if not languages:
            raise InvalidInputError("no language was asked for")
        both = [language for language in languages if language in without]
        if both:
            raise InvalidInputError(
                f"{both[0]!r} is among the languages and among those to leave out",
                hint="Name it once.",
            )
        members = np.array([self.mask(language) for language in languages])
        join = np.logical_or if any_of else np.logical_and
        chosen: NDArray[np.bool_] = join.reduce(members)
        for language in without:
            chosen &= ~self.mask(language)
        return chosen

    def only(self, languages: Sequence[str]) -> LanguageNeurons:
        """Return the neurons of some of the languages, chosen as among all of them."""
        masks = np.array([self.mask(language) for language in languages])
        return replace(self, languages=tuple(languages), masks=masks)

    def beside(self, name: str, mask: NDArray[np.bool_]) -> LanguageNeurons:
        """Return these sets and one from elsewhere, under a name that no language has."""
        if name in self.languages:
            raise InvalidInputError(
                f"there is a set {name!r} already", hint="Give the other one another name."
            )
        masks = np.vstack([self.masks, mask])
        return replace(self, languages=(*self.languages, name), masks=masks)

    def within(self, layers: Sequence[int]) -> LanguageNeurons:
        """Return the neurons of some of the layers, chosen as among all; the others hold none."""
        check_layers(layers, self.layer_offsets.size - 1)
        inside = np.zeros(self.masks.shape[1], dtype=np.bool_)
        for layer in layers:
            inside[layer_slice(self.layer_offsets, layer)] = True
        return replace(self, masks=self.masks & inside)


def select_neurons(
    statistics: Mapping[str, NeuronStatistics],
    layer_offsets: NDArray[np.int64],
    selection: Selection | None = None,
) -> LanguageNeurons:
    """Choose every language's neurons by one rule.

    Parameters
    ----------
    statistics
        Statistics by language code, all over the same flat neuron axis.
    layer_offsets
        Start of every layer on the flat neuron axis, and its end: int64 (layer + 1,).
    selection
        The rule, by default the top 1 % of every layer by activation probability. Of each layer,
        or of the model, as its ``scope`` says:

        ``probability``
            The top percent by the share of the tokens at which a neuron is on.
        ``contrast``
            The top percent by a neuron's log-odds of being on, minus the mean of these over all
            languages given.
        ``lape``
            A neuron is active for a language where its activation probability exceeds the
            ``quantile`` of the probabilities of all neurons and languages: the number at place
            round(quantile · count) in ascending order. Of the neurons that are active for some
            language, as many as ``top_percent`` of all neurons, or all where they are fewer, are
            chosen: those of the lowest entropy over the languages of their normalised activation
            probabilities; of equal ones the larger of their largest probabilities, then the lower
            index. Each belongs to the languages that it is active for. Sets differ in size.
        ``threshold``
            All neurons whose activation probability is ``threshold`` or more. Sets differ in size.
        ``random``
            The control: in every layer as many as ``probability`` chooses there, drawn without
            repetition from the 10 times as many that are on most often for the language (ties as
            for ``probability``). The set is a function of the statistics, the seed, the
            language's code and the layer's number.

        A language reaches the neurons of a routed expert that saw 100 of its tokens, or all where
        there are fewer. It never has others; where languages are compared, one that does not reach
        a neuron counts as the mean of those that do, and two have to; log-odds are then those of
        equally many tokens (``compared_odds``). Sets are smaller where a layer has too few.

    Returns
    -------
    LanguageNeurons
        Sets by ``lape`` and ``threshold`` may be empty: ``report.empty`` names them.

    Raises
    ------
    InvalidInputError
        When the top percent is no neuron, when no language is given, or when ``contrast`` or
        ``lape`` is asked of a single language.

    Notes
    -----
    Linear in languages times neurons. Memory: a byte for each, and 8 more for ``contrast`` and
    ``lape``.

    References
    ----------
    ``probability``: Xu et al., "BridgeX-ICL", EMNLP 2025, arXiv 2508.17078. ``lape``: Tang et al.
    2024, "Language-Specific Neurons", arXiv 2402.16438, whose thresholds are the defaults; it
    chooses over the model.
    """
    if not statistics:
        raise InvalidInputError("no language has statistics", hint="Ingest a corpus first.")
    rule = selection or Selection()
    return LanguageNeurons(
        languages=tuple(statistics),
        masks=CHOOSE[rule.select](statistics, layer_offsets, rule),
        layer_offsets=layer_offsets,
        always_on=np.logical_and.reduce(
            [probability(one) >= ALWAYS_ON for one in statistics.values()]
        ),
        selection=rule,
    )
