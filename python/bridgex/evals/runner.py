"""Runs strategies over the examples of a task."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bridgex.errors import InvalidInputError
from bridgex.evals.results import Prediction, Results, hash_prompts
from bridgex.evals.scoring import Scoring, find_scoring
from bridgex.progress import Silent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridgex.evals.protocols import Generator, Task
    from bridgex.evals.strategies import Strategy
    from bridgex.progress import Progress, Reporter

_STOP = "\n"


def run(
    task: Task,
    strategies: Sequence[Strategy],
    generator: Generator,
    *,
    scoring: str = "quoted",
    reporter: Reporter | None = None,
) -> Results:
    """Let a model answer every example by every strategy.

    Parameters
    ----------
    task
        Examples of one language pair.
    strategies
        Ways to prompt, each once.
    generator
        The model.
    scoring
        Name of the rule that reads and compares answers, see ``find_scoring``.
    reporter
        Told how many prompts are done.

    Returns
    -------
    Results
        One prediction for every strategy and example.

    Raises
    ------
    InvalidInputError
        There is no example or strategy, or a generator does not answer every prompt once.

    Notes
    -----
    Every step of a strategy is one call of the generator with the prompts of all examples, and no
    step is run twice: ``bridge:en`` and ``pivot:en`` share theirs.
    """
    rule = find_scoring(scoring)
    total = _prompt_count(task, strategies)
    with (reporter or Silent()).task(
        f"{task.name} {task.pair}", total=total, unit="prompts"
    ) as bar:
        asked = _Asked(generator, task.max_new_tokens, rule, bar)
        predictions = [
            prediction for strategy in strategies for prediction in _predict(task, strategy, asked)
        ]
    return Results(task.name, task.pair, generator.identity, rule.name, tuple(predictions))


def _prompt_count(task: Task, strategies: Sequence[Strategy]) -> int:
    examples = len(task.example_ids())
    if not examples or not strategies:
        raise InvalidInputError(
            f"an evaluation needs examples and strategies, "
            f"got {examples} examples and {len(strategies)} strategies"
        )
    steps = (1 if language is None else 2 for language in {s.language for s in strategies})
    return examples * sum(steps)


@dataclass(frozen=True)
class _Asked:
    """A generator that remembers what it was asked."""

    generator: Generator
    max_new_tokens: int
    scoring: Scoring
    progress: Progress
    answered: dict[tuple[str, ...], list[str]] = field(default_factory=dict)

    def continuations(self, prompts: Sequence[str]) -> list[str]:
        key = tuple(prompts)
        if key not in self.answered:
            outputs = self.generator.generate(
                prompts,
                max_new_tokens=self.max_new_tokens,
                stop=_STOP,
                is_complete=self.scoring.is_complete,
                progress=self.progress,
            )
            if len(outputs) != len(prompts):
                raise InvalidInputError(
                    f"{self.generator.identity} gave {len(outputs)} continuations "
                    f"of {len(prompts)} prompts"
                )
            self.answered[key] = outputs
        return self.answered[key]


def _predict(task: Task, strategy: Strategy, asked: _Asked) -> list[Prediction]:
    rule, bridge = asked.scoring, strategy.language
    steps: list[tuple[list[str], list[str]]] = []
    answers = None
    if bridge is not None:
        prompts = task.hop_prompts(bridge)
        steps.append((prompts, asked.continuations(prompts)))
        answers = [rule.extract(output) for output in steps[0][1]]
    prompts = task.final_prompts(bridge, answers)
    steps.append((prompts, asked.continuations(prompts)))
    golds, identical = task.golds(), task.identical()
    return [
        _score(
            example=example,
            strategy=strategy.name,
            prompts=tuple(step[0][place] for step in steps),
            outputs=tuple(step[1][place] for step in steps),
            golds=golds[place],
            identical=identical[place],
            scoring=rule,
            language=task.pair.target,
        )
        for place, example in enumerate(task.example_ids())
    ]


def _score(
    *,
    example: str,
    strategy: str,
    prompts: tuple[str, ...],
    outputs: tuple[str, ...],
    golds: tuple[str, ...],
    identical: bool,
    scoring: Scoring,
    language: str,
) -> Prediction:
    answer = scoring.extract(outputs[-1])
    return Prediction(
        example=example,
        strategy=strategy,
        prompt_hash=hash_prompts(prompts),
        prompts=prompts,
        outputs=outputs,
        answer=scoring.normalise(answer, language),
        golds=golds,
        correct=scoring.is_correct(answer, golds, language),
        identical=identical,
    )
