"""How the time of opening a store and adding up one language grows with its committed parts.

The parts are small: what is timed is what every part costs, whatever its size.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from benches.python.workload import FULL

from bridgex.corpora import split_parts
from bridgex.store import Store
from bridgex.store.checked import with_checksum, without_checksum
from bridgex.testing import synthetic

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bridgex.schema import NeuronStatistics

# Half decades.
PARTS = [100, 316, 1000, 3162, 10_000] if FULL else [3, 10]
RECORD = "rekodi"


def many_parts(path: Path, count: int) -> None:
    """Make a store of so many parts: one that is committed, and copies of it at later places."""
    store = Store.create(path, synthetic.provenance(), part_bytes=len(RECORD))
    (part,) = split_parts([RECORD], language="sw", part_bytes=len(RECORD))
    store.add_statistics(part, synthetic.statistics(part.records))
    (committed,) = path.glob("commits/*/*/*.json")
    (attempt,) = path.glob("parts/*")
    files = {
        file.relative_to(attempt): file.read_bytes()
        for file in attempt.rglob("*")
        if file.is_file()
    }
    marker = without_checksum(json.loads(committed.read_bytes()))
    chain = part.chain_after
    for number in range(1, count):
        before, chain = chain, hashlib.sha256(chain.encode()).hexdigest()
        marker["part"] = chain[:32]
        marker["place"] |= {"records_before": number, "chain_before": before}
        marker["chain_after"] = chain
        directory = path / "parts" / f"{marker['part']}.{marker['attempt']}"
        for name, stored in files.items():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            (directory / name).write_bytes(stored)
        content = json.dumps(with_checksum(marker), indent=1)
        committed.with_name(f"{marker['part']}.json").write_text(content)


def open_and_add_up(path: Path) -> NeuronStatistics:
    return Store.open(path).snapshot().statistics("sw")


@pytest.mark.parametrize("parts", PARTS)
def test_parts(
    parts: int, tmp_path: Path, timed: Callable[..., Any], record: Callable[..., None]
) -> None:
    many_parts(tmp_path / "store", parts)
    found = timed(open_and_add_up, tmp_path / "store", rounds=3, warm_up=True)
    record("committed parts", str(parts), size=parts)
    once = synthetic.statistics([RECORD])
    assert found.record_count == parts
    assert (found.positive_count == parts * once.positive_count).all()
    assert found.sum == pytest.approx(parts * once.sum)
