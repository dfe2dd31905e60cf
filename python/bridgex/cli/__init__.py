"""The command line: a translation layer over the library, one file per command."""

from bridgex.cli.main import main

__all__ = ["main"]
