"""The exception tree. Every error says what was expected, what came, and what to do.

Each class also derives from the built-in exception that a caller would expect, and carries a
stable ``kind``: the word that the command line, the documentation and the Rust core use for it.
"""

from __future__ import annotations

from typing import ClassVar


class BridgexError(Exception):
    """An error that bridgex understood.

    Parameters
    ----------
    message
        What was expected and what came, with the offending values.
    hint
        What to do about it, as an imperative sentence.
    """

    kind: ClassVar[str] = "error"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\n{self.hint}"


class InvalidInputError(BridgexError, ValueError):
    """A value, array or file does not have the form or range that the operation needs."""

    kind = "invalid_input"


class NotFoundError(BridgexError, KeyError):
    """Something named does not exist: a file, a language, a pair, a layer."""

    kind = "not_found"

    # KeyError prints the repr of its argument.
    __str__ = BridgexError.__str__


class StoreError(BridgexError, OSError):
    """A store cannot be read or written, or holds something that contradicts itself."""

    kind = "store"

    __str__ = BridgexError.__str__


class ProvenanceError(StoreError):
    """What is to be added was made by another model, tokenizer, site or policy than the store."""

    kind = "provenance"


class ModelSupportError(BridgexError, NotImplementedError):
    """A model cannot be captured exactly."""

    kind = "model_support"


class MissingDependencyError(BridgexError, ImportError):
    """An optional package is not installed."""

    kind = "missing_dependency"

    __str__ = BridgexError.__str__
