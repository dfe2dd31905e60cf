"""The command line's reference page, from the commands themselves.

``python -m bridgex.cli.reference`` writes ``docs/reference/cli.md`` to stdout.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bridgex.cli.main import cli

if TYPE_CHECKING:
    from collections.abc import Iterator

WIDTH = 96


def reference() -> str:
    """Return the help of every command as Markdown."""
    sections = [
        f"## {name}\n\n```text\n{_help(command, name)}\n```" for name, command in commands(cli)
    ]
    head = "# Command line\n\nMade by `make docs` from the commands' own help."
    return "\n\n".join([head, *sections]) + "\n"


def commands(group: click.Group, prefix: str = "bridgex") -> Iterator[tuple[str, click.Command]]:
    """Yield every command below a group with its full name, groups first."""
    yield prefix, group
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix} {name}")
        elif command is not None:
            yield f"{prefix} {name}", command


def _help(command: click.Command, name: str) -> str:
    context = click.Context(
        command, info_name=name, terminal_width=WIDTH, help_option_names=["-h", "--help"]
    )
    return command.get_help(context)


if __name__ == "__main__":
    click.echo(reference(), nl=False)
