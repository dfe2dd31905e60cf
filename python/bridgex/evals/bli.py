"""Word translation (bilingual lexicon induction), directly or through a word of a bridge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridgex.errors import InvalidInputError
from bridgex.prompts import bridge_prompt, probe_prompt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridgex.lexicon import Lexicon
    from bridgex.schema import Pair, WordPair


@dataclass(frozen=True)
class BliTask:
    """Translate the words of a lexicon.

    Attributes
    ----------
    pair
        Source and target.
    words
        Source words, each once, with their accepted translations.
    max_new_tokens
        Longest answer, in tokens; 30 as published.

    References
    ----------
    Xu et al., BridgeX-ICL, EMNLP 2025 (arXiv 2508.17078): the answer to
    ``{S}:"{w}"→{B}:`` goes into ``{S}:"{w}"→{B}:"{b}"→{T}:``.
    """

    pair: Pair
    words: tuple[WordPair, ...]
    max_new_tokens: int = 30
    name: str = "bli"

    @classmethod
    def from_lexicon(cls, lexicon: Lexicon, *, limit: int | None = None) -> BliTask:
        """Return the task over the first ``limit`` words of a lexicon, or over all."""
        if limit is not None and limit < 1:
            raise InvalidInputError(f"an evaluation needs at least 1 word, got a limit of {limit}")
        return cls(lexicon.pair, lexicon.words[:limit])

    def example_ids(self) -> list[str]:
        """Name every example by its source word."""
        return [word.source for word in self.words]

    def golds(self) -> list[tuple[str, ...]]:
        """Return the accepted translations of every word."""
        return [word.targets for word in self.words]

    def identical(self) -> list[bool]:
        """Say of every word whether copying it is right."""
        return [
            word.source.casefold() in {target.casefold() for target in word.targets}
            for word in self.words
        ]

    def hop_prompts(self, bridge: str) -> list[str]:
        """Return the prompts that ask for every word in the bridge language."""
        return [probe_prompt(self.pair.source, bridge, word.source) for word in self.words]

    def final_prompts(self, bridge: str | None, answers: Sequence[str] | None) -> list[str]:
        """Return the prompts that ask for every word in the target language."""
        source, target = self.pair
        if bridge is None or answers is None:
            return [probe_prompt(source, target, word.source) for word in self.words]
        return [
            bridge_prompt(source, bridge, target, word.source, answer)
            for word, answer in zip(self.words, answers, strict=True)
        ]
