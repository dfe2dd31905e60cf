"""Exchange with other programs: Parquet, safetensors and neuron lists out, published files in.

Every file is complete or not there, and says where its numbers come from: the Parquet metadata and
the ``__metadata__`` of safetensors hold the key ``bridgex``, a JSON document with the model, the
fingerprint and the policies of the store.
"""

from bridgex.exchange.lists import pair_masks, read_neuron_list, write_neuron_list
from bridgex.exchange.matrices import write_probes, write_statistics_tensors
from bridgex.exchange.provenance import describe
from bridgex.exchange.published import (
    imported_provenance,
    probe_tensor,
    published_probes,
    published_statistics,
    read_word_pairs,
)
from bridgex.exchange.tables import sets_table, statistics_table, write_table

__all__ = [
    "describe",
    "imported_provenance",
    "pair_masks",
    "probe_tensor",
    "published_probes",
    "published_statistics",
    "read_neuron_list",
    "read_word_pairs",
    "sets_table",
    "statistics_table",
    "write_neuron_list",
    "write_probes",
    "write_statistics_tensors",
    "write_table",
]
