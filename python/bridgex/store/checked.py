"""JSON objects that carry their own checksum, so that a changed bit in them is noticed."""

from __future__ import annotations

import json
from typing import Any

import google_crc32c

CHECKSUM = "crc32c"


def with_checksum(value: dict[str, Any]) -> dict[str, Any]:
    """Return a JSON object with its checksum as one more member."""
    return {**value, CHECKSUM: _checksum(value)}


def without_checksum(value: dict[str, Any]) -> dict[str, Any]:
    """Return what ``with_checksum`` was given.

    Raises
    ------
    ValueError
        If the object is not what it was.
    KeyError
        If it has no checksum.
    """
    rest = {name: member for name, member in value.items() if name != CHECKSUM}
    if value[CHECKSUM] != _checksum(rest):
        raise ValueError("its content does not match its checksum")
    return rest


def _checksum(value: dict[str, Any]) -> str:
    """CRC-32C (hex) of the object as UTF-8 JSON, keys sorted, without white space."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"{google_crc32c.value(text.encode()):08x}"
