"""What is committed, kept up to date while a store is written to."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING

from bridgex.store.arrays import read_array
from bridgex.store.layout import DIGESTS_ARRAY
from bridgex.store.markers import Marker, marker_names
from bridgex.store.places import covered, effective

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from bridgex.store.candidate import Candidate


def read_digests(root: Path, marker: Marker) -> NDArray[np.uint64]:
    """Read the record digests of a part, uint64 (record,)."""
    return read_array(root / marker.directory / DIGESTS_ARRAY, (marker.records,))


class Committed:
    """The parts that count, by series. Every marker is read once: it never changes."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._read_digests = partial(read_digests, root)
        self._markers: dict[str, dict[str, Marker]] = {}
        self._series: dict[tuple[str, ...], list[Marker]] = {}

    def refresh(self, commits: str) -> None:
        """Take notice of what was committed in a directory since the last call."""
        directory = self._root / commits
        known = self._markers.get(commits, {})
        names = marker_names(directory)
        if names == list(known):
            return
        self._markers[commits] = {
            name: known.get(name) or Marker.read(directory / name) for name in names
        }
        series = defaultdict(list)
        for marker in effective(self._markers[commits].values(), self._read_digests):
            series[marker.series].append(marker)
        for name, markers in series.items():
            self._series[name] = sorted(markers, key=lambda marker: marker.records_before)

    def covers(self, candidate: Candidate) -> bool:
        """Say whether all records of a part are stored, as of the last ``refresh``.

        The very same part is noticed even when it was committed later.

        Raises
        ------
        InvalidInputError
            If a record differs from the stored one at its position.
        """
        if (self._root / candidate.marker_path).exists():
            return True
        markers = self._series.get(candidate.span.series, [])
        return covered(candidate.span, markers, self._read_digests)
