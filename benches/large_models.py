"""Models far larger than memory, layer by layer: what they need of memory and of time.

Not part of the other benches: the shapes need minutes to hours and up to 26 GB of disk. See
docs/large-models.md for the commands. Prints one JSON line.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
import time
from collections import defaultdict
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import torch
from tests.large_checkpoint import anonymous_bytes, peak_of, write_checkpoint

from bridgex.capture import load_model
from bridgex.capture.checkpoint import StoredTensor
from bridgex.capture.recording import Call
from bridgex.capture.skeleton import Skeleton
from bridgex.cli.options import ByteCount
from bridgex.cli.progress import reporter
from bridgex.engines.local import ingest_corpora
from bridgex.engines.planning import plan
from bridgex.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridgex.capture import CaptureModel

SHAPES: dict[str, dict[str, int]] = {
    "tiny": {
        "num_hidden_layers": 4,
        "hidden_size": 256,
        "intermediate_size": 1024,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "vocab_size": 1000,
    },
    "13B": {
        "num_hidden_layers": 40,
        "hidden_size": 5120,
        "intermediate_size": 13824,
        "num_attention_heads": 40,
        "num_key_value_heads": 40,
        "vocab_size": 32000,
    },
    "70B": {
        "num_hidden_layers": 80,
        "hidden_size": 8192,
        "intermediate_size": 28672,
        "num_attention_heads": 64,
        "num_key_value_heads": 8,
        "vocab_size": 128256,
    },
    "405B": {
        "num_hidden_layers": 126,
        "hidden_size": 16384,
        "intermediate_size": 53248,
        "num_attention_heads": 128,
        "num_key_value_heads": 8,
        "vocab_size": 128256,
    },
}
SHARD_BYTES = 5 << 30
_TEXT = "Der Hund und die Katze wohnen im dritten Haus am See, Nummer"
_CHUNK = 16 << 20
# So much is read to learn the speed of the disk.
_SAMPLE = 16 << 30


class Clock:
    """Seconds that calls of methods took, in the main thread and in all others together."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def timing(self, owner: type, method: str, name: str) -> Iterator[None]:
        """Add up the calls of a method while the context is open."""
        timed = getattr(owner, method)

        def call(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            try:
                return timed(*args, **kwargs)
            finally:
                main = threading.current_thread() is threading.main_thread()
                where = name if main else f"{name}_in_threads"
                self.seconds[where] += time.perf_counter() - start

        setattr(owner, method, call)
        try:
            yield
        finally:
            setattr(owner, method, timed)


def forget(directory: Path) -> None:
    """Drop the weights from the system's cache."""
    for file in directory.glob("*.safetensors"):
        with file.open("rb") as opened:
            os.fsync(opened.fileno())
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def disk_speed(directory: Path) -> float:
    """Return the bytes per second at which weights are read and nothing is done with them."""
    forget(directory)
    buffer = bytearray(_CHUNK)
    count = 0
    start = time.perf_counter()
    for file in sorted(directory.glob("*.safetensors")):
        with file.open("rb", buffering=0) as opened:
            while count < _SAMPLE and (read := opened.readinto(buffer)):
                count += read
    return count / (time.perf_counter() - start)


def measure(model: CaptureModel, directory: Path, texts: dict[str, tuple[str, ...]]) -> Clock:
    """Fill a store with the statistics of texts, and tell how long what took."""
    clock = Clock()
    store = Store.open_or_create(directory / "store", model.provenance)
    with ExitStack() as stack:
        for owner, method, name in (
            (Skeleton, "fill", "loading"),
            (StoredTensor, "read", "reading"),
            (Future, "result", "waiting"),
            (Call, "run", "computing"),
            (Store, "add_statistics", "writing"),
        ):
            stack.enter_context(clock.timing(owner, method, name))
        start = time.perf_counter()
        ingest_corpora(model, store, texts, reporter=reporter())
        clock.seconds["total"] = time.perf_counter() - start
    return clock


@click.command()
@click.argument("shape", type=click.Choice(list(SHAPES)))
@click.option("--memory-limit", type=ByteCount(), required=True, help="As of bridgex ingest.")
@click.option("--folder", type=Path, help="Where the weights are; removed afterwards.")
@click.option("--sparse", is_flag=True, help="Weights are holes in files: zeros, and no disk.")
@click.option("--layers", type=int, help="Fewer layers than the model has.")
@click.option("--tokens", default=256, help="Tokens of text, about.")
@click.option("--batch-tokens", default=2048, help="As of bridgex ingest.")
@click.option("--dtype", default="bfloat16", type=click.Choice(["bfloat16", "float32"]))
@click.option("--threads", default=1, help="Threads of torch.")
def main(shape: str, folder: Path | None, **given: Any) -> None:
    """Sweep a model of a shape with random or no weights, and print what that takes as JSON."""
    # As the command line does.
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    torch.set_num_threads(given["threads"])
    values = SHAPES[shape] | ({"num_hidden_layers": given["layers"]} if given["layers"] else {})
    with tempfile.TemporaryDirectory(prefix="bridgex-large-", dir=folder) as made:
        directory = Path(made)
        stored = write_checkpoint(
            directory,
            shard_bytes=SHARD_BYTES,
            sparse=given["sparse"],
            tie_word_embeddings=False,
            **values,
        )
        found = {"shape": shape} | given | {"bytes": stored} | run(directory, given)
    json.dump(found, sys.stdout)
    sys.stdout.write("\n")


def run(directory: Path, given: dict[str, Any]) -> dict[str, Any]:
    """Return what a sweep of a checkpoint takes, and what it was planned to take."""
    model = load_model(
        directory,
        device="cpu",
        dtype=given["dtype"],
        mode="sweep",
        batch_tokens=given["batch_tokens"],
        memory_limit=given["memory_limit"],
    )
    texts = {"de": tuple(f"{_TEXT} {number:05}" for number in range(given["tokens"] // 64 or 1))}
    planned = plan(model, texts)
    speed = disk_speed(directory)
    forget(directory)
    clocks: list[Clock] = []
    peak = peak_of(lambda: clocks.append(measure(model, directory, texts)))
    seconds = clocks[0].seconds
    # In pieces, layers load what they need while they compute.
    inner = seconds["loading"] if planned.loading == "pieces" else 0.0
    ideal = seconds["computing"] - inner + planned.costs.read / speed
    return {
        "tokens": planned.tokens,
        "sweeps": planned.sweeps,
        "layers_loaded": planned.loading,
        "bytes_read": planned.bytes_read,
        "base": planned.costs.base,
        "planned_peak": planned.sweep_peak,
        "peak": peak,
        "held_afterwards": anonymous_bytes(),
        "disk_bytes_per_second": round(speed),
        "seconds": {name: round(value, 2) for name, value in seconds.items()},
        "times_ideal": round(seconds["total"] / ideal, 3),
        "native_bfloat16": "bf16" in Path("/proc/cpuinfo").read_text(encoding="utf-8"),
    }


if __name__ == "__main__":
    main()
