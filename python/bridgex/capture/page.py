"""The page of models that can be captured, from the table of families.

``python -m bridgex.capture.page`` writes ``docs/models.md`` to stdout.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from bridgex.capture.families import FAMILIES, REFUSED, RESIDENT, UNDIVIDED, WRAPPERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bridgex.capture.families import Block, Family

_HEAD = """\
# Models

Made by `make docs` from the table in `python/bridgex/capture/families.py`.

bridgex reads decoder-only language models of transformers whose architecture (`model_type` of the
configuration) is one of these. The names are examples: a fine-tuned or larger model of the same
architecture is read in the same way. Every family is tested on a small random model: statistics
and probes of both sites are those of a plain loop over the model's own weights, the gold filter
sees the choices of the whole model, and a model read layer by layer gives the bits of the model in
memory (what cannot be read so is named below). Any other architecture is refused; nothing is
guessed from names.

`bridgex doctor MODEL` tries all of it out on a small copy of any configuration.
"""
_DENSE = """\
## Dense

Paths within a layer: site `act` is the output of the first module, `post` the input of the second.
"""
_EXPERTS = """\
## Mixtures of experts

Neurons are those of every routed expert, then those of the shared one, which every token passes. A
routed expert's neurons are counted over the tokens that are routed to it. Layers without experts
are dense.
"""
_WRAPPERS = """\
## Models for pictures or sound too

Of these the language tower is read, if its architecture is one of those above. Parameters of the
other towers are neither read nor counted, and the numbers are those of the same language model
alone: tests compare them bit for bit.
"""
_SWEEPS = """\
## Larger than memory

All of these can be [read layer by layer](large-models.md) but {resident}, whose layers take keys
from earlier ones. Mixers of {undivided} use parameters of modules that they do not call: where a
whole layer does not fit and these parameters are not small beside it, loading it part by part is
refused.
"""
_REFUSED = """\
## Refused

Among others:
"""


def models_page() -> str:
    """Return what can be captured, as Markdown."""
    dense = {name: family for name, family in FAMILIES.items() if family.experts is None}
    routed = {name: family for name, family in FAMILIES.items() if family.experts is not None}
    parts = [
        _HEAD,
        _DENSE,
        _table(("architecture", "example", "act", "post"), _dense_rows(dense)),
        _EXPERTS,
        _table(("architecture", "example", "experts", "shared", "dense"), _routed_rows(routed)),
        _WRAPPERS,
        _table(("model", "example"), ((_code(name), one) for name, one in WRAPPERS.items())),
        _SWEEPS.format(resident=_listed(RESIDENT), undivided=_listed(UNDIVIDED)),
        _REFUSED,
        _table(("architecture", "because"), ((_code(name), why) for name, why in REFUSED.items())),
    ]
    return "\n".join(parts)


def _dense_rows(families: dict[str, Family]) -> Iterable[Sequence[str]]:
    for name, family in families.items():
        assert family.block is not None
        yield _code(name), family.example, *map(_code, family.block)


def _routed_rows(families: dict[str, Family]) -> Iterable[Sequence[str]]:
    for name, family in families.items():
        blocks = (_parent(family.shared), _parent(family.block))
        yield _code(name), family.example, _code(family.experts or ""), *blocks


def _parent(block: Block | None) -> str:
    return "" if block is None else _code(block.activation.rpartition(".")[0])


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(_code, sorted(names)))


def _code(text: str) -> str:
    return f"`{text}`"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    sys.stdout.write(models_page())
