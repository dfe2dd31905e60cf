"""Choices that change the numbers: what counts, and how text is laid out in forward passes."""

from __future__ import annotations

from typing import Literal, get_args

from bridgex.errors import InvalidInputError
from bridgex.schema import Site

Special = Literal["exclude", "include"]
Positions = Literal["prompt", "last", "all"]
Packing = Literal["buckets", "concat"]
Dtype = Literal["auto", "float32", "bfloat16", "float16"]
Mode = Literal["auto", "resident", "sweep"]

BATCH_TOKENS = 2048
"""Tokens of a forward pass, unless chosen otherwise."""

BLOCK_TOKENS = 2048
"""Tokens of a block of ``packing="concat"``, unless chosen otherwise: as published."""


def check_choices(
    *, site: str, special: str, positions: str, packing: str, dtype: str, mode: str
) -> None:
    """Refuse a choice that does not exist, with those that do."""
    for name, value, allowed in (
        ("site", site, get_args(Site)),
        ("special", special, get_args(Special)),
        ("positions", positions, get_args(Positions)),
        ("packing", packing, get_args(Packing)),
        ("dtype", dtype, get_args(Dtype)),
        ("mode", mode, get_args(Mode)),
    ):
        if value not in allowed:
            raise InvalidInputError(
                f"{name} was expected to be one of {', '.join(allowed)}, {value!r} came"
            )


def check_positive(**values: int | None) -> None:
    """Refuse numbers below 1."""
    for name, value in values.items():
        if value is not None and value < 1:
            raise InvalidInputError(f"{name} was expected to be at least 1, {value} came")


def longest_row(
    context: int | None, *, packing: Packing, batch_tokens: int, max_tokens: int | None
) -> int:
    """Return the tokens of a window of a long record, or of a block under ``concat``.

    Parameters
    ----------
    context
        Longest input of the model, None where it has no limit.
    packing, batch_tokens, max_tokens
        The choices. By default a window is as long as a forward pass may be and a block 2,048
        tokens, both at most the context.
    """
    if context is not None and max_tokens is not None and max_tokens > context:
        raise InvalidInputError(
            f"max_tokens was expected to be at most the model's context of {context}, "
            f"{max_tokens} came"
        )
    wanted = max_tokens or (BLOCK_TOKENS if packing == "concat" else batch_tokens)
    return wanted if context is None else min(wanted, context)
