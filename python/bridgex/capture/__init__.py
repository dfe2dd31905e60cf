"""From a model and text to exact numbers about its neurons.

This is the only part of bridgex that uses torch and transformers. They are imported when one of
the names below is first used, not with this package.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bridgex.errors import MissingDependencyError

if TYPE_CHECKING:
    from bridgex.capture.collect import (
        collect_probes,
        collect_probes_of,
        collect_statistics,
        collect_statistics_of,
        count_tokens,
        count_work,
    )
    from bridgex.capture.convert import demo_model_path
    from bridgex.capture.doctor import describe_device, examine_model
    from bridgex.capture.generation import generate
    from bridgex.capture.gold import GoldAgreement, gold_agreement, gold_filter, gold_filter_of
    from bridgex.capture.models import CaptureModel, load_model
    from bridgex.capture.tensors import load_tensors

__all__ = [
    "CaptureModel",
    "GoldAgreement",
    "collect_probes",
    "collect_probes_of",
    "collect_statistics",
    "collect_statistics_of",
    "count_tokens",
    "count_work",
    "demo_model_path",
    "describe_device",
    "examine_model",
    "generate",
    "gold_agreement",
    "gold_filter",
    "gold_filter_of",
    "load_model",
    "load_tensors",
]

_HOMES = {
    "CaptureModel": "models",
    "GoldAgreement": "gold",
    "collect_probes": "collect",
    "collect_probes_of": "collect",
    "collect_statistics": "collect",
    "collect_statistics_of": "collect",
    "count_tokens": "collect",
    "count_work": "collect",
    "demo_model_path": "convert",
    "describe_device": "doctor",
    "examine_model": "doctor",
    "generate": "generation",
    "gold_agreement": "gold",
    "gold_filter": "gold",
    "gold_filter_of": "gold",
    "load_model": "models",
    "load_tensors": "tensors",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"{__name__}.{home}"), name)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("bridgex"):
            raise
        raise MissingDependencyError(
            f"models need the Python package {error.name!r}, which is not installed",
            hint="pip install 'bridgex[models]'",
        ) from error
