"""A captured model as the generator that evaluations ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridgex.capture import generate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bridgex.capture import CaptureModel
    from bridgex.progress import Progress


@dataclass(frozen=True)
class ModelGenerator:
    """Greedy generation by a model in this process."""

    model: CaptureModel

    @property
    def identity(self) -> str:
        """The fingerprint of the model and of how it is run."""
        return self.model.provenance.fingerprint

    def generate(
        self,
        prompts: Sequence[str],
        *,
        max_new_tokens: int,
        stop: str,
        is_complete: Callable[[str], bool] | None,
        progress: Progress,
    ) -> list[str]:
        """Return the continuation of every prompt, in order, without the prompt."""
        return generate(
            self.model,
            prompts,
            max_new_tokens=max_new_tokens,
            stop=stop,
            is_complete=is_complete,
            progress=progress,
        )
