"""A layer in pieces: the parameters of a module are there while it is called, and no longer.

The small ones of a layer, such as norms, are there as long as the layer is.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import nn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from torch.utils.hooks import RemovableHandle

    from bridgex.capture.skeleton import Skeleton

# Pieces of less than this share of the largest are read at once: many small reads would cost more.
_SMALL = 1 / 16


class Piece(NamedTuple):
    """Parameters of a layer that are read together.

    Attributes
    ----------
    path
        The module whose call needs them.
    names, keys
        The parameters, and the checkpoint's tensors that they are made of.
    """

    path: str
    names: tuple[str, ...]
    keys: tuple[str, ...]


class Split(NamedTuple):
    """What of a layer is there all the time, and what only while its module is called."""

    kept: Piece
    passing: tuple[Piece, ...]

    @property
    def moments(self) -> Iterator[tuple[Piece, ...]]:
        """Yield the pieces that are there together: those of a module and of what is around it."""
        yield (self.kept,)
        for piece in self.passing:
            around = (other for other in self.passing if _is_within(piece.path, other.path))
            yield (self.kept, *around)


def split_layer(skeleton: Skeleton, layer: int) -> Split:
    """Divide the parameters of a layer among the modules that have them.

    Modules whose parameters come from one tensor of the checkpoint are one piece, that of the
    module around them.
    """
    top = _path_of(skeleton, layer)
    keys = _keys_of_names(skeleton, layer)
    names = skeleton.names[layer]
    buffers = [name for name in names if not isinstance(skeleton.parameter(name), nn.Parameter)]
    owners = {name: name.rpartition(".")[0] for name in names if name not in buffers}
    claimed = {owners[name] for name in owners if name in keys or name in skeleton.tied}
    merged = {
        _around_claimed(owner, claimed, top) for owner in owners.values() if owner not in claimed
    }
    pieces: dict[str, list[str]] = {}
    for name, owner in owners.items():
        around = (path for path in sorted(merged, key=len) if _is_within(owner, path))
        pieces.setdefault(next(around, owner), []).append(name)
    made = [_make(path, own, keys, skeleton) for path, own in pieces.items()]
    sizes = {piece: sum(skeleton.parameter(name).nbytes for name in piece.names) for piece in made}
    least = _SMALL * max(sizes.values(), default=0)
    passing = tuple(piece for piece in made if sizes[piece] >= least and piece.path != top)
    kept = [name for piece in made if piece not in passing for name in piece.names]
    return Split(_make(top, [*kept, *buffers], keys, skeleton), passing)


@contextmanager
def in_pieces(skeleton: Skeleton, layer: int) -> Iterator[None]:
    """Have a layer whose modules read their parameters when they are called, and drop them after.

    Raises
    ------
    ModelSupportError
        When parameters are used without a call of their module.
    InvalidInputError
        When they cannot be read.
    """
    split = split_layer(skeleton, layer)
    handles: list[RemovableHandle] = []
    try:
        _read(skeleton, split.kept)
        for piece in split.passing:
            handles.extend(_hooked(skeleton, piece))
        yield
    finally:
        for handle in handles:
            handle.remove()
        skeleton.drop(layer)


def _hooked(skeleton: Skeleton, piece: Piece) -> Sequence[RemovableHandle]:
    module = skeleton.network.get_submodule(piece.path)

    def before(_module: nn.Module, _inputs: tuple[Any, ...]) -> None:
        if any(skeleton.parameter(name).is_meta for name in piece.names):
            _read(skeleton, piece)

    def after(_module: nn.Module, _inputs: tuple[Any, ...], _output: object) -> None:
        skeleton.empty(piece.names)

    return (
        module.register_forward_pre_hook(before, prepend=True),
        module.register_forward_hook(after, always_call=True),
    )


def _read(skeleton: Skeleton, piece: Piece) -> None:
    if piece.names:
        skeleton.fill(piece.path, piece.keys, piece.names)


def _path_of(skeleton: Skeleton, layer: int) -> str:
    wanted = skeleton.layers[layer]
    modules = skeleton.network.named_modules()
    found: str = next(name for name, module in modules if module is wanted)
    return found


def _keys_of_names(skeleton: Skeleton, layer: int) -> dict[str, list[str]]:
    """Return the checkpoint's tensors that every parameter of a layer is made of."""
    keys: dict[str, list[str]] = {}
    for key in skeleton.keys[layer]:
        keys.setdefault(skeleton.places[key], []).append(key)
    return keys


def _make(path: str, names: Iterable[str], keys: dict[str, list[str]], skeleton: Skeleton) -> Piece:
    given = tuple(names)
    found = [key for name in given for key in keys.get(skeleton.tied.get(name, name), ())]
    return Piece(path, given, tuple(found))


def _around_claimed(owner: str, claimed: set[str], top: str) -> str:
    """Return the nearest module around one, within which a tensor of the checkpoint has a place.

    Only there it can come from: several parameters may be made of one tensor.
    """
    path = owner
    while path != top and not any(_is_within(other, path) for other in claimed):
        path = path.rpartition(".")[0]
    return path


def _is_within(path: str, around: str) -> bool:
    return path == around or path.startswith(around + ".")
