"""Run by a test as a process of its own: capture under a limit, and tell the peak as JSON."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

import torch
from tests.large_checkpoint import anonymous_bytes, peak_of

from bridgex.capture import load_model
from bridgex.engines.local import ingest_corpora
from bridgex.engines.planning import plan
from bridgex.progress import Silent
from bridgex.store import Store


def main(directory: str, above: int, records: int, dtype: str) -> None:
    # As the command line does.
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    torch.set_num_threads(1)
    texts = {"de": tuple(f"Hund und Katze und Haus Nummer {n}" for n in range(records))}
    limit = anonymous_bytes() + above
    model = load_model(
        directory,
        device="cpu",
        memory_limit=limit,
        batch_tokens=256,
        dtype=dtype,  # type: ignore[arg-type]  # from the command line
    )
    assert model.skeleton is not None
    found = plan(model, texts)
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open_or_create(Path(folder) / "store", model.provenance)
        peak = peak_of(lambda: ingest_corpora(model, store, texts, reporter=Silent()))
    told = {"peak": peak, "plan": found.sweep_peak, "limit": limit, "base": found.costs.base}
    json.dump(told | {"loading": found.loading}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
