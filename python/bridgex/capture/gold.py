"""The gold filter: the prompts that the model answers correctly.

A correct answer is known, so no generation is needed. If every token of the answer is the token
that the model itself would choose after the prompt and the answer's tokens before it, greedy
decoding writes exactly this answer (up to rounding, which ``gold_agreement`` measures).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bridgex.capture.batching import encode, prompt_ids
from bridgex.capture.choices import Question, choose_of
from bridgex.capture.generation import continuation_text, end_ids, generate
from bridgex.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from numpy.typing import NDArray

    from bridgex.capture.models import CaptureModel
    from bridgex.progress import Progress

_QUOTE = '"'
_ANSWER_TOKENS = 30


class _Trial(NamedTuple):
    """One way to write an answer to one prompt, in text without its end and in token ids."""

    prompt: int
    ids: NDArray[np.int64]
    quoted: bool


def gold_filter(
    model: CaptureModel,
    prompts: Sequence[str],
    answers: Sequence[Sequence[str]],
    *,
    progress: Progress | None = None,
) -> NDArray[np.bool_]:
    """Return which prompts the model answers correctly.

    Parameters
    ----------
    model
        The model.
    prompts
        Prompts after which the model writes an answer and ends it.
    answers
        For every prompt, all accepted answers.
    progress
        Advanced by the rows of every forward pass: twice by a prompt, and once by every form that
        is left then; less where fewer are left before.

    Returns
    -------
    ndarray
        bool (sample,): True where greedy decoding writes an accepted answer.

    Raises
    ------
    InvalidInputError
        When the lengths differ, an answer is empty, a prompt has no token of its own, or does
        not fit into the model's context.

    Notes
    -----
    An answer ``x`` counts in the forms ``x``, ``"x"``, and both after a space, each with the
    first letter as given, lower and upper. Every token of a form, the first one too, must be the
    model's own choice, and the answer must end there: what the model writes next must begin with
    the closing quote where a quote was opened, and otherwise with a quote or a line break, or be
    an end-of-text mark. So ``"Hund`` is refused where the model goes on to ``"Hundehütte"``, and
    ``Hund`` where another word follows.

    Cost: one pass over the prompts for the first token, one for the second, and one over the few
    forms that begin with both. The head runs only at the positions that matter.
    """
    return gold_filter_of(model, [(prompts, answers)], progress=progress)[0]


def gold_filter_of(
    model: CaptureModel,
    parts: Sequence[tuple[Sequence[str], Sequence[Sequence[str]]]],
    *,
    progress: Progress | None = None,
) -> list[NDArray[np.bool_]]:
    """Filter several parts, each prompts with answers: what ``gold_filter`` gives of each.

    A model that is read in pieces is read three times for all of them.
    """
    filters = [_filter(model, prompts, answers) for prompts, answers in parts]
    accepted: list[NDArray[np.bool_]] = [np.empty(0, np.bool_)] * len(filters)
    asked = {number: next(steps) for number, steps in enumerate(filters)}
    while asked:
        answered = choose_of(model, list(asked.values()), progress=progress)
        waiting, asked = asked, {}
        for number, choices in zip(waiting, answered, strict=True):
            try:
                asked[number] = filters[number].send(choices)
            except StopIteration as end:
                accepted[number] = end.value
    return accepted


def _filter(
    model: CaptureModel, prompts: Sequence[str], answers: Sequence[Sequence[str]]
) -> Generator[Question, list[NDArray[np.int64]], NDArray[np.bool_]]:
    """Return which prompts are answered correctly; what has to be asked for that is yielded."""
    rows = prompt_ids(model, prompts, room=_ANSWER_TOKENS)
    forms = _forms(prompts, answers)
    trials = list(_trials(model, prompts, rows, forms))
    # The first token is mostly an opening quote, the second shows most wrong answers.
    for depth in (0, 1):
        trials = yield from _narrow(rows, trials, depth)
    chosen = yield Question(
        [np.concatenate([rows[trial.prompt], trial.ids]) for trial in trials],
        [len(rows[trial.prompt]) for trial in trials],
    )
    accepted = np.zeros(len(rows), dtype=np.bool_)
    for trial, choices in zip(trials, chosen, strict=True):
        if np.array_equal(choices[:-1], trial.ids):
            accepted[trial.prompt] |= _ends(model, trial, int(choices[-1]))
    return accepted


@dataclass(frozen=True)
class GoldAgreement:
    """How the gold filter compares with greedy generation on a sample of prompts.

    Attributes
    ----------
    sample_count
        Prompts in the sample.
    filtered, generated
        How many the filter accepts, and how many generation answers correctly.
    differing
        How many of them only one of the two accepts.
    """

    sample_count: int
    filtered: int
    generated: int
    differing: int


def gold_agreement(
    model: CaptureModel,
    prompts: Sequence[str],
    answers: Sequence[Sequence[str]],
    *,
    progress: Progress | None = None,
) -> GoldAgreement:
    """Compare the gold filter with greedy generation.

    The parameters and errors are those of ``gold_filter``. What is generated is right when its
    text up to the closing quote (after an opening one), the next quote or the line's end, without
    a space before it, is an accepted answer, the first letter in either case.
    Cost: generation of up to 30 tokens for every prompt; give it a small sample.
    """
    filtered = gold_filter(model, prompts, answers, progress=progress)
    texts = generate(
        model, prompts, max_new_tokens=_ANSWER_TOKENS, is_complete=_complete, progress=progress
    )
    generated = np.array(
        [_written(text) in _cases(accepted) for text, accepted in zip(texts, answers, strict=True)],
        dtype=np.bool_,
    )
    return GoldAgreement(
        sample_count=len(prompts),
        filtered=int(filtered.sum()),
        generated=int(generated.sum()),
        differing=int((filtered != generated).sum()),
    )


def _cases(answers: Sequence[str]) -> list[str]:
    """Return the answers with the first letter as given, lower and upper, each once."""
    cases = (
        case
        for answer in answers
        for case in (answer, answer[:1].lower() + answer[1:], answer[:1].upper() + answer[1:])
    )
    return list(dict.fromkeys(cases))


def _complete(text: str) -> bool:
    return text.lstrip(" ").startswith(_QUOTE) and text.count(_QUOTE) > 1


def _written(text: str) -> str:
    start = text.removeprefix(" ")
    return start.removeprefix(_QUOTE).split(_QUOTE, maxsplit=1)[0]


def _forms(prompts: Sequence[str], answers: Sequence[Sequence[str]]) -> list[tuple[int, str, bool]]:
    """Return (prompt, text without the closing quote, quoted) for everything to be tried."""
    if isinstance(answers, str) or len(prompts) != len(answers):
        raise InvalidInputError(
            f"answers for each of {len(prompts)} prompts were expected, {len(answers)} came"
        )
    forms = []
    for prompt, accepted in enumerate(answers):
        if isinstance(accepted, str) or not all(accepted):
            raise InvalidInputError(
                f"a sequence of non-empty answers was expected for {prompts[prompt]!r}, "
                f"{accepted!r} came"
            )
        for case, space, quote in product(_cases(accepted), (" ", ""), (_QUOTE, "")):
            forms.append((prompt, f"{space}{quote}{case}", bool(quote)))
    return forms


def _trials(
    model: CaptureModel,
    prompts: Sequence[str],
    rows: Sequence[NDArray[np.int64]],
    forms: Sequence[tuple[int, str, bool]],
) -> Iterator[_Trial]:
    """Yield the token ids in which the model could write each form after its prompt.

    A tokenizer may split an answer differently after the prompt than alone (some add a space to
    a text's start), so both are tried and only what decodes to the form is kept.
    """
    together = encode(model, [prompts[prompt] + text for prompt, text, _ in forms])
    alone = encode(model, [text for _, text, _ in forms])
    for (prompt, text, quoted), joint, lone in zip(forms, together, alone, strict=True):
        row = rows[prompt]
        candidates = [lone[~model.is_special(lone)]]
        if np.array_equal(joint[: len(row)], row):
            tail = joint[len(row) :]
            candidates.insert(0, tail[~model.is_special(tail)])
        seen: set[bytes] = set()
        for ids in candidates:
            fits = 0 < len(ids) <= _ANSWER_TOKENS and ids.tobytes() not in seen
            seen.add(ids.tobytes())
            if fits and continuation_text(model.tokenizer, row, ids) == text:
                yield _Trial(prompt, ids, quoted)


def _narrow(
    rows: Sequence[NDArray[np.int64]], trials: Sequence[_Trial], depth: int
) -> Generator[Question, list[NDArray[np.int64]], list[_Trial]]:
    """Keep the trials whose token number ``depth`` is the model's own choice.

    Those of one prompt have the tokens before it in common: they were the model's choice too.
    """
    prefixes = {
        trial.prompt: np.concatenate([rows[trial.prompt], trial.ids[:depth]])
        for trial in trials
        if len(trial.ids) > depth
    }
    starts = [len(ids) for ids in prefixes.values()]
    chosen = yield Question(list(prefixes.values()), starts)
    best = {prompt: choices[0] for prompt, choices in zip(prefixes, chosen, strict=True)}
    return [
        trial
        for trial in trials
        if len(trial.ids) <= depth or trial.ids[depth] == best[trial.prompt]
    ]


def _ends(model: CaptureModel, trial: _Trial, following: int) -> bool:
    """Tell whether the answer is over before the token that the model chooses next."""
    if following in end_ids(model):
        return not trial.quoted
    text = continuation_text(model.tokenizer, trial.ids, np.array([following]))
    return text.startswith(_QUOTE if trial.quoted else (_QUOTE, "\n"))
