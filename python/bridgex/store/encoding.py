"""How the arrays of a part are compressed, and how activations are rounded before."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import Literal, get_args

from bridgex.errors import InvalidInputError, MissingDependencyError

Codec = Literal["none", "zstd", "blosc", "pcodec"]

CODECS: tuple[Codec, ...] = get_args(Codec)

MANTISSA_BITS = 23
"""Of float32."""

_LEVELS: dict[Codec, tuple[int, int, int]] = {
    "zstd": (1, 3, 22),
    "blosc": (1, 5, 9),
    "pcodec": (1, 8, 12),
}
"""The fastest level, the default, and the one that compresses most."""


@dataclass(frozen=True)
class Encoding:
    """How the arrays of a part are stored.

    Attributes
    ----------
    codec
        ``none``: raw chunks that can be memory-mapped.
    level
        Effort of the codec; none for ``none``.
    keep_bits
        Mantissa bits that all activations were rounded to; none if some are exact.
    fewest_bits
        Fewest that any of them was rounded to, where others are exact or have more.
    """

    codec: Codec = "none"
    level: int | None = None
    keep_bits: int | None = None
    fewest_bits: int | None = None

    def describe(self) -> str:
        """Say how arrays are stored, as in a table."""
        if self.fewest_bits is not None:
            return f"{self.codec}, some of {self.fewest_bits} bits"
        return self.codec if self.keep_bits is None else f"{self.codec} of {self.keep_bits} bits"

    @property
    def most(self) -> int:
        """Mantissa bits of the activations that have most."""
        return MANTISSA_BITS if self.keep_bits is None else self.keep_bits

    @property
    def fewest(self) -> int:
        """Mantissa bits of the activations that have fewest."""
        return self.most if self.fewest_bits is None else self.fewest_bits

    def to_json(self) -> dict[str, str | int | None]:
        """Return what a marker says of it."""
        value = asdict(self)
        if self.fewest_bits is None:
            del value["fewest_bits"]
        return value


PLAIN = Encoding()


def chosen_encoding(codec: Codec, level: int | None, keep_bits: int | None) -> Encoding:
    """Check a choice of codec, and fill in the level that is best in most cases.

    Raises
    ------
    InvalidInputError
        If there is no such codec or level, or rounding would make nothing smaller.
    MissingDependencyError
        If the codec's package is not installed.
    """
    if codec not in CODECS:
        raise InvalidInputError(f"expected one of the codecs {', '.join(CODECS)}, got {codec!r}")
    _check_bits(keep_bits, codec)
    require(codec)
    return Encoding(codec, _checked_level(codec, level), keep_bits)


def _check_bits(keep_bits: int | None, codec: Codec) -> None:
    if keep_bits is None:
        return
    if not 1 <= keep_bits <= MANTISSA_BITS:
        raise InvalidInputError(
            f"expected 1 to {MANTISSA_BITS} mantissa bits to keep, got {keep_bits}"
        )
    if codec == "none":
        raise InvalidInputError(
            f"rounding to {keep_bits} bits makes nothing smaller without a codec",
            hint="Choose a codec as well, for example --codec zstd.",
        )


def _checked_level(codec: Codec, level: int | None) -> int | None:
    if codec == "none":
        if level is not None:
            raise InvalidInputError(f"without a codec there is no level, got {level}")
        return None
    fastest, default, smallest = _LEVELS[codec]
    if level is None:
        return default
    if not fastest <= level <= smallest:
        raise InvalidInputError(
            f"expected a level of {codec} from {fastest} to {smallest}, got {level}"
        )
    return level


def require(codec: str) -> None:
    """Refuse a codec whose package is not installed.

    Raises
    ------
    MissingDependencyError
        If it is not.
    """
    if codec == "pcodec" and find_spec("pcodec") is None:
        raise MissingDependencyError(
            "the codec pcodec needs a package that is not installed",
            hint="Install it: pip install 'bridgex[pcodec]'.",
        )
