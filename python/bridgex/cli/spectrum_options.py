"""The options of every query that uses language neurons or their dependence."""

from __future__ import annotations

from dataclasses import fields
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bridgex.cli.options import BandwidthValue, combined
from bridgex.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridgex.analysis.spectrum_options import Preset, SpectrumOptions

F = TypeVar("F", bound="Callable[..., Any]")

PRESET = click.option(
    "--preset",
    type=click.Choice(["default", "paper"]),
    default="default",
    show_default=True,
    help="paper follows the published scripts; other options still override it.",
)

PERCENT = click.FloatRange(0, 100, min_open=True, max_open=True)

SELECTION = (
    click.option(
        "--select",
        type=click.Choice(["probability", "contrast", "lape", "threshold", "random"]),
        help="Rule for a language's neurons.  [default: probability]",
    ),
    click.option(
        "--scope",
        type=click.Choice(["layer", "model"]),
        help="Choose in every layer, or over the model.  [default: layer]",
    ),
    click.option("--top-percent", type=PERCENT, help="Size of a language's set.  [default: 1]"),
    click.option(
        "--quantile",
        type=click.FloatRange(0, 1, min_open=True, max_open=True),
        help="lape: share of all activation probabilities to exceed.  [default: 0.95]",
    ),
    click.option(
        "--threshold",
        type=click.FloatRange(0, 1, min_open=True),
        help="threshold: the least activation probability.",
    ),
    click.option(
        "--seed", type=click.IntRange(min=0), help="Of all that is drawn at random.  [default: 0]"
    ),
)

DEPENDENCE = (
    click.option(
        "--bridge-set",
        type=click.Choice(["contrast", "specific", "all"]),
        help="Rule for a candidate's neurons.  [default: contrast]",
    ),
    click.option(
        "--bridge-percent",
        type=PERCENT,
        help="Size of the contrast set in every layer.  [default: as --top-percent, or 1]",
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

RESAMPLING = {
    "permutations": "Permutations of the words, for z and p; 0: none.",
    "resamples": "Random halves of the words, for intervals and who may be best; 0: none.",
    "random_sets": "Random sets of neurons beside every candidate's; 0: none.",
}


def selection_options(function: F) -> F:
    """Add the rule for language neurons; it arrives as ``selection``."""

    @wraps(function)
    def collect(*args: Any, preset: Preset, **values: Any) -> Any:
        chosen = _options(preset, values).selection
        return function(*args, selection=chosen, **values)

    return combined(PRESET, *SELECTION)(collect)  # type: ignore[return-value]  # keywords are rewritten


def spectrum_options(function: F) -> F:
    """Add the rule for language neurons and the dependence measure, as ``options``."""

    @wraps(function)
    def collect(*args: Any, preset: Preset, **values: Any) -> Any:
        chosen = _options(preset, values)
        return function(*args, options=chosen, **values)

    return combined(PRESET, *SELECTION, *DEPENDENCE)(collect)  # type: ignore[return-value]  # as above


def resampling_options(**defaults: int) -> Callable[[F], F]:
    """Add what is drawn to say how far scores can be trusted; it arrives as ``resampling``.

    Of what has no default here nothing is drawn. To be put above ``spectrum_options``: a random
    selection has the same seed, no other has one.
    """

    def add(function: F) -> F:
        @wraps(function)
        def collect(*args: Any, **values: Any) -> Any:
            from bridgex.analysis.word_draws import Resampling

            numbers = {name: values.pop(name) if name in defaults else 0 for name in RESAMPLING}
            seed = values["seed"]
            if values["select"] != "random":
                values["seed"] = None
            try:
                chosen = Resampling(**numbers, seed=seed or 0)
            except InvalidInputError as error:
                raise click.UsageError(str(error)) from error
            return function(*args, resampling=chosen, **values)

        return options(collect)  # type: ignore[return-value]  # as above

    options = combined(
        *(
            click.option(
                f"--{name.replace('_', '-')}",
                type=int,
                default=default,
                show_default=True,
                help=RESAMPLING[name],
            )
            for name, default in defaults.items()
        )
    )
    return add


def _options(preset: Preset, values: dict[str, Any]) -> SpectrumOptions:
    """Take the options out of a command's values; what does not go together is wrong usage."""
    from bridgex.analysis.rules import Selection
    from bridgex.analysis.spectrum_options import SpectrumOptions

    names = {field.name for field in (*fields(SpectrumOptions), *fields(Selection))} & set(values)
    given = {name: values.pop(name) for name in names}
    chosen = {name: value for name, value in given.items() if value is not None}
    try:
        return SpectrumOptions.preset(preset, **chosen)
    except InvalidInputError as error:
        raise click.UsageError(str(error)) from error
