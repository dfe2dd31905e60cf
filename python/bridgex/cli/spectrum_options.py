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
    from bridgex.analysis.word_draws import Resampling

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

DRAWS = {"permutations": 199, "resamples": 400, "random_sets": 100}
"""The defaults of ``Resampling``, which is not to be imported for a line of help."""


def selection_options(function: F) -> F:
    """Add the rule for language neurons; it arrives as ``selection``."""

    @wraps(function)
    def collect(*args: Any, preset: Preset, **values: Any) -> Any:
        chosen = _options(preset, values).selection
        return function(*args, selection=chosen, **values)

    return combined(PRESET, *SELECTION)(collect)  # type: ignore[return-value]  # keywords are rewritten


def spectrum_options(**draws: int) -> Callable[[F], F]:
    """Add what scores depend on, as ``options``, and what is drawn beside them, as ``resampling``.

    ``draws`` are the defaults; of what is not named nothing is drawn. ``--seed`` is that of all
    draws, and the selection gets it only where it is random.
    """

    def add(function: F) -> F:
        @wraps(function)
        def collect(*args: Any, preset: Preset, **values: Any) -> Any:
            numbers = {name: values.pop(name) for name in draws}
            resampling = _resampling(numbers, values["seed"])
            if values["select"] != "random":
                values["seed"] = None
            options = _options(preset, values)
            return function(*args, options=options, resampling=resampling, **values)

        return combined(PRESET, *SELECTION, *DEPENDENCE, *drawn)(collect)  # type: ignore[return-value]  # as above

    drawn = [
        click.option(
            f"--{name.replace('_', '-')}",
            type=click.IntRange(min=0),
            default=default,
            show_default=True,
            help=RESAMPLING[name],
        )
        for name, default in draws.items()
    ]
    return add


def _resampling(numbers: dict[str, int], seed: int | None) -> Resampling:
    """Return what is drawn, nothing of what is not named; what makes no sense is wrong usage."""
    from bridgex.analysis.word_draws import Resampling

    try:
        return Resampling(**{**dict.fromkeys(RESAMPLING, 0), **numbers}, seed=seed or 0)
    except InvalidInputError as error:
        raise click.UsageError(str(error)) from error


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
