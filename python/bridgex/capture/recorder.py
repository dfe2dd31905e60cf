"""Hooks that read neurons during a forward pass, and prove that they read everything."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from bridgex.errors import ModelSupportError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor, nn
    from torch.utils.hooks import RemovableHandle

    from bridgex.capture.sites import SiteModule

    Consume = Callable[[int, Tensor], None]


class Meter:
    """Checks that in every forward pass every site fires once, with every token."""

    def __init__(self, sites: Sequence[SiteModule]) -> None:
        self._sites = sites
        self._fired: list[int] = []
        self._tokens = 0

    @contextmanager
    def forward(self, tokens: int) -> Iterator[None]:
        """Surround one forward pass over a number of tokens.

        Raises
        ------
        ModelSupportError
            When a site was not read exactly once.
        """
        self._tokens = tokens
        self._fired = [0] * len(self._sites)
        yield
        wrong = [layer for layer, count in enumerate(self._fired) if count != 1]
        if wrong:
            raise ModelSupportError(
                f"every layer was expected to be read once per forward pass; "
                f"layer {wrong[0]} was read {self._fired[wrong[0]]} times "
                f"({len(wrong)} of {len(self._sites)} layers are wrong)",
                hint="The model's code does not call its own module; nothing was recorded.",
            )

    def check(self, layer: int, values: Tensor) -> Tensor:
        """Return values as (token, neuron), having counted them."""
        self._fired[layer] += 1
        width = self._sites[layer].width
        if values.shape[-1] != width or values.numel() != width * self._tokens:
            raise ModelSupportError(
                f"layer {layer} was expected to give {self._tokens} tokens of {width} neurons, "
                f"its values have shape {tuple(values.shape)}"
            )
        return values.reshape(self._tokens, width)


@contextmanager
def reading(sites: Sequence[SiteModule], consume: Consume) -> Iterator[Meter]:
    """Read every site while the context is open; the hooks are gone afterwards in any case.

    Parameters
    ----------
    sites
        The module of every layer.
    consume
        Called as ``consume(layer, values)`` with values (token, neuron) in the model's dtype. It
        must reduce them at once: the model may change the tensor later in place.
    """
    meter = Meter(sites)
    handles: list[RemovableHandle] = []
    try:
        for layer, site in enumerate(sites):
            handles.append(_attach(site, partial(_pass_on, meter, consume, layer)))
        yield meter
    finally:
        for handle in handles:
            handle.remove()


def _pass_on(meter: Meter, consume: Consume, layer: int, values: Tensor) -> None:
    consume(layer, meter.check(layer, values))


def _attach(site: SiteModule, read: Callable[[Tensor], None]) -> RemovableHandle:
    def after(_module: nn.Module, _inputs: tuple[Any, ...], output: Tensor) -> None:
        read(output)

    def before(_module: nn.Module, inputs: tuple[Any, ...]) -> None:
        read(inputs[0])

    if site.site == "act":
        return site.module.register_forward_hook(after)
    return site.module.register_forward_pre_hook(before)
