"""Find the best bridge language inside a multilingual language model, and prove it.

The names below are imported when they are first used: ``import bridgex`` itself loads neither
torch nor zarr.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bridgex.errors import BridgexError

if TYPE_CHECKING:
    from bridgex.analysis import (
        Resampling,
        Selection,
        dependence,
        overlap,
        overlap_counts,
        rank_bridges,
        select_neurons,
        spectrum,
        top_k,
        uncertainty,
    )
    from bridgex.capture import load_model
    from bridgex.engines.local import ingest_corpus, ingest_probes
    from bridgex.lexicon import read_lexicon
    from bridgex.pipeline import Request, run
    from bridgex.schema import Pair
    from bridgex.store import Store
    from bridgex.texts import open_text

__all__ = [
    "BridgexError",
    "Pair",
    "Request",
    "Resampling",
    "Selection",
    "Store",
    "dependence",
    "ingest_corpus",
    "ingest_probes",
    "load_model",
    "open_text",
    "overlap",
    "overlap_counts",
    "rank_bridges",
    "read_lexicon",
    "run",
    "select_neurons",
    "spectrum",
    "top_k",
    "uncertainty",
]

_HOMES = {
    "Pair": "schema",
    "Request": "pipeline",
    "Resampling": "analysis",
    "Selection": "analysis",
    "Store": "store",
    "dependence": "analysis",
    "ingest_corpus": "engines.local",
    "ingest_probes": "engines.local",
    "load_model": "capture",
    "open_text": "texts",
    "overlap": "analysis",
    "overlap_counts": "analysis",
    "rank_bridges": "analysis",
    "read_lexicon": "lexicon",
    "run": "pipeline",
    "select_neurons": "analysis",
    "spectrum": "analysis",
    "top_k": "analysis",
    "uncertainty": "analysis",
}


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("bridgex")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
