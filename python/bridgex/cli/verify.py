"""``bridgex store verify``: read all of a store, and say what is damaged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bridgex.cli.options import StoreLocation, output_options
from bridgex.cli.output import emit

if TYPE_CHECKING:
    from pathlib import Path

    from bridgex.cli.output import Format

EXIT_REFUSED = 3


@click.command()
@click.argument("store", type=StoreLocation())
@output_options
def verify(store: str, format_: Format, output: Path | None) -> int:
    """Read all of a store: every marker, checksum, shape and number.

    Exits with 3 if something is damaged, missing or contradicts itself, and says for each path
    what to do. What is no damage is noted: records that no part holds, since an ingestion was
    interrupted; what writers that were killed left behind; files that are none of the store's.
    """
    from bridgex.cli.progress import reporter
    from bridgex.cli.store_view import verification_answer
    from bridgex.store import verify as verify_store

    found = verify_store(store, progress=reporter())
    emit(verification_answer(found), format_=format_, output=output)
    return EXIT_REFUSED if found.findings else 0
