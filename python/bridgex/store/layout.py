"""Where things are in a store, and what they are called. See the package for the whole layout."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Literal

from bridgex.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridgex.schema import Pair, Provenance
    from bridgex.store.encoding import Encoding

FORMAT_VERSION = 1

Kind = Literal["statistics", "probes", "neurons"]

ROOT = "zarr.json"
PARTS = "parts"
COMMITS = "commits"
MARKER_SUFFIX = ".json"
TEMPORARY_PREFIX = ".bridgex-"
"""Files that begin so are being written, or were when their writer was killed: ignored."""

DIGESTS_ARRAY = "record_digests"
NEURONS_ARRAY = "neurons"

CODE = re.compile(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*")


def statistics_arrays(provenance: Provenance) -> tuple[str, ...]:
    """Names of the arrays of statistics; what was imported may lack some of them."""
    routed = ("routed_count",) if provenance.experts else ()
    return ("positive_count", *routed, "sum", "sum_squares", "maximum")


def layer_array(layer: int) -> str:
    """Name of the array that holds the probe activations of a layer."""
    return f"layer_{layer}"


def part_directory(part: str, attempt: str) -> str:
    """Path of one attempt at a part, relative to the store."""
    return f"{PARTS}/{part}.{attempt}"


def language_commits(language: str) -> str:
    """Path of the markers of a language's statistics, relative to the store."""
    return f"{COMMITS}/statistics/{_safe(language)}"


def pair_commits(pair: Pair) -> str:
    """Path of the markers of a pair's probes, relative to the store."""
    return f"{COMMITS}/probes/{_safe(pair.source)}-{_safe(pair.target)}"


def neuron_commits(pair: Pair) -> str:
    """Path of the markers that say what a pair's probes keep, relative to the store."""
    return f"{COMMITS}/neurons/{_safe(pair.source)}-{_safe(pair.target)}"


def part_id(fingerprint: str, kind: Kind, series: tuple[str, ...], chains: tuple[str, str]) -> str:
    """Return the id of a part: a function of what goes in, and of nothing else.

    Parameters
    ----------
    fingerprint
        Of the provenance: model, tokenizer, site, policies.
    kind, series
        What the part belongs to: language and corpus, or source, target and gold policy.
    chains
        Chain digests before and after the part, which determine the records.
    """
    return _id([fingerprint, kind, series, chains])


def compacted_id(
    fingerprint: str,
    kind: Kind,
    series: tuple[str, ...],
    chains: tuple[str, str],
    encoding: Encoding,
    supersedes: Sequence[str],
) -> str:
    """Return the id of a compacted part. None of the parts that it is made of has it.

    Parameters
    ----------
    fingerprint, kind, series, chains
        As of the records that the part holds.
    encoding
        How its arrays are stored.
    supersedes
        Ids of all parts that do not count beside it, sorted.
    """
    choice = (encoding.codec, encoding.level, encoding.keep_bits)
    return _id([fingerprint, kind, series, chains, choice, supersedes])


def _id(made_of: list[object]) -> str:
    text = json.dumps(made_of, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _safe(code: str) -> str:
    if not CODE.fullmatch(code):
        raise InvalidInputError(
            f"expected a language code of letters, digits and hyphens, got {code!r}"
        )
    return code
