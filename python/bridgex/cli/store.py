"""``bridgex store``: look after a store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bridgex.cli.export import export
from bridgex.cli.garbage import gc
from bridgex.cli.imports import import_
from bridgex.cli.options import StoreLocation, output_options
from bridgex.cli.output import emit
from bridgex.cli.upkeep import compact, merge
from bridgex.cli.verify import verify

if TYPE_CHECKING:
    from pathlib import Path

    from bridgex.cli.output import Format


@click.group()
def command() -> None:
    """Look after a store."""


@command.command()
@click.argument("store", type=StoreLocation())
@output_options
def info(store: str, format_: Format, output: Path | None) -> None:
    """What is in a store: model, languages, pairs, parts and bytes."""
    from bridgex.cli.store_view import info_answer
    from bridgex.store import Store

    emit(info_answer(Store.open(store).info()), format_=format_, output=output)


command.add_command(compact)
command.add_command(export)
command.add_command(import_)
command.add_command(merge)
command.add_command(verify)
command.add_command(gc)
