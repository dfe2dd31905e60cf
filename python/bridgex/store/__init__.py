"""The store: what lasts, on disk, written by many workers and killed at any instant.

::

    STORE/
      zarr.json                                what the store is: a Zarr v3 group
      parts/<part-id>.<attempt>/               Zarr groups, one per attempt, never overwritten
        statistics: positive_count i64, sum f64, sum_squares f64, maximum f32: all (neuron,)
        probes:     layer_<l> f32 (neuron, sample) for every layer
        both:       record_digests u64 (record,)
      commits/statistics/<language>/<part-id>.json
      commits/probes/<source>-<target>/<part-id>.json

A part exists when its marker below ``commits/`` does. Markers are created exclusively, after
everything that they name is on the disk. This is the only room that imports zarr.
"""

from bridgex.store.committed import Coverage
from bridgex.store.compact import Compaction, compact
from bridgex.store.encoding import Codec
from bridgex.store.garbage import Collection, Garbage, collect_garbage
from bridgex.store.info import GarbageInfo, LanguageInfo, ProbesInfo, StoreInfo
from bridgex.store.merge import Merged, merge
from bridgex.store.probes import Probes
from bridgex.store.snapshot import Snapshot
from bridgex.store.store import Store
from bridgex.store.verification import Finding, Verification, verify

__all__ = [
    "Codec",
    "Collection",
    "Compaction",
    "Coverage",
    "Finding",
    "Garbage",
    "GarbageInfo",
    "LanguageInfo",
    "Merged",
    "Probes",
    "ProbesInfo",
    "Snapshot",
    "Store",
    "StoreInfo",
    "Verification",
    "collect_garbage",
    "compact",
    "merge",
    "verify",
]
