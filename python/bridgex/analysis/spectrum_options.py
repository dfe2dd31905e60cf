"""Every choice that a spectrum's scores depend on."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal

from bridgex.analysis.rules import DEFAULT_PERCENT, OPTIONS, Selection, check_percent, set_size
from bridgex.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridgex.analysis.arrays import Bandwidth, Estimator, Normalize
    from bridgex.analysis.bridge_sets import BridgeSet

Preset = Literal["default", "paper"]

DEFAULT_BANDWIDTH = "neuron"
DEFAULT_TOLERANCE = 1e-3

_PRESETS: Mapping[Preset, Mapping[str, Any]] = {
    "default": {},
    "paper": {
        "scope": "model",
        "ties": "include",
        "bridge_set": "specific",
        "estimator": "reference",
        "normalize": "none",
        "bandwidth": "reference",
    },
}


@dataclass(frozen=True)
class SpectrumOptions:
    """The neurons that enter a spectrum, and how their dependence is measured.

    Options that are not given take their default, or None where they do not apply. One that is
    given and does not apply is refused.

    Attributes
    ----------
    selection
        The rule for the neurons of a language: see ``select_neurons``.
    bridge_set
        The rule for a candidate's neurons: see ``bridge_neurons``.
    bridge_percent
        Of the bridge set ``contrast``: its size in percent of a layer. By default that of the
        languages' sets, or 1 where their rule names none.
    estimator, normalize
        The dependence measure: see ``dependence``.
    bandwidth, tolerance
        Kernel width, by default ``neuron``, and largest error that the low-rank computation may
        make, on the scale of CKA, by default 0.001. Not of the estimator ``linear``, which has no
        kernel and is computed as it stands.

    Raises
    ------
    InvalidInputError
        When an option is given that does not apply.
    """

    selection: Selection = field(default_factory=Selection)
    bridge_set: BridgeSet = "contrast"
    bridge_percent: float | None = None
    estimator: Estimator = "unbiased"
    normalize: Normalize = "cka"
    bandwidth: Bandwidth | None = None
    tolerance: float | None = None

    def __post_init__(self) -> None:
        percent = self.selection.top_percent or DEFAULT_PERCENT
        sized, kernel = self.bridge_set == "contrast", self.estimator != "linear"
        self._resolve("bridge_percent", percent if sized else None, f"set {self.bridge_set!r}")
        for name, value in (("bandwidth", DEFAULT_BANDWIDTH), ("tolerance", DEFAULT_TOLERANCE)):
            self._resolve(name, value if kernel else None, f"estimator {self.estimator!r}")
        if self.bridge_percent is not None:
            check_percent(self.bridge_percent, "bridge percent")

    def _resolve(self, name: str, default: Any, owner: str) -> None:
        """Put the default in the place of what was not given; None is that of no such option."""
        if getattr(self, name) is None:
            object.__setattr__(self, name, default)
        elif default is None:
            raise InvalidInputError(
                f"{name.replace('_', ' ')} is no option of the {owner}", hint="Leave it out."
            )

    @classmethod
    def preset(cls, name: Preset, **given: Any) -> SpectrumOptions:
        """Return the options of a preset, some of them given otherwise.

        Parameters
        ----------
        name
            ``default``, or ``paper`` for the published scripts'.
        given
            Fields of this class but ``selection``, or of ``Selection``. What the preset says about
            options that do not apply any more is dropped.
        """
        chosen = {**_PRESETS[name], **given}
        lacking = _lacking(chosen) - set(given)
        chosen = {option: value for option, value in chosen.items() if option not in lacking}
        of_selection = {one.name for one in fields(Selection)} & set(chosen)
        rule = {option: chosen.pop(option) for option in of_selection}
        return cls(selection=Selection(**rule), **chosen)

    @property
    def kernel(self) -> dict[str, Any]:
        """Return what the array functions are told about the kernel; nothing without one."""
        if self.estimator == "linear":
            return {}
        return {"bandwidth": self.bandwidth, "tol": self.tolerance}

    def check_sizes(self, layer_sizes: tuple[int, ...]) -> None:
        """Refuse percentages that are no neuron of layers of these sizes."""
        self.selection.check_sizes(layer_sizes)
        if self.bridge_percent is not None:
            for size in layer_sizes:
                set_size(size, self.bridge_percent)


def _lacking(chosen: Mapping[str, Any]) -> set[str]:
    """Return the options that do not apply, whichever the others are."""
    own = OPTIONS.get(chosen.get("select", "probability"), {})
    lacking = {one.name for one in fields(Selection)} - {"select", *own}
    return lacking | ({"bandwidth", "tolerance"} if chosen.get("estimator") == "linear" else set())
