"""What every exported file says about where its numbers come from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from bridgex.store.layout import FORMAT_VERSION

if TYPE_CHECKING:
    from bridgex.schema import Provenance

METADATA_KEY = "bridgex"


def describe(schema: str, provenance: Provenance, **more: Any) -> dict[str, str]:
    """Return the metadata of a file: one key, whose value is a JSON document.

    Parameters
    ----------
    schema
        Name and version of what is in the file, for example ``bridgex.neuron-statistics/1``.
    provenance
        Of the store.
    more
        JSON-able values that hold for the whole file.
    """
    document = {
        "schema": schema,
        "format_version": FORMAT_VERSION,
        "fingerprint": provenance.fingerprint,
        "provenance": provenance.to_json(),
        **more,
    }
    return {METADATA_KEY: json.dumps(document, ensure_ascii=False)}
