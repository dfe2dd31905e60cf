"""The command line against a Hub: one process imports everything and forks for every command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
_LATE = (
    "bridgex.capture.doctor",
    "bridgex.cli.ingest",
    "bridgex.cli.plan",
    "bridgex.engines.planning",
    "bridgex.store.store",
    "bridgex.texts.hub",
    "bridgex.texts.parquet",
    "bridgex.texts.ranges",
    "transformers.models.llama.modeling_llama",
)
"""What commands import when they run."""


@dataclass(frozen=True)
class Outcome:
    """What a command did."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Commands:
    """Runs commands of bridgex with the Hub's endpoint and cache of their own."""

    process: subprocess.Popen[str]
    directory: Path

    def __call__(self, *arguments: object) -> Outcome:
        """Run one in a directory of its own process; the client waits little between tries."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps([str(one) for one in arguments]), file=self.process.stdin, flush=True)
        code = int(self.process.stdout.readline())
        out, err = ((self.directory / name).read_text() for name in ("out", "err"))
        return Outcome(code, out, err)


@contextmanager
def running(endpoint: str, directory: Path) -> Iterator[Commands]:
    """Start the process that runs commands."""
    environment = {
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(directory / "hub"),
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "OMP_NUM_THREADS": "1",
    }
    with subprocess.Popen(
        [sys.executable, "-m", "tests.integration.hub_commands", str(directory)],
        cwd=ROOT,
        env=os.environ | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Commands(process, directory)
        process.communicate()


def main(directory: Path) -> None:
    """Run the commands that arrive, one on a line."""
    for module in _LATE:
        import_module(module)
    from bridgex.cli import main as run
    from bridgex.languages import parse_language

    parse_language("de")
    answers: IO[str] = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            for number, name in ((1, "out"), (2, "err")):
                file = os.open(directory / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
                os.dup2(file, number)
            _hasten()
            try:
                run(json.loads(line))
            except SystemExit as end:
                sys.stderr.flush()
                # Taking all the libraries down takes longer than most commands.
                os._exit(int(end.code or 0))
            os._exit(1)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(code, file=answers, flush=True)


def _hasten() -> None:
    """Let the client wait hardly at all before it tries again."""
    import time

    sleep: Any = time.sleep
    time.sleep = lambda seconds: sleep(min(float(seconds), 0.01))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
