"""``bridgex store compact`` and ``bridgex store merge``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bridgex.cli.options import LanguageCodes, StoreLocation, output_options
from bridgex.cli.output import emit
from bridgex.schema import Pair

if TYPE_CHECKING:
    from pathlib import Path

    from bridgex.cli.output import Format
    from bridgex.store import Codec


class PairName(click.ParamType[Pair]):
    """A source and a target language with a comma between them."""

    name = "source,target"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Pair:
        """Return the pair."""
        if isinstance(value, Pair):
            return value
        languages = LanguageCodes().convert(value, param, ctx)
        if len(languages) != 2:  # noqa: PLR2004  source and target
            self.fail(f"expected SOURCE,TARGET, for example id,tl, got {value!r}", param, ctx)
        return Pair(*languages)


@click.command()
@click.argument("store", type=StoreLocation())
@click.option(
    "--codec",
    type=click.Choice(["none", "zstd", "blosc", "pcodec"]),
    default="none",
    show_default=True,
    help="none: raw files, which are read fastest; what was compressed is unpacked.",
)
@click.option(
    "--level",
    type=click.IntRange(1, 22),
    help="Effort of the codec.  [default: zstd 3 of 22, blosc 5 of 9, pcodec 8 of 12]",
)
@click.option(
    "--keep-bits",
    type=click.IntRange(1, 23),
    help="Round activations of probes to that many of their 23 mantissa bits, for ever.",
)
@click.option("--languages", type=LanguageCodes(), help="Only statistics of these.")
@click.option(
    "--pair", "pairs", type=PairName(), multiple=True, help="Only probes of it. Repeatable."
)
@output_options
def compact(
    store: str,
    codec: Codec,
    level: int | None,
    keep_bits: int | None,
    languages: tuple[str, ...] | None,
    pairs: tuple[Pair, ...],
    format_: Format,
    output: Path | None,
) -> None:
    """Make few large parts of many small ones, and compress them on request.

    Queries give the same bits as before, unless --keep-bits rounds activations. The last part of a
    text or word list stays as it is, since it can still grow, and so does what follows missing
    records. Safe beside everything else that works on the store; killed, it can be repeated.
    """
    from bridgex.cli.progress import reporter
    from bridgex.cli.upkeep_view import compact_answer
    from bridgex.store import Store, compact

    if codec == "none" and (level is not None or keep_bits is not None):
        raise click.UsageError("--level and --keep-bits need a --codec, which makes files smaller")
    listener = reporter()
    rows = compact(
        Store.open(store),
        codec=codec,
        level=level,
        keep_bits=keep_bits,
        languages=languages,
        pairs=pairs or None,
        reporter=listener,
    )
    emit(compact_answer(str(store), codec, rows), format_=format_, output=output)
    if any(row.written_parts for row in rows):
        listener.note(f"what was replaced stays on disk until: bridgex store gc {store}")


@click.command()
@click.argument("stores", nargs=-1, required=True)
@click.option(
    "-o", "--output", "location", required=True, help="The store to copy to; it may exist."
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["table", "json", "ndjson", "csv"]),
    default="table",
    show_default=True,
    help="Form of the answer.",
)
def merge(stores: tuple[str, ...], location: str, format_: Format) -> None:
    """Copy the parts of several stores of one model into one, which counts every record once.

    The stores stay as they are. Those of another model or other settings are refused, with what
    differs, and so are two versions of one text. Killed, it can be repeated, and goes on.
    """
    from bridgex.cli.progress import reporter
    from bridgex.cli.upkeep_view import merge_answer
    from bridgex.store import Store, merge

    rows = merge([Store.open(store) for store in stores], location, reporter=reporter())
    emit(merge_answer(location, rows), format_=format_)
