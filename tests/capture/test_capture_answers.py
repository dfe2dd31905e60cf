"""Greedy generation and the gold filter, against each other and against one prompt at a time."""

from __future__ import annotations

import json
import re
from shutil import copytree
from typing import TYPE_CHECKING, Any

import pytest
import torch

from bridgex.capture import generate, gold_agreement, gold_filter, load_model
from bridgex.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from bridgex.capture import CaptureModel

    MakeDirectory = Callable[..., Path]
    OpenModel = Callable[..., CaptureModel]

PROMPTS = ("Hund", "das Haus:", "the dog", "abc", "nd", "the cat", 'English:"x"→', "Hund the")
STOP = "\x00no such text"
# Models of these families write several different things after the prompts.
ARCHITECTURES = ("bloom", "gemma3_text", "gpt2", "llama", "opt", "cohere")


def plainly(model: CaptureModel, prompt: str, tokens: int) -> list[int]:
    """Greedy decoding by definition: the whole model over the whole text, for every token."""
    ids = model.tokenizer(prompt).input_ids
    written: list[int] = []
    for _ in range(tokens):
        with torch.no_grad():
            logits = model.model(torch.tensor([ids + written])).logits
        written.append(int(logits[0, -1].argmax()))
        if written[-1] == 2:
            break
    return written


def decoded(model: CaptureModel, ids: Sequence[int]) -> str:
    text = model.tokenizer.decode(list(ids), skip_special_tokens=True)
    assert isinstance(text, str)
    return text


def chain(model: CaptureModel, rules: dict[str, str]) -> None:
    """Rewrite a Llama so that it follows the rules: the next token after the last one."""
    vocabulary = model.tokenizer.get_vocab()
    network: Any = model.model
    for layer in network.model.layers:
        layer.self_attn.o_proj.weight.zero_()
        layer.mlp.down_proj.weight.zero_()
    network.model.norm.weight.fill_(1)
    network.lm_head.weight.zero_()
    for before, after in rules.items():
        state = network.model.embed_tokens.weight[vocabulary[before]]
        network.lm_head.weight[vocabulary[after]] += state / state.norm()


def chained(open_model: OpenModel, rules: dict[str, str]) -> CaptureModel:
    model = open_model("llama", changes={"hidden_size": 256})
    chain(model, rules)
    return model


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_generation_in_batches_equals_one_prompt_at_a_time(
    architecture: str, open_model: OpenModel
) -> None:
    model = open_model(architecture)
    texts = generate(model, PROMPTS, max_new_tokens=12, stop=STOP)
    expected = [decoded(model, plainly(model, prompt, 12)) for prompt in PROMPTS]
    assert texts == expected
    assert len(set(texts)) > 2


def test_generation_stops_before_the_stop_text(open_model: OpenModel) -> None:
    model = chained(open_model, {":": "a", "a": "b", "b": "c", "c": "Ċ", "Ċ": "a"})
    assert generate(model, ["x:", "xyz:"], stop="\n") == ["abc", "abc"]
    assert generate(model, ["x:"], stop="bc") == ["a"]
    assert generate(model, ["x:"], max_new_tokens=2) == ["ab"]


def test_generation_stops_at_the_end_of_text(open_model: OpenModel) -> None:
    model = chained(open_model, {":": "a", "a": "<eos>", "<eos>": "b", "b": "b"})
    assert generate(model, ["x:", "y:"]) == ["a", "a"]


def test_generation_stops_when_the_text_is_complete(open_model: OpenModel) -> None:
    model = chained(open_model, {":": "a", "a": "b", "b": "c", "c": "a", "!": "b"})
    seen: list[str] = []

    def is_complete(text: str) -> bool:
        seen.append(text)
        return text.endswith("c")

    assert generate(model, ["x:", "y!"], is_complete=is_complete) == ["abc", "bc"]
    assert max(map(len, seen)) == 3


def test_generation_keeps_the_order_and_hears_of_no_prompt(open_model: OpenModel) -> None:
    model = open_model(batch_tokens=8)
    forward = generate(model, PROMPTS, max_new_tokens=4, stop=STOP)
    assert generate(model, PROMPTS[::-1], max_new_tokens=4, stop=STOP) == forward[::-1]
    assert generate(model, []) == []


def test_generation_ignores_what_the_checkpoint_says_about_sampling(
    model_directory: MakeDirectory, open_model: OpenModel, tmp_path: Path
) -> None:
    directory = tmp_path / "model"
    copytree(model_directory("llama"), directory)
    settings = {"do_sample": True, "temperature": 9.0, "repetition_penalty": 3.0, "eos_token_id": 2}
    (directory / "generation_config.json").write_text(json.dumps(settings))
    sampling = load_model(directory, device="cpu")
    expected = generate(open_model("llama"), PROMPTS, max_new_tokens=8, stop=STOP)
    assert generate(sampling, PROMPTS, max_new_tokens=8, stop=STOP) == expected


def test_a_prompt_and_its_continuation_must_fit(open_model: OpenModel) -> None:
    with pytest.raises(InvalidInputError, match="90 more do not fit"):
        generate(open_model(), ["abcdefghijk"], max_new_tokens=90)


@pytest.mark.parametrize(("tokens", "stop"), [(0, "x"), (5, "")])
def test_generation_options_are_checked(open_model: OpenModel, tokens: int, stop: str) -> None:
    with pytest.raises(InvalidInputError, match="max_new_tokens"):
        generate(open_model(), ["Hund"], max_new_tokens=tokens, stop=stop)


QUOTED = {":": 'Ġ"', 'Ġ"': "Hund", "Hund": '"', '"': "Ċ"}
GOLD_CASES = [
    (QUOTED, "Hund", True),
    (QUOTED, "hund", True),
    (QUOTED, "Hun", False),
    (QUOTED, "Hunde", False),
    (QUOTED, "Katze", False),
    (QUOTED | {":": '"', '"': "Hund"}, "Hund", True),
    # The word goes on, or another follows, or the quote is never closed.
    (QUOTED | {"Hund": "e"}, "Hund", False),
    (QUOTED | {"Hund": "Ċ"}, "Hund", False),
    (QUOTED | {"Hund": "<eos>"}, "Hund", False),
    ({":": "Hund", "Hund": "Ċ"}, "Hund", True),
    ({":": "Hund", "Hund": "<eos>"}, "Hund", True),
    ({":": "Hund", "Hund": '"'}, "Hund", True),
    ({":": "Hund", "Hund": "Ġ"}, "Hund", False),
    ({":": "Hund", "Hund": "e"}, "Hund", False),
    ({":": "Ġ", "Ġ": "Hund", "Hund": "Ċ"}, "Hund", True),
    ({":": "h", "h": "u", "u": "nd", "nd": "Ċ"}, "Hund", True),
    # The same text in tokens that the tokenizer would not choose is not tried.
    ({":": "Hu", "Hu": "nd", "nd": "Ċ"}, "Hund", False),
]


@pytest.mark.parametrize(("rules", "answer", "right"), GOLD_CASES)
def test_gold_filter_by_rule(
    open_model: OpenModel, rules: dict[str, str], answer: str, right: bool
) -> None:
    model = chained(open_model, rules)
    prompts = ["x:", "a longer prompt:", "y:"]
    assert gold_filter(model, prompts, [["no", answer], [answer], ["never"]]).tolist() == [
        right,
        right,
        False,
    ]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_gold_filter_accepts_what_a_model_writes_and_nothing_else(
    architecture: str, open_model: OpenModel
) -> None:
    model = open_model(architecture)
    vocabulary = model.tokenizer.get_vocab()
    network: Any = model.model
    head = network.get_output_embeddings().weight
    head[[vocabulary["Ċ"], vocabulary['"']]] *= 2.5
    prompts = [f"{prompt}{number}:" for prompt in PROMPTS for number in range(12)]
    texts = [decoded(model, plainly(model, prompt, 12)) for prompt in prompts]
    cases = []
    for prompt, text in zip(prompts, texts, strict=True):
        answer = re.split('["\n]', text)[0]
        before = len(model.tokenizer(prompt).input_ids)
        ids = model.tokenizer(prompt + answer).input_ids[before:]
        own = plainly(model, prompt, len(ids) + 1)
        # A special token is left out of the text but is no end of it.
        if (
            answer != text
            and answer.strip() == answer != ""
            and [*ids, own[-1]] == own
            and own[-1] > 3
        ):
            cases.append((prompt, answer))
    assert len(cases) >= 3
    asked = [prompt for prompt, _ in cases]
    assert gold_filter(model, asked, [[answer] for _, answer in cases]).all()
    for change in ("{}x", "x{}"):
        changed = [[change.format(answer)] for _, answer in cases]
        assert not gold_filter(model, asked, changed).any()
    agreement = gold_agreement(model, asked, [[answer] for _, answer in cases])
    assert (agreement.sample_count, agreement.differing) == (len(cases), 0)


@pytest.mark.parametrize("answers", [[["a"]], "ab", [["a"], "b"], [["a"], [""]]])
def test_answers_that_do_not_fit_the_prompts_are_refused(
    open_model: OpenModel, answers: Any
) -> None:
    with pytest.raises(InvalidInputError, match="answers"):
        gold_filter(open_model(), ["x:", "y:"], answers)


def test_no_prompt_gives_no_answer(open_model: OpenModel) -> None:
    assert gold_filter(open_model(), [], []).shape == (0,)


def test_a_head_that_gives_no_number_is_refused(open_model: OpenModel) -> None:
    model = open_model()
    network: Any = model.model
    network.lm_head.weight[7] = float("nan")
    with pytest.raises(InvalidInputError, match="head"):
        gold_filter(model, ["x:"], [["Hund"]])
