"""Options that several commands share, and the types of their values."""

from __future__ import annotations

import os
import re
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import click

from bridgex.capture.policies import (
    BATCH_TOKENS,
    BLOCK_TOKENS,
    Dtype,
    Mode,
    Packing,
    Positions,
    Special,
)
from bridgex.corpora import PART_BYTES, PROBE_BLOCK
from bridgex.errors import BridgexError
from bridgex.languages import parse_language
from bridgex.schema import GoldFilter, Neurons, ProbeDtype, Site

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")

GOLD = get_args(GoldFilter)
NEURONS = get_args(Neurons)
PROBE_DTYPES = get_args(ProbeDtype)
MOST_LAYERS = 9999


class LanguageCode(click.ParamType[str]):
    """A language as the user writes it; the value is the code under which it is stored."""

    name = "language"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the code."""
        try:
            return parse_language(value).code
        except BridgexError as error:
            self.fail(str(error), param, ctx)


class LanguageCodes(click.ParamType[tuple[str, ...]]):
    """Languages with commas between them."""

    name = "languages"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Return the codes, in order, each once."""
        if isinstance(value, tuple):
            return value
        one = LanguageCode()
        parts = [part.strip() for part in value.split(",") if part.strip()]
        if not parts:
            self.fail(
                "expected languages with commas between them, for example en,es,fr", param, ctx
            )
        return tuple(dict.fromkeys(one.convert(part, param, ctx) for part in parts))


class LayerRange(click.ParamType[tuple[int, ...]]):
    """One layer, or the first and the last with a hyphen between them."""

    name = "layers"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Return the layer numbers."""
        if isinstance(value, tuple):
            return value
        first, _, last = value.partition("-")
        if not first.isdecimal() or not (last.isdecimal() or "-" not in value):
            self.fail(f"expected layers such as 6-11 or 8, got {value!r}", param, ctx)
        start, stop = int(first), int(last or first)
        if stop > MOST_LAYERS:
            self.fail(f"no model has a layer {stop}", param, ctx)
        if stop < start:
            self.fail(f"the last layer comes before the first in {value!r}", param, ctx)
        return tuple(range(start, stop + 1))


class NamedFile(click.ParamType[tuple[str, Path]]):
    """A file, and what it is called in the answer."""

    name = "[name=]file"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Path]:
        """Return the name, by default the file's without its ending, and the path."""
        if isinstance(value, tuple):
            return value[0], value[1]
        name, separator, path = value.partition("=")
        if not separator:
            return Path(value).stem, Path(value)
        if not name or not path:
            self.fail(f"expected NAME=FILE or FILE, got {value!r}", param, ctx)
        return name, Path(path)


class OutputFile(click.ParamType[Path]):
    """A file to be written: refused at once where it cannot be, not after the work."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the path."""
        path = Path(value)
        if path.is_dir():
            self.fail(f"{path} is a directory, and a file is to be written", param, ctx)
        if not path.parent.is_dir():
            self.fail(f"there is no directory {path.parent} to write {path.name} to", param, ctx)
        if not os.access(path.parent, os.W_OK):
            self.fail(f"the directory {path.parent} cannot be written to", param, ctx)
        return path


class StoreLocation(click.ParamType[str]):
    """Where a store is: a path, or an address such as ``s3://bucket/path``."""

    name = "path or url"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the path or address."""
        if not str(value):
            self.fail("expected a path or an address, got nothing", param, ctx)
        return str(value)


class ByteCount(click.ParamType[int]):
    """A number of bytes, with or without a unit."""

    name = "bytes"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the bytes."""
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?", str(value).strip().lower())
        if found is None:
            self.fail(
                f"expected bytes such as 4GiB, 500MB or 4000000000, got {value!r}", param, ctx
            )
        number, power, binary = found.groups()
        count = int(float(number) * (1024 if binary else 1000) ** (" kmgt".index(power or " ")))
        if count < 1:
            self.fail(f"expected at least one byte, got {value!r}", param, ctx)
        return count


class BandwidthValue(click.ParamType[str | float]):
    """The name of a bandwidth rule, or a number."""

    name = "bandwidth"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str | float:
        """Return the name or the number."""
        if value in ("neuron", "layer", "reference"):
            return str(value)
        try:
            number = float(value)
        except ValueError:
            self.fail(f"expected neuron, layer, reference or a number, got {value!r}", param, ctx)
        if not 0 < number < float("inf"):
            self.fail(f"a bandwidth must be positive and finite, got {value}", param, ctx)
        return number


lexicon_option = click.option(
    "--lexicon",
    "lexicons",
    type=click.Path(path_type=Path),
    multiple=True,
    required=True,
    help="Word pairs: one on every line, or a table with a column for each language. Repeatable.",
)

gold_option = click.option(
    "--gold",
    type=click.Choice(GOLD),
    default="keep",
    show_default=True,
    help="keep: only words that the model translates right become probes.",
)


neurons_option = click.option(
    "--neurons",
    type=click.Choice(NEURONS),
    default="all",
    show_default=True,
    help="Whose activations on the probes are stored. top: only those that the default spectrum "
    "needs, chosen once for a pair from the statistics that the store has.",
)

probe_dtype_option = click.option(
    "--probe-dtype",
    type=click.Choice(PROBE_DTYPES),
    default="f32",
    show_default=True,
    help="Precision in which activations on the probes are stored.",
)

threads_option = click.option(
    "--threads",
    type=click.IntRange(1, 1024),
    help="Worker threads of the analysis.  [default: all cores]",
)


def combined(*decorators: Callable[[F], F]) -> Callable[[F], F]:
    """Return one decorator that applies several, the first outermost."""

    def decorate(function: F) -> F:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


def output_options(function: F) -> F:
    """Add ``--format`` and ``--output`` for answers that have rows."""
    return _output_options("table", "json", "ndjson", "csv", "parquet")(function)


def run_output_options(function: F) -> F:
    """Add ``--format`` and ``--output`` for documents of several answers."""
    return _output_options("table", "json")(function)


def _output_options(*formats: str) -> Callable[[F], F]:
    def add(function: F) -> F:
        @wraps(function)
        def check(*args: Any, format_: str, output: Path | None, **values: Any) -> Any:
            if format_ == "parquet" and output is None:
                raise click.UsageError("parquet is not text: give --output FILE")
            return function(*args, format_=format_, output=output, **values)

        return options(check)  # type: ignore[return-value]  # the same keywords

    options = combined(
        click.option(
            "--format",
            "format_",
            type=click.Choice(formats),
            default="table",
            show_default=True,
            help="Form of the answer.",
        ),
        click.option("-o", "--output", type=OutputFile(), help="Write to a file, not stdout."),
    )
    return add


def pair_options(function: F) -> F:
    """Add ``--source`` and ``--target``."""
    return combined(
        click.option("--source", type=LanguageCode(), required=True, help="Source language."),
        click.option("--target", type=LanguageCode(), required=True, help="Target language."),
    )(function)


def store_options(function: F) -> F:
    """Add the sizes of a store's parts; they arrive as ``part_sizes``."""
    options = combined(
        click.option(
            "--part-bytes",
            type=click.IntRange(min=1),
            help="Of a new store: UTF-8 bytes of text in a part of a corpus.  "
            f"[default: {PART_BYTES}]",
        ),
        click.option(
            "--probe-block",
            type=click.IntRange(min=1),
            help=f"Of a new store: word pairs in a part of a word list.  [default: {PROBE_BLOCK}]",
        ),
    )

    @wraps(function)
    def collect(*args: Any, part_bytes: int | None, probe_block: int | None, **values: Any) -> Any:
        sizes = {"part_bytes": part_bytes, "probe_block": probe_block}
        return function(*args, part_sizes=sizes, **values)

    return options(collect)  # type: ignore[return-value]  # the wrapper takes other keywords


_OPENING = {
    "device": click.option(
        "--device", default="auto", show_default=True, help="cpu, cuda, mps or auto."
    ),
    "dtype": click.option(
        "--dtype",
        type=click.Choice(get_args(Dtype)),
        default="auto",
        show_default=True,
        help="Precision of the model; auto is float32 on a processor.",
    ),
    "revision": click.option("--revision", help="Revision of a model on the Hub."),
    "batch_tokens": click.option(
        "--batch-tokens",
        type=click.IntRange(min=1),
        default=BATCH_TOKENS,
        show_default=True,
        help="Tokens in a forward pass.",
    ),
    "trust_remote_code": click.option(
        "--trust-remote-code", is_flag=True, help="Run code that comes with the model."
    ),
}

_READING = {
    "site": click.option(
        "--site",
        type=click.Choice(get_args(Site)),
        default="act",
        show_default=True,
        help="Where a neuron is read: after the non-linearity, or before the down projection.",
    ),
    "special": click.option(
        "--special",
        type=click.Choice(get_args(Special)),
        default="exclude",
        show_default=True,
        help="Whether special tokens count.",
    ),
    "positions": click.option(
        "--positions",
        type=click.Choice(get_args(Positions)),
        default="prompt",
        show_default=True,
        help="Tokens of a probe that enter its mean: its own, its last, or all with special ones.",
    ),
    "packing": click.option(
        "--packing",
        type=click.Choice(get_args(Packing)),
        default="buckets",
        show_default=True,
        help="buckets: every record is read alone. concat: the tokens of a part's records are "
        "joined and cut into blocks, as in the published scripts.",
    ),
    "max_tokens": click.option(
        "--max-tokens",
        type=click.IntRange(min=1),
        help="Size of a block; longer records are read in windows of it.  "
        f"[default: --batch-tokens; concat: {BLOCK_TOKENS}; at most the model's context]",
    ),
    "mode": click.option(
        "--mode",
        type=click.Choice(get_args(Mode)),
        default="auto",
        show_default=True,
        help="resident: the whole model in memory. sweep: one layer at a time, with the same "
        "numbers. auto: resident where it fits.",
    ),
    "memory_limit": click.option(
        "--memory-limit",
        type=ByteCount(),
        help="Memory that capture may use, for example 4GiB.  [default: what is available]",
    ),
}


def model_options(function: F) -> F:
    """Add what decides how a model is loaded; it arrives as ``model_choices``."""
    return _gathered(_OPENING)(function)


def capture_options(function: F) -> F:
    """Add how a model is loaded and its neurons are read; it arrives as ``model_choices``."""
    return _gathered(_OPENING | _READING)(function)


def _gathered(options: dict[str, Callable[[F], F]]) -> Callable[[F], F]:
    def add(function: F) -> F:
        @wraps(function)
        def collect(*args: Any, **values: Any) -> Any:
            choices = {name: values.pop(name) for name in options}
            return function(*args, model_choices=choices, **values)

        return combined(*options.values())(collect)  # type: ignore[arg-type]  # the wrapper takes other keywords

    return add
