"""What an evaluation needs from a model, and what a task gives to an evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bridgex.progress import Progress
    from bridgex.schema import Pair


class Generator(Protocol):
    """A language model that continues prompts greedily."""

    @property
    def identity(self) -> str:
        """Say which model this is, in a form that is kept with the results."""

    def generate(
        self,
        prompts: Sequence[str],
        *,
        max_new_tokens: int,
        stop: str,
        is_complete: Callable[[str], bool] | None,
        progress: Progress,
    ) -> list[str]:
        """Return the continuation of every prompt, in order, without the prompt.

        Parameters
        ----------
        prompts
            Texts to continue. How they are batched is the generator's choice.
        max_new_tokens
            Longest continuation, in tokens.
        stop
            A continuation ends before this text.
        is_complete
            Says of a continuation that nothing after it will be read, so it may end there.
        progress
            Advanced by the number of prompts that are finished.
        """


class Task(Protocol):
    """Examples of one language pair, and the prompts that lead through them.

    A strategy without a bridge asks ``final_prompts`` with neither bridge nor answers. One with a
    bridge first asks ``hop_prompts``; the answers to these go into ``final_prompts``.
    """

    @property
    def name(self) -> str:
        """Name of the task on the command line."""

    @property
    def pair(self) -> Pair:
        """Source and target."""

    @property
    def max_new_tokens(self) -> int:
        """Longest answer, in tokens."""

    def example_ids(self) -> list[str]:
        """Name every example, each differently."""

    def golds(self) -> list[tuple[str, ...]]:
        """Return the accepted answers of every example."""

    def identical(self) -> list[bool]:
        """Say of every example whether its input is an accepted answer already."""

    def hop_prompts(self, bridge: str) -> list[str]:
        """Return the prompts that ask for the input in the bridge language."""

    def final_prompts(self, bridge: str | None, answers: Sequence[str] | None) -> list[str]:
        """Return the prompts whose continuations are scored."""
