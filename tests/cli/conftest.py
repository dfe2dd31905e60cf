"""A store that answers queries, and the command line as a function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from bridgex.cli import main
from bridgex.corpora import split_parts, split_words
from bridgex.schema import Pair, WordPair
from bridgex.store import Store
from bridgex.testing import synthetic

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LAYER_SIZES = (700, 600, 800)
PAIR = Pair("id", "tl")
LANGUAGES = ("id", "tl", "en", "es", "sw")
WORDS = tuple(WordPair(f"kata{number}", (f"salita{number}",)) for number in range(40))


@dataclass(frozen=True)
class Outcome:
    """What a command did."""

    code: int
    out: str
    err: str


@pytest.fixture
def bridgex(capfd: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run the command line in this process."""

    def run(*arguments: object) -> Outcome:
        capfd.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        code = stopped.value.code
        assert isinstance(code, int)
        return Outcome(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a store of five languages and one pair, with numbers that mean nothing."""
    path = tmp_path_factory.mktemp("stores") / "synthetic"
    made = Store.create(path, synthetic.provenance(layer_sizes=LAYER_SIZES))
    for language in LANGUAGES:
        records = [f"{language} {number}" for number in range(20)]
        for part in split_parts(records, language=language):
            made.add_statistics(part, synthetic.statistics(records, layer_sizes=LAYER_SIZES))
    for words in split_words(WORDS, pair=PAIR):
        block = synthetic.probes(words, "off", layer_sizes=LAYER_SIZES)
        made.add_probes(words, block, "off")
    return path
