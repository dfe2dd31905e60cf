"""Hooks that read neurons during a forward pass, and prove that they read everything."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from bridgex.capture.experts import reading_experts
from bridgex.errors import ModelSupportError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from torch import Tensor, nn

    from bridgex.capture.experts import Computed, Routing
    from bridgex.capture.sites import SiteModule

    Consume = Callable[[int, Tensor, Routing | None], None]
    Read = Callable[[Tensor, Routing | None], None]


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
        wrong = [number for number, count in enumerate(self._fired) if count != 1]
        if wrong:
            raise ModelSupportError(
                f"every layer was expected to be read once per forward pass; "
                f"layer {self._sites[wrong[0]].layer} was read {self._fired[wrong[0]]} times "
                f"({len(wrong)} of {len(self._sites)} sites are wrong)",
                hint="The model's code does not call its own module; nothing was recorded.",
            )

    def check(self, number: int, values: Tensor, routing: Routing | None) -> Tensor:
        """Return the values of a site as (token, neuron), having counted them.

        Those of routed experts are (row, neuron of an expert).
        """
        self._fired[number] += 1
        site = self._sites[number]
        if routing is not None:
            self._check_routed(site, values, routing)
            return values
        if values.shape[-1] != site.width or values.numel() != site.width * self._tokens:
            raise ModelSupportError(
                f"layer {site.layer} was expected to give {self._tokens} tokens of {site.width} "
                f"neurons, its values have shape {tuple(values.shape)}"
            )
        return values.reshape(self._tokens, site.width)

    def _check_routed(self, site: SiteModule, values: Tensor, routing: Routing) -> None:
        experts = site.experts
        assert experts is not None
        found = (routing.token_count, len(routing.counts), *values.shape)
        if found != (self._tokens, experts.expert_count, len(routing.tokens), experts.width):
            raise ModelSupportError(
                f"layer {site.layer} was expected to route {self._tokens} tokens to "
                f"{experts.expert_count} experts of {experts.width} neurons; it routed "
                f"{routing.token_count} tokens to {len(routing.counts)} experts, and the values "
                f"have shape {tuple(values.shape)}"
            )


@contextmanager
def reading(sites: Sequence[SiteModule], consume: Consume) -> Iterator[Meter]:
    """Read every site while the context is open; the hooks are gone afterwards in any case.

    Parameters
    ----------
    sites
        The modules of all layers.
    consume
        Called as ``consume(number, values, routing)`` with the number of the site, values
        (token, neuron) in the model's dtype, and None; of routed experts with values
        (row, neuron of an expert), and what the rows are. It must reduce them at once: the model
        may change the tensor later in place.
    """
    meter = Meter(sites)
    with ExitStack() as stack:
        for number, site in enumerate(sites):
            stack.enter_context(_attached(site, partial(_pass_on, meter, consume, number)))
        yield meter


def _pass_on(
    meter: Meter, consume: Consume, number: int, values: Tensor, routing: Routing | None
) -> None:
    consume(number, meter.check(number, values, routing), routing)


def _attached(site: SiteModule, read: Read) -> AbstractContextManager[None]:
    if site.experts is not None:
        return reading_experts(site.module, partial(_routed, site, read))
    return _hooked(site, read)


def _routed(site: SiteModule, read: Read, routing: Routing, computed: Computed) -> None:
    values = computed.neurons if site.site == "post" else computed.activations
    if values is None:
        assert site.activation is not None
        values = site.activation(site.module, computed.projected)
    read(values, routing)


@contextmanager
def _hooked(site: SiteModule, read: Read) -> Iterator[None]:
    def after(_module: nn.Module, _inputs: tuple[Any, ...], output: Tensor) -> None:
        read(output, None)

    def before(_module: nn.Module, inputs: tuple[Any, ...]) -> None:
        read(inputs[0], None)

    if site.site == "act":
        handle = site.module.register_forward_hook(after)
    else:
        handle = site.module.register_forward_pre_hook(before)
    try:
        yield
    finally:
        handle.remove()
