"""Entry point: commands by name, loaded when they are called, and errors as messages."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

import click

from bridgex.cli.exits import EXIT_ERROR, EXIT_INTERRUPTED, EXIT_UNREAD, NobodyReadsError
from bridgex.errors import BridgexError

if TYPE_CHECKING:
    from collections.abc import Sequence


class LazyGroup(click.Group):
    """A group whose commands are imported only when one of them runs.

    Parameters
    ----------
    lazy
        Module that defines the command, and its one-line help, by command name. The command is
        the attribute ``command`` of the module.
    """

    def __init__(self, *args: object, lazy: dict[str, tuple[str, str]], **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # click's own signature
        self.lazy = lazy

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Return the names in the order in which a user meets them."""
        return list(self.lazy)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        """Import a command."""
        if name not in self.lazy:
            return None
        command: click.Command = import_module(self.lazy[name][0]).command
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self.lazy.items()])


@click.command(
    cls=LazyGroup,
    lazy={
        "demo": ("bridgex.cli.demo", "The whole pipeline on bundled words and a small real model."),
        "run": ("bridgex.cli.run", "The whole pipeline on your model and files."),
        "plan": ("bridgex.cli.plan", "What a capture will need of memory and disk."),
        "ingest": ("bridgex.cli.ingest", "Capture a model's activations into a store."),
        "query": ("bridgex.cli.query", "Ask a store for overlaps, neurons, spectra and bridges."),
        "eval": ("bridgex.cli.evaluate", "Measure a task zero-shot and through bridges."),
        "store": ("bridgex.cli.store", "Look after a store."),
        "doctor": (
            "bridgex.cli.doctor",
            "Whether installation, machine and model are fit for capture.",
        ),
    },
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="bridgex")
def cli() -> None:
    """Find the best bridge language inside a multilingual language model, and prove it."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit.

    0 done, 1 understood error, 2 usage, 3 a check said no, 130 interrupted, 141 nobody reads on.
    """
    # Beside other work on the machine, torch's threads otherwise spin at every barrier until the
    # last one gets a processor, many times longer than the work takes.
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")
    # Memory for large tensors in large pages: fresh memory is several times faster to write to.
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    try:
        code = cli.main(args=arguments, prog_name="bridgex", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
    except BridgexError as error:
        _explain(error)
        sys.exit(EXIT_ERROR)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted: give the same command again to go on", err=True)
        sys.exit(EXIT_INTERRUPTED)
    except NobodyReadsError:
        _close_stdout()
        sys.exit(EXIT_UNREAD)
    except OSError as error:
        _close_stdout()
        click.echo(f"error: {error.strerror or error}: {error.filename or 'the output'}", err=True)
        sys.exit(EXIT_ERROR)
    sys.exit(code or 0)


def _close_stdout() -> None:
    """Keep what could not be written from being tried again at exit."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _explain(error: BridgexError) -> None:
    click.echo(f"error: {error.message}", err=True)
    if error.hint:
        click.echo(f"  {error.hint}", err=True)
