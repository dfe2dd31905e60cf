"""From a dictionary that answers prompts to a verdict on a ranking."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from bridgex.errors import InvalidInputError, NotFoundError
from bridgex.evals.agreement import compare_with_ranking
from bridgex.evals.bli import BliTask
from bridgex.evals.results import Results, read_predictions, write_predictions
from bridgex.evals.runner import run
from bridgex.evals.strategies import ZERO_SHOT, Strategy, parse_strategies
from bridgex.evals.summary import summarise
from bridgex.languages import parse_language
from bridgex.lexicon import bundled_lexicon, read_lexicon
from bridgex.schema import Pair, WordPair

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from bridgex.progress import Progress

PAIR = Pair("id", "tl")
_LAST_WORD = re.compile(r'(?P<language>[^:→"]+):"(?P<word>[^"]*)"→(?P<wanted>[^:→"]+):$')


class Dictionary:
    """Knows the translations of some language pairs and copies what it does not know."""

    identity = "dictionary"

    def __init__(self, *known: tuple[str, str], limit: int | None = None) -> None:
        self.calls: list[list[str]] = []
        self.words: dict[tuple[str, str, str], str] = {}
        for source, target in known:
            labels = parse_language(source).own_name, parse_language(target).own_name
            for word in read_lexicon(bundled_lexicon(), source, target).words[:limit]:
                self.words[(*labels, word.source)] = word.targets[0]

    def generate(
        self,
        prompts: Sequence[str],
        *,
        max_new_tokens: int,
        stop: str,
        is_complete: Callable[[str], bool] | None,
        progress: Progress,
    ) -> list[str]:
        assert max_new_tokens == 30
        assert stop == "\n"
        self.calls.append(list(prompts))
        progress.advance(len(prompts))
        written = [f' "{self._answer(prompt)}"→and so on' for prompt in prompts]
        return [
            text if is_complete is None else text.removesuffix("→and so on") for text in written
        ]

    def _answer(self, prompt: str) -> str:
        asked = _LAST_WORD.search(prompt)
        assert asked is not None
        return self.words.get((asked["language"], asked["wanted"], asked["word"]), asked["word"])


class Counter:
    """Remembers what was announced and how much of it was done."""

    total = done = 0

    @contextmanager
    def task(self, description: str, *, total: int, unit: str) -> Iterator[Counter]:
        self.total, self.described = total, (description, unit)
        yield self

    def note(self, text: str) -> None:
        raise AssertionError(text)

    def advance(self, amount: int) -> None:
        self.done += amount


@pytest.fixture(scope="module")
def task() -> BliTask:
    return BliTask.from_lexicon(read_lexicon(bundled_lexicon(), *PAIR))


@pytest.fixture(scope="module")
def results(task: BliTask) -> Results:
    """English leads to the target, Spanish leads half of the way, Chinese nowhere."""
    model = Dictionary(("id", "en"), ("en", "tl"), ("id", "es"), ("id", "zh"))
    half = Dictionary(("es", "tl"), limit=60)
    model.words |= half.words
    return run(task, parse_strategies(["bridge:all"], PAIR, candidates=["en", "es", "zh"]), model)


def test_a_bridge_that_the_model_knows_gives_the_gold(results: Results, task: BliTask) -> None:
    first = next(found for found in results.predictions if found.strategy == "bridge:en")
    assert first.example == "tengkorak"
    assert first.prompts == (
        'Bahasa Indonesia:"tengkorak"→English:',
        'Bahasa Indonesia:"tengkorak"→English:"skull"→Tagalog:',
    )
    assert first.outputs == (' "skull"', ' "bungo"')
    assert (first.answer, first.golds, first.correct) == ("bungo", ("bungo",), True)
    assert results.correct("bridge:en").mean() > 0.9
    assert len(results.predictions) == 4 * len(task.words)


def test_copying_solves_the_identical_forms_only(results: Results, task: BliTask) -> None:
    summary = summarise(results)
    zero_shot = summary.rows[0]
    assert (zero_shot.strategy, zero_shot.correct) == ("zero-shot", summary.identical)
    assert summary.identical == sum(task.identical()) > 0
    assert summarise(results.without_identical()).rows[0].correct == 0


def test_the_summary_compares_with_zero_shot(results: Results) -> None:
    rows = {row.strategy: row for row in summarise(results).rows}
    english, chinese = rows["bridge:en"], rows["bridge:zh"]
    assert english.difference is not None
    assert english.difference.low > 0
    assert english.p_holm is not None
    assert english.p_holm < 1e-6
    assert chinese.difference is not None
    assert chinese.difference.value < 0
    assert rows["zero-shot"].difference is None


def test_a_right_ranking_is_found_right(results: Results) -> None:
    agreement = compare_with_ranking(results, {"zh": -1.0, "en": 2.0, "es": 1.0, "fr": 5.0})
    assert agreement.candidates == ("en", "es", "zh")
    assert agreement.unmeasured == ("fr",)
    assert (agreement.kendall, agreement.spearman) == (1.0, 1.0)
    assert agreement.hit
    assert agreement.regret.value == 0
    assert agreement.reliably_worse == ("es", "zh")
    assert agreement.verdict.startswith("The outcome is consistent with the ranking")
    assert "through en is better than zero-shot (+" in agreement.verdict


def test_a_wrong_ranking_is_found_wrong(results: Results) -> None:
    agreement = compare_with_ranking(results, {"zh": 3.0, "en": 1.0, "es": 2.0})
    assert agreement.kendall == -1.0
    assert not agreement.hit
    assert (agreement.recommended, agreement.best) == ("zh", "en")
    assert agreement.regret_to_english == agreement.regret
    assert agreement.regret.low > 0
    assert agreement.reliably_better == ("es", "en")
    assert agreement.verdict.startswith("The ranking did not predict the outcome: es, en did")


def test_bridges_that_do_alike_cannot_be_told_apart(task: BliTask) -> None:
    model = Dictionary(("id", "en"), ("en", "tl"), ("id", "es"), ("es", "tl"), ("id", "tl"))
    measured = run(task, parse_strategies(["bridge:en", "bridge:es"], PAIR), model)
    agreement = compare_with_ranking(measured, {"en": 1.0, "es": 2.0})
    assert "cannot tell whether the ranking is right" in agreement.verdict
    assert "No reliable difference to zero-shot through es" in agreement.verdict


def test_a_ranking_of_one_is_not_checked(results: Results) -> None:
    with pytest.raises(InvalidInputError, match="got 1: scored \\['en'\\], measured"):
        compare_with_ranking(results, {"en": 1.0, "es": float("nan")})


def test_every_step_is_one_call_and_no_step_runs_twice(task: BliTask) -> None:
    model, watch = Dictionary(), Counter()
    strategies = parse_strategies(["bridge:en", "pivot:en", "bridge:es"], PAIR)
    found = run(task, strategies, model, reporter=watch)
    assert [len(call) for call in model.calls] == [len(task.words)] * 5
    assert watch.total == watch.done == 5 * len(task.words)
    assert watch.described == ("bli id-tl", "prompts")
    assert found.correct("bridge:en").tolist() == found.correct("pivot:en").tolist()


def test_the_published_rule_reads_the_whole_line(task: BliTask) -> None:
    found = run(task, [ZERO_SHOT], Dictionary(("id", "tl")), scoring="published")
    assert found.predictions[0].outputs == (' "bungo"→and so on',)
    assert found.predictions[0].answer == "bungo→and so on"
    assert not found.correct("zero-shot").any()


def test_an_answer_that_is_missing_leads_on_with_an_empty_word() -> None:
    class Mute(Dictionary):
        def _answer(self, prompt: str) -> str:
            del prompt
            return ""

    task = BliTask(PAIR, (WordPair("rumah", ("bahay",)),))
    found = run(task, [Strategy("bridge", "en")], Mute()).predictions[0]
    assert found.prompts[1] == 'Bahasa Indonesia:"rumah"→English:""→Tagalog:'
    assert not found.correct


def test_a_generator_that_loses_prompts_is_refused(task: BliTask) -> None:
    class Lossy(Dictionary):
        def generate(self, prompts: Sequence[str], **settings: Any) -> list[str]:
            return super().generate(prompts, **settings)[1:]

    with pytest.raises(InvalidInputError, match="dictionary gave 134 continuations of 135"):
        run(task, [ZERO_SHOT], Lossy())


def test_an_evaluation_without_examples_or_strategies_is_refused(task: BliTask) -> None:
    with pytest.raises(InvalidInputError, match="0 examples and 1 strategies"):
        run(BliTask(PAIR, ()), [ZERO_SHOT], Dictionary())
    with pytest.raises(InvalidInputError, match="and 0 strategies"):
        run(task, [], Dictionary())
    with pytest.raises(InvalidInputError, match="limit of 0"):
        BliTask.from_lexicon(read_lexicon(bundled_lexicon(), *PAIR), limit=0)


def test_predictions_survive_the_disk(results: Results, tmp_path: Path) -> None:
    path = tmp_path / "predictions.parquet"
    write_predictions(results, path)
    assert read_predictions(path) == results


def test_a_file_without_predictions_is_refused(tmp_path: Path) -> None:
    import polars as pl

    path = tmp_path / "other.parquet"
    with pytest.raises(NotFoundError, match="no predictions at"):
        read_predictions(path)
    pl.DataFrame({"a": [1]}).write_parquet(path)
    with pytest.raises(InvalidInputError, match="'no predictions', expected"):
        read_predictions(path)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(InvalidInputError, match="not a whole Parquet file"):
        read_predictions(path)


def test_a_strategy_that_was_not_run_is_not_found(results: Results) -> None:
    with pytest.raises(NotFoundError, match="by 'bridge:fr'; there are: zero-shot, bridge:en"):
        results.correct("bridge:fr")


def test_strategies_are_named_in_many_ways_and_kept_once() -> None:
    texts = ["bridge:auto", "bridge:English", "pivot:eng", "bridge:all", "zero-shot"]
    found = parse_strategies(texts, PAIR, candidates=["tgl", "es", "ind", "en"], recommended="es")
    names = ["zero-shot", "bridge:es", "bridge:en", "pivot:en"]
    assert [strategy.name for strategy in found] == names


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("few-shot", "a strategy is zero-shot, bridge:<language>"),
        ("bridge", "a strategy is"),
        ("bridge:", "a strategy is"),
        ("zero-shot:en", "a strategy is"),
        ("bridge:fil", "leads through a language of the pair id-tl"),
        ("bridge:qqq", "no language has the code or name 'qqq'"),
        ("bridge:auto", "needs a recommended bridge"),
        ("bridge:all", "needs candidates outside the pair"),
    ],
)
def test_a_strategy_that_makes_no_sense_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        parse_strategies([text], PAIR, candidates=["id"])
