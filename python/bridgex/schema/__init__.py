"""What passes from one room of the house to the next: small frozen records of named arrays.

Axis names: ``neuron`` is the flat axis over all layers, layer after layer, or the axis of one
layer where an array belongs to a layer; ``sample`` is the axis over probe prompts.
"""

from bridgex.schema.names import (
    MINIMUM_SAMPLES,
    Finding,
    FindingState,
    GoldFilter,
    Neurons,
    Pair,
    ProbeDtype,
    Site,
    WordPair,
)
from bridgex.schema.probes import FULL_PROBES, ProbeBlock, ProbeForm
from bridgex.schema.provenance import IMPORTED, Experts, Provenance
from bridgex.schema.statistics import NeuronStatistics

__all__ = [
    "FULL_PROBES",
    "IMPORTED",
    "MINIMUM_SAMPLES",
    "Experts",
    "Finding",
    "FindingState",
    "GoldFilter",
    "NeuronStatistics",
    "Neurons",
    "Pair",
    "ProbeBlock",
    "ProbeDtype",
    "ProbeForm",
    "Provenance",
    "Site",
    "WordPair",
]
