"""The options of every query that uses language neurons or their dependence."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bridgex.cli.options import BandwidthValue, combined

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridgex.analysis.spectra import SpectrumOptions

F = TypeVar("F", bound="Callable[..., Any]")

PRESET = click.option(
    "--preset",
    type=click.Choice(["default", "paper"]),
    default="default",
    show_default=True,
    help="paper follows the published scripts; other options still override it.",
)

SELECTION = (
    click.option(
        "--select",
        type=click.Choice(["probability", "contrast"]),
        help="Evidence for a language's neurons.  [default: probability]",
    ),
    click.option(
        "--scope",
        type=click.Choice(["layer", "model"]),
        help="Top neurons of every layer, or of the model.  [default: layer]",
    ),
    click.option(
        "--top-percent",
        type=click.FloatRange(0, 100, min_open=True, max_open=True),
        help="Size of a language's set.  [default: 1]",
    ),
)

DEPENDENCE = (
    click.option(
        "--bridge-set",
        type=click.Choice(["contrast", "specific", "all"]),
        help="Rule for a candidate's neurons.  [default: contrast]",
    ),
    click.option(
        "--estimator",
        type=click.Choice(["unbiased", "biased", "linear", "reference"]),
        help="Dependence measure.  [default: unbiased]",
    ),
    click.option(
        "--normalize",
        type=click.Choice(["cka", "none"]),
        help="Divide by the self terms, or not.  [default: cka]",
    ),
    click.option(
        "--bandwidth",
        type=BandwidthValue(),
        help="Kernel width: neuron, layer, reference or a number.  [default: neuron]",
    ),
    click.option(
        "--tolerance",
        type=click.FloatRange(0, min_open=True),
        help="Largest error of the computation, on the scale of CKA.  [default: 0.001]",
    ),
)


def selection_options(function: F) -> F:
    """Add the rule for language neurons; the values arrive as ``options``."""
    return _collected(function, combined(PRESET, *SELECTION))


def spectrum_options(function: F) -> F:
    """Add the rule for language neurons and the dependence measure, as ``options``."""
    return _collected(function, combined(PRESET, *SELECTION, *DEPENDENCE))


def _collected(function: F, options: Callable[[F], F]) -> F:
    @wraps(function)
    def collect(*args: Any, preset: str, **values: Any) -> Any:
        from bridgex.analysis.spectra import SpectrumOptions

        names = {field.name for field in fields(SpectrumOptions)} & set(values)
        given = {name: values.pop(name) for name in names}
        chosen = {name: value for name, value in given.items() if value is not None}
        base: SpectrumOptions = SpectrumOptions.preset(preset)  # type: ignore[arg-type]  # a choice
        return function(*args, options=replace(base, **chosen), **values)

    return options(collect)  # type: ignore[arg-type]  # keywords are rewritten
