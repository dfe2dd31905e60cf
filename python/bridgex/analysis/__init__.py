"""Arrays to arrays: language neurons, overlap, dependence, spectrum and ranking.

``top_k``, ``overlap_counts``, ``combinations``, set algebra and ``dependence`` work on arrays from
any tool; ``select_neurons``, ``overlap``, ``spectrum`` and ``rank_bridges`` work on what a store
holds.
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
from bridgex.analysis.spectra import Spectrum, middle_layers, spectrum
from bridgex.analysis.spectrum_options import SpectrumOptions

__all__ = [
    "Combinations",
    "Dependence",
    "LanguageNeurons",
    "Overlap",
    "Ranking",
    "ResampledScores",
    "Selection",
    "SetReport",
    "Spectrum",
    "SpectrumOptions",
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
    "top_k",
    "union",
    "unpack",
]
