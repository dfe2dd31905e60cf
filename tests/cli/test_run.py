"""The pipeline and its pieces on a small random model, as a user gives the commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from bridgex.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    Bridgex = Callable[..., Any]

PAIR = ("--source", "id", "--target", "tl")
TOP = ("--top-percent", "30")


@pytest.fixture(scope="module")
def model(model_directory: Callable[..., Path]) -> Path:
    """A random model of three layers of 64 neurons."""
    return model_directory("llama", intermediate_size=64, max_position_embeddings=256)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts of four languages and a lexicon of 40 words."""
    directory = tmp_path_factory.mktemp("files")
    for language in ("id", "tl", "en", "es"):
        lines = [f"{language} kalimat {number} kata {number * 7}" for number in range(30)]
        (directory / f"{language}.txt").write_text("\n".join(lines), encoding="utf-8")
    words = [f"kata{number}\tsalita{number}" for number in range(40)]
    (directory / "lexicon.txt").write_text("\n".join(words), encoding="utf-8")
    return directory


def texts(files: Path, *languages: str) -> list[str]:
    return [word for code in languages for word in ("--text", f"{code}={files}/{code}.txt")]


def run_arguments(model: Path, files: Path, store: Path) -> list[Any]:
    return [
        "run", model, *PAIR, "--bridges", "en,es", *texts(files, "id", "tl", "en", "es"),
        "--lexicon", files / "lexicon.txt", "--store", store, *TOP,
    ]  # fmt: skip


def contents(directory: Path) -> dict[str, bytes]:
    """Return every file below a directory."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def test_run_shows_every_stage_and_leaves_a_store(
    bridgex: Bridgex, model: Path, files: Path, tmp_path: Path
) -> None:
    arguments = [*run_arguments(model, files, tmp_path / "store"), "--gold", "off"]
    done = bridgex(*arguments, "--threads", "1")
    assert done.code == 0, done.err
    for heading in (
        "Statistics by language",
        "Shared neurons",
        "Spectrum id-tl",
        "Bridges for id-tl: mean score over layers 1 to 1",
        "Word translation id-tl: 40 words",
        "Did the ranking predict it?",
        str(tmp_path / "store"),
    ):
        assert heading in done.out
    assert "tokens/s" in done.err
    kept = contents(tmp_path / "store")

    again = bridgex(*arguments, "--format", "json", "--resamples", "20", "--seed", "3")
    assert again.code == 0
    assert "statistics id, records" not in again.err
    document = json.loads(again.out)
    assert document["schema"] == "bridgex.run/1"
    assert document["bridges"]["best"] in {"en", "es"}
    assert document["bridges"]["resampling"] == {
        "permutations": 199,
        "resamples": 20,
        "random_sets": 100,
        "seed": 3,
        "tol": 0.1,
    }
    assert document["evaluation"]["examples"] == 40
    assert {row["strategy"] for row in document["evaluation"]["rows"]} == {
        "zero-shot",
        "bridge:en",
        "bridge:es",
    }
    assert contents(tmp_path / "store") == kept


def test_the_pieces_give_what_the_whole_gives(
    bridgex: Bridgex, model: Path, files: Path, tmp_path: Path
) -> None:
    whole, pieces = tmp_path / "whole", tmp_path / "pieces"
    assert bridgex(*run_arguments(model, files, whole), "--gold", "off").code == 0
    for language in ("es", "tl", "id", "en"):
        done = bridgex("ingest", "corpus", model, pieces, *texts(files, language))
        assert done.code == 0, done.err
    lexicon = ("--lexicon", files / "lexicon.txt")
    done = bridgex("ingest", "probes", model, pieces, *PAIR, *lexicon, "--gold", "off")
    assert done.code == 0, done.err
    answers = [
        json.loads(bridgex("query", "spectrum", store, *PAIR, *TOP, "--format", "json").out)
        for store in (whole, pieces)
    ]
    assert answers[0] == answers[1]
    assert answers[0]["samples"] == 40


def test_an_appended_text_adds_only_what_is_new(
    bridgex: Bridgex, model: Path, tmp_path: Path
) -> None:
    text = tmp_path / "sw.txt"
    lines = [f"maneno {number}" for number in range(20)]
    counted = []
    for count in (12, 20):
        text.write_text("\n".join(lines[:count]), encoding="utf-8")
        done = bridgex("ingest", "corpus", model, tmp_path / "grown", "--text", f"sw={text}")
        assert done.code == 0, done.err
        counted.append(Store.open(tmp_path / "grown").snapshot().statistics("sw"))
    bridgex("ingest", "corpus", model, tmp_path / "once", "--text", f"sw={text}")
    once = Store.open(tmp_path / "once").snapshot().statistics("sw")
    assert counted[0].record_count == 12
    assert counted[1].record_count == once.record_count == 20
    assert np.array_equal(counted[1].positive_count, once.positive_count)
    assert np.array_equal(counted[1].sum, once.sum)

    before = contents(tmp_path / "grown")
    text.write_text("\n".join(["other", *lines[1:]]), encoding="utf-8")
    done = bridgex("ingest", "corpus", model, tmp_path / "grown", "--text", f"sw={text}")
    assert done.code == 1
    assert "record number 1 differs" in done.err
    assert contents(tmp_path / "grown") == before


def test_a_line_of_special_tokens_counts_as_a_record_without_tokens(
    bridgex: Bridgex, model: Path, tmp_path: Path
) -> None:
    text = tmp_path / "sw.txt"
    text.write_text("maneno mawili\n<eos>\nmaneno matatu\n", encoding="utf-8")
    done = bridgex("ingest", "corpus", model, tmp_path / "store", "--text", f"sw={text}")
    assert done.code == 0, done.err
    found = Store.open(tmp_path / "store").snapshot().statistics("sw")
    assert found.record_count == 3
    plain = tmp_path / "plain.txt"
    plain.write_text("maneno mawili\nmaneno matatu\n", encoding="utf-8")
    bridgex("ingest", "corpus", model, tmp_path / "plain", "--text", f"sw={plain}")
    expected = Store.open(tmp_path / "plain").snapshot().statistics("sw")
    assert found.token_count == expected.token_count
    assert np.array_equal(found.positive_count, expected.positive_count)


def test_an_interrupt_ends_with_its_own_code(
    bridgex: Bridgex, model: Path, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bridgex.engines.local.collect_statistics_of", interrupt)
    done = bridgex("ingest", "corpus", model, tmp_path / "store", *texts(files, "id"))
    assert done.code == 130
    assert "same command again" in done.err


def test_too_few_gold_words_are_refused_with_count_and_remedy(
    bridgex: Bridgex, model: Path, files: Path, tmp_path: Path
) -> None:
    done = bridgex(*run_arguments(model, files, tmp_path / "store"))
    assert done.code == 1
    assert "translates only 0 of 40 words right" in done.err
    assert "--gold off" in done.err


def test_eval_bli_writes_every_prediction(
    bridgex: Bridgex, model: Path, files: Path, tmp_path: Path
) -> None:
    predictions = tmp_path / "predictions.parquet"
    done = bridgex(
        "eval", "bli", model, *PAIR, "--lexicon", files / "lexicon.txt", "--words", "6",
        "--strategy", "pivot:en", "--predictions", predictions, "--format", "json",
    )  # fmt: skip
    assert done.code == 0, done.err
    answer = json.loads(done.out)
    assert [row["strategy"] for row in answer["rows"]] == ["zero-shot", "pivot:en"]
    frame = pl.read_parquet(predictions)
    assert frame.height == 12
    assert frame["correct"].sum() == sum(row["correct"] for row in answer["rows"])


def test_a_store_of_another_model_is_refused_with_both_values(
    bridgex: Bridgex, model: Path, files: Path, tmp_path: Path, model_directory: Callable[..., Path]
) -> None:
    store = tmp_path / "store"
    text = texts(files, "id")
    assert bridgex("ingest", "corpus", model, store, *text).code == 0
    before = contents(store)
    other = model_directory("qwen2", intermediate_size=64)
    done = bridgex("ingest", "corpus", other, store, *text)
    assert done.code == 1
    assert "llama" in done.err
    assert "qwen2" in done.err
    done = bridgex("ingest", "corpus", model, store, *text, "--site", "post")
    assert done.code == 1
    assert "act" in done.err
    assert "post" in done.err
    done = bridgex("ingest", "corpus", model, store, *text, "--batch-tokens", "64")
    assert done.code == 1
    assert "2048" in done.err
    assert "64" in done.err
    assert contents(store) == before


def test_an_unknown_architecture_is_refused_and_nothing_is_written(
    bridgex: Bridgex, files: Path, tmp_path: Path
) -> None:
    strange = tmp_path / "strange"
    strange.mkdir()
    (strange / "config.json").write_text('{"model_type": "mamba"}', encoding="utf-8")
    (strange / "model.safetensors").touch()
    done = bridgex("ingest", "corpus", strange, tmp_path / "store", *texts(files, "id"))
    assert done.code == 1
    assert "'mamba'" in done.err
    assert "llama" in done.err
    assert not (tmp_path / "store").exists()


BAD_LEXICONS = {
    "empty": ("", "is empty"),
    "one field": ("kata salita\nkata\n", "line 2"),
    "blank": ("\n\n", "is empty"),
}


@pytest.mark.parametrize("content", BAD_LEXICONS)
def test_a_bad_lexicon_is_refused_and_nothing_is_written(
    bridgex: Bridgex, model: Path, tmp_path: Path, content: str
) -> None:
    text, message = BAD_LEXICONS[content]
    lexicon = tmp_path / "lexicon.txt"
    lexicon.write_text(text, encoding="utf-8")
    store = tmp_path / "store"
    done = bridgex("ingest", "probes", model, store, *PAIR, "--lexicon", lexicon)
    assert done.code == 1
    assert message in done.err
    assert not store.exists()


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        (("--source", "tl"), 2, "both 'tl'"),
        (("--bridges", "id,en"), 2, "'id' is of the pair"),
        (("--bridges", "en,sw"), 1, "no text of sw"),
        (("--source", "xx"), 2, "'xx'"),
        (("--lexicon", "missing.txt"), 1, "no such file: missing.txt"),
        (("--text", "sw=missing.txt"), 1, "no such file: missing.txt"),
        (("--text", "sw"), 2, "expected LANGUAGE=FILE"),
        (("--text", "sw=requirements/demo.txt", "--text", "ja=latin1"), 1, "is not UTF-8"),
        (("--output", "missing/x.json"), 2, "no directory missing"),
        (("--text", "id=README.md"), 1, "more than one file for id"),
        (("--top-percent", "0.1"), 1, "is no neuron"),
        (("--threads", "0"), 2, "1<=x<=1024"),
    ],
)
def test_bad_input_to_run_is_refused_before_anything_is_written(
    bridgex: Bridgex,
    model: Path,
    files: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changes: tuple[str, ...],
    code: int,
    message: str,
) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    store = tmp_path / "store"
    latin1 = tmp_path / "latin1.txt"
    latin1.write_bytes("señor".encode("latin-1"))
    done = bridgex(
        *run_arguments(model, files, store),
        *(change.replace("=latin1", f"={latin1}") for change in changes),
    )
    assert done.code == code
    assert message in done.err
    assert "Traceback" not in done.err
    assert not store.exists()


def test_a_model_that_is_not_there_is_said(bridgex: Bridgex, files: Path, tmp_path: Path) -> None:
    missing = tmp_path / "model"
    done = bridgex("ingest", "corpus", missing, tmp_path / "store", *texts(files, "id"))
    assert done.code == 1
    assert str(missing) in done.err
    assert not (tmp_path / "store").exists()
