"""Parameters that are not in memory: they have a shape, and refuse to be computed with.

A tensor on the meta device does not refuse everywhere: some products with one return whatever was
in memory.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from bridgex.errors import ModelSupportError

_KNOWN = {"device", "dtype", "grad_fn", "is_leaf", "is_meta", "nbytes", "ndim", "requires_grad"}
_KNOWN |= {"dim", "element_size", "is_floating_point", "numel", "shape", "size"}
_KNOWN |= {"__repr__", "detach"}


class Absent(nn.Parameter):
    """A parameter of which only shape and precision are there. Anything else is an error."""

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Answer what can be answered without a value."""
        del types
        name = func.__name__
        if name == "__get__":
            name = func.__self__.__name__
        if name not in _KNOWN:
            raise ModelSupportError(
                f"every parameter was expected to be used by its own module alone, or layer; "
                f"{name} was called with one that is not loaded",
                hint="Use --mode resident, or a --memory-limit under which whole layers fit.",
            )
        with torch._C.DisableTorchFunctionSubclass():  # noqa: SLF001  (as torch's own subclasses do)
            found = func(*args, **(kwargs or {}))
        return absent(found) if name == "detach" else found


def absent(parameter: torch.Tensor) -> Absent:
    """Return a parameter of the same shape and precision without its values."""
    with torch._C.DisableTorchFunctionSubclass():  # noqa: SLF001
        empty = torch.empty_like(parameter, device="meta")
        return torch.Tensor._make_subclass(Absent, empty, False)  # noqa: SLF001
