"""``bridgex store gc``: remove what does not count."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from bridgex.cli.options import StoreLocation, output_options
from bridgex.cli.output import emit

if TYPE_CHECKING:
    from pathlib import Path

    from bridgex.cli.output import Format

_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


class Age(click.ParamType[float]):
    """A length of time, as in 90m, 12h or 7d; in seconds."""

    name = "age"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number of seconds."""
        if isinstance(value, int | float):
            return float(value)
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", value)
        if not found:
            self.fail(
                f"expected a number and a unit, for example 90m, 12h or 7d, got {value!r}",
                param,
                ctx,
            )
        return float(found[1]) * _SECONDS[found[2]]


@click.command()
@click.argument("store", type=StoreLocation())
@click.option(
    "--older-than",
    type=Age(),
    default="1d",
    show_default=True,
    help="Leave what is younger, for writers and readers that may still use it: 90m, 12h, 7d.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@output_options
def gc(store: str, older_than: float, dry_run: bool, format_: Format, output: Path | None) -> None:
    """Remove what does not count: superseded parts, and what killed writers left behind.

    A part that another one supersedes is removed only if that one is undamaged. Files that are
    none of the store's are left.
    """
    from bridgex.cli.progress import reporter
    from bridgex.cli.store_view import collection_answer
    from bridgex.store import Store, collect_garbage

    found = collect_garbage(
        Store.open(store), older_than=older_than, dry_run=dry_run, reporter=reporter()
    )
    emit(collection_answer(found), format_=format_, output=output)
