"""What the decoder gives to each of its layers, recorded without running any.

Every layer is replaced by one that passes its input on. Layers can be run one at a time, each
over all batches, if and only if a layer's input is the output of the layer before it and nothing
else that a layer is given depends on it. The first is proven here: each layer must be given the
very memory that the one before it returned, unchanged.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from bridgex.errors import ModelSupportError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor, nn

_PLAIN = (bool, int, float, str, torch.dtype, torch.device, type(None))
_ALIKE = 4


class Call(NamedTuple):
    """How a layer is called: everything but its first argument, the hidden states."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    keyword: bool

    def run(self, layer: nn.Module, hidden: Tensor) -> Tensor:
        """Call a layer with hidden states (row, token, width), and return those after it."""
        if self.keyword:
            output = layer(*self.args, hidden_states=hidden, **self.kwargs)
        else:
            output = layer(hidden, *self.args, **self.kwargs)
        result: Tensor = output[0] if isinstance(output, tuple) else output
        return result


@dataclass
class Recorded:
    """A batch on its way through the layers.

    Attributes
    ----------
    hidden
        Hidden states (row, token, width): before the first layer, then after each.
    calls
        How each layer is called.
    outputs
        How many things the decoder expects a layer to return in a tuple; 0: the hidden states
        alone.
    """

    hidden: Tensor
    calls: list[Call]
    outputs: int


class Shared:
    """Keeps one of several equal tensors: batches of one length have their masks in common."""

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], list[Tensor]] = {}

    def tensor(self, given: Tensor) -> Tensor:
        """Return a tensor that was seen before and is equal, or the given one."""
        key = (given.shape, given.stride(), given.dtype)
        known = self._known.setdefault(key, [])
        for tensor in known:
            if tensor is given or torch.equal(tensor, given):
                return tensor
        known.append(given)
        del known[:-_ALIKE]
        return given


def record(layers: Sequence[nn.Module], run: Callable[[], Any], shared: Shared) -> Recorded:
    """Return what a forward pass gives to each layer.

    Parameters
    ----------
    layers
        The decoder's layers. Their parameters are not used.
    run
        Runs the decoder.
    shared
        Where equal arguments of several recordings are kept once.

    Raises
    ------
    ModelSupportError
        When a layer's input is not the output of the layer before it.
    """
    # Some decoders take a layer's output as it is, others the first of a tuple, or of a pair.
    for outputs in range(3):
        tape = _Tape(shared, outputs)
        with torch.no_grad(), _replaced(layers, tape.called):
            try:
                last = run().last_hidden_state
            except (_OtherInputError, IndexError, TypeError, ValueError):
                continue
        if tape.hidden is None or len(tape.calls) != len(layers):
            continue
        # Nothing else tells of a single layer that its first row was taken for a tuple's first.
        if last.shape[:-1] == tape.hidden.shape[:-1]:
            return Recorded(tape.hidden, tape.calls, outputs)
    raise ModelSupportError(
        f"each of {len(layers)} layers was expected to get what the layer before it returned; "
        f"layer {len(tape.calls)} gets something else",
        hint="This model's layers cannot be run one at a time: use --mode resident.",
    )


def finish(layers: Sequence[nn.Module], run: Callable[[], Any], recorded: Recorded) -> Any:
    """Run a decoder as if its layers had made the recorded hidden states; return its output."""

    def returned(number: int, *args: Any, **kwargs: Any) -> Any:
        given = args[0] if args else kwargs["hidden_states"]
        hidden = recorded.hidden if number == len(layers) - 1 else given
        return _returned(hidden, recorded.outputs)

    with torch.no_grad(), _replaced(layers, returned):
        return run()


def call_of_rows(call: Call, rows: slice, *, alike: Call) -> Call:
    """Return how a layer is called with some rows of a batch.

    Parameters
    ----------
    call
        How it is called with all of them.
    rows
        Which ones.
    alike
        How it is called with any batch of as many rows and as long ones. What has another shape
        there tells which axis is that of the rows, or of the rows times something.
    """
    args, kwargs = _of_rows([call.args, call.kwargs], [alike.args, alike.kwargs], rows)
    return Call(args, kwargs, call.keyword)


def _of_rows(value: Any, alike: Any, rows: slice) -> Any:
    if isinstance(value, torch.Tensor):
        for axis, (size, wanted) in enumerate(zip(value.shape, alike.shape, strict=True)):
            if size != wanted:
                each = wanted // (rows.stop - rows.start)
                return value.narrow(axis, rows.start * each, wanted)
        return value
    if isinstance(value, tuple | list):
        pairs = zip(value, alike, strict=True)
        return type(value)([_of_rows(item, other, rows) for item, other in pairs])
    if isinstance(value, dict):
        return {name: _of_rows(item, alike[name], rows) for name, item in value.items()}
    return value


def tensors_of(value: Any) -> Iterator[Tensor]:
    """Yield the tensors in nested sequences and dictionaries."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        yield from tensors_of(list(value.values()))
    elif isinstance(value, tuple | list):
        for item in value:
            yield from tensors_of(item)


class _OtherInputError(Exception):
    """A layer was given something else than the output of the layer before it."""


class _Tape:
    def __init__(self, shared: Shared, outputs: int) -> None:
        self.hidden: Tensor | None = None
        self.calls: list[Call] = []
        self._shared = shared
        self._outputs = outputs
        self._expected: tuple[Any, ...] = ()

    def called(self, number: int, *args: Any, **kwargs: Any) -> Any:
        """Take down a layer's call, and return its input."""
        keyword = not args
        given = kwargs.pop("hidden_states") if keyword else args[0]
        if not isinstance(given, torch.Tensor):
            raise _OtherInputError
        if self.hidden is None:
            # Another argument may be the same memory, and this copy will be overwritten.
            self.hidden = given.clone()
        elif _state(given) != self._expected:
            raise _OtherInputError
        if number != len(self.calls):
            raise _OtherInputError
        self._expected = _state(given)
        rest = args if keyword else args[1:]
        self.calls.append(
            Call(
                tuple(self._keep(value) for value in rest),
                {name: self._keep(value) for name, value in kwargs.items()},
                keyword,
            )
        )
        return _returned(given, self._outputs)

    def _keep(self, value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return self._shared.tensor(value)
        if isinstance(value, tuple | list):
            return type(value)([self._keep(item) for item in value])
        if isinstance(value, dict):
            return {name: self._keep(item) for name, item in value.items()}
        if isinstance(value, _PLAIN):
            return value
        raise ModelSupportError(
            f"tensors and plain values were expected as arguments of a layer, "
            f"{type(value).__name__} came",
            hint="This model's layers cannot be run one at a time: use --mode resident.",
        )


def _returned(hidden: Tensor, outputs: int) -> Any:
    """Return hidden states as a decoder expects them of a layer."""
    return (hidden, *[None] * (outputs - 1)) if outputs else hidden


def _state(tensor: Tensor) -> tuple[Any, ...]:
    """Return what changes when a tensor is another one, or is written to."""
    return (tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype, tensor._version)  # noqa: SLF001  (torch's own count of writes)


@contextmanager
def _replaced(layers: Sequence[nn.Module], called: Callable[..., Any]) -> Iterator[None]:
    """Let a function answer for the layers, which stay what they are in all else."""
    untyped: Any = layers
    try:
        for number, layer in enumerate(untyped):
            layer.forward = partial(called, number)
        yield
    finally:
        for layer in untyped:
            layer.__dict__.pop("forward", None)
