"""Having parameters in memory for as long as they are needed, in one of three ways."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from ctypes import CDLL
from typing import TYPE_CHECKING

from bridgex.capture.pieces import in_pieces

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from bridgex.capture.costs import Loading
    from bridgex.capture.skeleton import Group, Skeleton

_LIBC = CDLL(None)
_MMAP_THRESHOLD = -3
_MMAP_BYTES = 1 << 17  # less than a matrix of a small expert


@contextmanager
def loaded(skeleton: Skeleton, group: Group) -> Iterator[None]:
    """Have the parameters of a group in memory."""
    try:
        skeleton.load(group)
        yield
    finally:
        skeleton.drop(group)
        _give_back()


@contextmanager
def loading_layers(
    skeleton: Skeleton, loading: Loading
) -> Iterator[Callable[[int], AbstractContextManager[None]]]:
    """Give what has a layer in memory while a context is open. Layers must come in order.

    ``ahead`` reads the next one meanwhile, ``whole`` only afterwards. With ``pieces`` the modules
    of a layer read what they need whenever they are called.
    """
    _let_go_at_once()
    if loading == "pieces":
        yield lambda layer: _in_pieces(skeleton, layer)
        return
    with closing(_Layers(skeleton, ahead=loading == "ahead")) as layers:
        yield layers.loaded


class _Layers:
    """Reads layers in the background, one after the other."""

    def __init__(self, skeleton: Skeleton, *, ahead: bool) -> None:
        self._skeleton = skeleton
        self._ahead = ahead
        self._background = ThreadPoolExecutor(1)
        self._coming = self._background.submit(skeleton.load, 0)

    @contextmanager
    def loaded(self, layer: int) -> Iterator[None]:
        """Wait for a layer, and drop it in the end."""
        self._coming.result()
        if self._ahead:
            self._read(layer + 1)
        yield
        self._skeleton.drop(layer)
        _give_back()
        if not self._ahead:
            self._read(layer + 1)

    def _read(self, layer: int) -> None:
        if layer < len(self._skeleton.layers):
            self._coming = self._background.submit(self._skeleton.load, layer)

    def close(self) -> None:
        """Wait for what is being read, and drop all of it."""
        self._background.shutdown()
        for layer in range(len(self._skeleton.layers)):
            self._skeleton.drop(layer)


@contextmanager
def _in_pieces(skeleton: Skeleton, layer: int) -> Iterator[None]:
    try:
        with in_pieces(skeleton, layer):
            yield
    finally:
        _give_back()


def _give_back() -> None:
    """Return freed memory to the system, where the allocator (glibc's) would keep it."""
    if hasattr(_LIBC, "malloc_trim"):
        _LIBC.malloc_trim(0)


def _let_go_at_once() -> None:
    """Have memory for tensors returned as it is freed; glibc raises the size for that itself."""
    if hasattr(_LIBC, "mallopt"):
        _LIBC.mallopt(_MMAP_THRESHOLD, _MMAP_BYTES)
