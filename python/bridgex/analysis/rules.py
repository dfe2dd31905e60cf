"""The rule by which the neurons of a language are chosen, with the options that it has."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from bridgex.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

Select = Literal["probability", "contrast", "lape", "threshold", "random"]
Scope = Literal["layer", "model"]
Ties = Literal["break", "include"]

DEFAULT_PERCENT = 1.0

_TOP: Mapping[str, Any] = {"scope": "layer", "top_percent": DEFAULT_PERCENT, "ties": "break"}

OPTIONS: Mapping[Select, Mapping[str, Any]] = {
    "probability": _TOP,
    "contrast": _TOP,
    "lape": {"scope": "layer", "top_percent": DEFAULT_PERCENT, "quantile": 0.95},
    "threshold": {"threshold": None},
    "random": {**_TOP, "seed": 0},
}
"""What each selection can be told, and what it does when it is told nothing."""


@dataclass(frozen=True)
class Selection:
    """A rule for the neurons of a language. ``select_neurons`` says what each one means.

    Options that are not given take the selection's default, and those that it does not have are
    None. One that is given to a selection without it is refused.

    Attributes
    ----------
    select
        ``probability``, ``contrast``, ``lape``, ``threshold`` or ``random``.
    scope
        ``layer``: the same percentage in every layer (default). ``model``: over all layers
        together, as published. Not of ``threshold``, which is the same either way.
    top_percent
        Size of a set in percent of the neurons of a layer, or of the model; rounded to neurons.
        Of ``lape`` the neurons that are shared out among the languages. Default 1, as published.
    ties
        ``break``: exactly that many; equal evidence is ordered by larger mean activation, then by
        lower index (default). ``include``: everything equal to the last one as well, as the
        published scripts do, which enlarges the sets where probabilities saturate.
    quantile
        Of ``lape``: the share of all activation probabilities that a probability has to exceed.
        Default 0.95, as published.
    threshold
        Of ``threshold``: the least activation probability. It has no default.
    seed
        Of ``random``: which sets are drawn. Default 0.

    Raises
    ------
    InvalidInputError
        When an option does not belong to the selection, is missing, or is out of range.
    """

    select: Select = "probability"
    scope: Scope | None = None
    top_percent: float | None = None
    ties: Ties | None = None
    quantile: float | None = None
    threshold: float | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        own = OPTIONS.get(self.select)
        if own is None:
            raise InvalidInputError(
                f"expected a selection out of {', '.join(OPTIONS)}, got {self.select!r}"
            )
        for name, value in asdict(self).items():
            if name == "select":
                continue
            if value is None:
                object.__setattr__(self, name, own.get(name))
            elif name not in own:
                raise _foreign(name, self.select)
        self._check_ranges()

    def _check_ranges(self) -> None:
        if self.select == "threshold" and self.threshold is None:
            raise InvalidInputError(
                "the selection 'threshold' needs one: the least activation probability",
                hint="Give a number above 0, up to 1.",
            )
        if self.top_percent is not None:
            check_percent(self.top_percent, "top percent")
        if self.quantile is not None and not 0.0 < self.quantile < 1.0:
            raise InvalidInputError(f"quantile must lie between 0 and 1, got {self.quantile:g}")
        if self.threshold is not None and not 0.0 < self.threshold <= 1.0:
            raise InvalidInputError(
                f"threshold must be above 0 and at most 1, got {self.threshold:g}"
            )
        if self.seed is not None and self.seed < 0:
            raise InvalidInputError(f"seed must not be negative, got {self.seed}")

    def size(self, neuron_count: int) -> int:
        """Return the top percent of so many neurons, rounded; refuse none of some."""
        assert self.top_percent is not None
        return set_size(neuron_count, self.top_percent)

    def spans(self, layer_offsets: NDArray[np.int64]) -> list[slice]:
        """Return the places on the flat neuron axis that are chosen from one by one.

        Layers without a neuron have none.
        """
        if self.scope == "model":
            return [slice(0, int(layer_offsets[-1]))]
        layers = (layer_slice(layer_offsets, layer) for layer in range(layer_offsets.size - 1))
        return [layer for layer in layers if layer.stop > layer.start]

    def check_sizes(self, layer_sizes: Sequence[int]) -> None:
        """Refuse a top percent that is no neuron of layers of these sizes, or of all together."""
        if self.top_percent is None:
            return
        for count in layer_sizes if self.scope == "layer" else [sum(layer_sizes)]:
            self.size(count)


def layer_slice(layer_offsets: NDArray[np.int64], layer: int) -> slice:
    """Return the place of a layer on the flat neuron axis."""
    return slice(int(layer_offsets[layer]), int(layer_offsets[layer + 1]))


def check_layers(layers: Sequence[int] | None, layer_count: int) -> tuple[int, ...]:
    """Return the layers that are asked for, all by default; refuse those that are not there."""
    if layers is None:
        return tuple(range(layer_count))
    outside = [layer for layer in layers if not 0 <= layer < layer_count]
    if outside:
        raise InvalidInputError(
            f"the model has layers 0 to {layer_count - 1}, and {outside[0]} was asked for",
            hint=f"Ask for layers within 0-{layer_count - 1}.",
        )
    if not layers:
        raise InvalidInputError("no layer was asked for")
    return tuple(layers)


def check_percent(percent: float, name: str) -> None:
    """Refuse what is no part of a whole, or all of it."""
    if not 0.0 < percent < 100.0:  # noqa: PLR2004 - percent
        raise InvalidInputError(f"{name} must lie between 0 and 100, got {percent:g}")


def set_size(neuron_count: int, top_percent: float) -> int:
    """Return the number of neurons in the top percent of so many, rounded; refuse none of some."""
    k = round(neuron_count * top_percent / 100.0)
    if k == 0 and neuron_count:
        raise InvalidInputError(
            f"the top {top_percent:g} % of {neuron_count} neurons is no neuron",
            hint=f"Ask for at least {100.0 / neuron_count:.3g} percent.",
        )
    return k


def _foreign(name: str, select: Select) -> InvalidInputError:
    homes = [other for other, own in OPTIONS.items() if name in own]
    spoken = name.replace("_", " ")
    return InvalidInputError(
        f"{spoken} is no option of the selection {select!r}",
        hint=f"Leave it out, or select by {' or '.join(homes)}.",
    )
