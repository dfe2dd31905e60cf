"""Arrays to arrays: language neurons, overlap, dependence, spectrum and ranking.

``top_k``, ``overlap_counts``, ``combinations``, set algebra, ``dependence`` and ``uncertainty``
work on arrays from any tool; ``select_neurons``, ``overlap``, ``spectrum``, ``rank_bridges`` and
``spectrum_uncertainty`` work on what a store holds.
"""

from bridgex.analysis.arrays import (
    Dependence,
    dependence,
    overlap_counts,
    top_k,
    unpack,
)
from bridgex.analysis.bridge_sets import bridge_neurons, random_bridge_sets
from bridgex.analysis.overlaps import Overlap, overlap
from bridgex.analysis.probe_neurons import top_neurons
from bridgex.analysis.ranking import Ranking, rank_bridges
from bridgex.analysis.resampling import ResampledScores, resampled_scores
from bridgex.analysis.rules import Selection
from bridgex.analysis.selection import LanguageNeurons, SetReport, select_neurons
from bridgex.analysis.sets import (
    Combinations,
    combinations,
    difference,
    intersection,
    pack,
    union,
)
from bridgex.analysis.significance import pair_p_values
from bridgex.analysis.spectra import Spectrum, middle_layers, spectrum, spectrum_of
from bridgex.analysis.spectrum_inputs import SpectrumInputs, spectrum_inputs
from bridgex.analysis.spectrum_options import SpectrumOptions
from bridgex.analysis.uncertainties import Uncertainty, spectrum_uncertainty, uncertainty
from bridgex.analysis.verdicts import verdict
from bridgex.analysis.word_draws import Resampling

__all__ = [
    "Combinations",
    "Dependence",
    "LanguageNeurons",
    "Overlap",
    "Ranking",
    "ResampledScores",
    "Resampling",
    "Selection",
    "SetReport",
    "Spectrum",
    "SpectrumInputs",
    "SpectrumOptions",
    "Uncertainty",
    "bridge_neurons",
    "combinations",
    "dependence",
    "difference",
    "intersection",
    "middle_layers",
    "overlap",
    "overlap_counts",
    "pack",
    "pair_p_values",
    "random_bridge_sets",
    "rank_bridges",
    "resampled_scores",
    "select_neurons",
    "spectrum",
    "spectrum_inputs",
    "spectrum_of",
    "spectrum_uncertainty",
    "top_k",
    "top_neurons",
    "uncertainty",
    "union",
    "unpack",
    "verdict",
]
