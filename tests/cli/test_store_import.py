"""``bridgex store import``: files as the published scripts write them become a store."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from bridgex.schema import Pair
from bridgex.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SHAPE = (3, 700)
SAMPLES = 40
TOKENS = 64
LANGUAGES = ("zh", "ja", "en", "de")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make files as the published scripts do, with numbers that mean nothing."""
    directory = tmp_path_factory.mktemp("published")
    generator = torch.Generator().manual_seed(5)
    for language in LANGUAGES:
        activations = torch.randn(TOKENS, *SHAPE, generator=generator)
        over_zero = (activations > 0).sum(dim=0).to(torch.int32)
        torch.save(
            {"n": TOKENS, "over_zero": over_zero, "sum1": activations.sum(dim=0)},
            directory / f"activation.{language}.flores.llama",
        )
        torch.save(
            {"n": TOKENS, "over_zero": over_zero}, directory / f"activation.{language}.train.llama"
        )
    probes = torch.randn(*SHAPE, SAMPLES, generator=generator)
    torch.save(probes, directory / "activation_value_zh_ja_llama.pt")
    lines = [f"s{number} t{number}\n" for number in range(SAMPLES)]
    (directory / "zh-ja.txt").write_text("".join(lines), encoding="utf-8")
    return directory


def files(directory: Path, ending: str = "flores.llama") -> list[object]:
    return [
        part
        for language in LANGUAGES
        for part in ("--statistics", directory / f"activation.{language}.{ending}")
    ]


def probes_of(directory: Path) -> tuple[object, ...]:
    return (
        *("--probes", directory / "activation_value_zh_ja_llama.pt"),
        *("--lexicon", directory / "zh-ja.txt"),
    )


IMPORT = ("store", "import")
MODEL = ("--model", "llama-3-8b")


def test_published_files_become_a_store_that_answers_queries(
    bridgex: Callable[..., Any], published: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    ask = (*IMPORT, store, *MODEL, *files(published), *probes_of(published))
    done = bridgex(*ask)
    assert (done.code, done.out) == (0, "")
    assert f"zh: {TOKENS} tokens added; not known: sum_squares, maximum" in done.err
    snapshot = Store.open(store).snapshot()
    saved = torch.load(published / "activation.zh.flores.llama", weights_only=True)
    found = snapshot.statistics("zh")
    assert found.positive_count.tolist() == saved["over_zero"].flatten().tolist()
    assert found.sum.tolist() == saved["sum1"].flatten().tolist()
    tensor = torch.load(published / "activation_value_zh_ja_llama.pt", weights_only=True)
    for layer in range(3):
        rows = snapshot.probes(Pair("zh", "ja")).layer(layer)
        np.testing.assert_array_equal(rows, tensor[layer].numpy())
    pair = ("--source", "zh", "--target", "ja", "--top-percent", "20")
    for query in (
        ("overlap",),
        ("combinations", "--select", "contrast"),
        ("neurons", "--languages", "zh"),
        ("spectrum", *pair),
        ("bridges", *pair, "--permutations", "20", "--resamples", "20"),
    ):
        done = bridgex("query", query[0], store, *query[1:])
        assert done.code == 0, done.err
    assert bridgex("store", "info", store).code == 0


def tree(path: Path) -> dict[str, bytes]:
    return {str(one): one.read_bytes() for one in path.rglob("*") if one.is_file()}


def test_the_same_files_again_change_nothing(
    bridgex: Callable[..., Any], published: Path, tmp_path: Path
) -> None:
    ask = (*IMPORT, tmp_path / "store", *MODEL, *files(published), *probes_of(published))
    assert bridgex(*ask).code == 0
    before = tree(tmp_path)
    done = bridgex(*ask)
    assert done.code == 0
    assert "zh: 64 tokens were there" in done.err
    assert "40 probes, 0 parts added, 1 were there" in done.err
    assert tree(tmp_path) == before


def test_another_file_of_a_language_needs_another_corpus(
    bridgex: Callable[..., Any], published: Path, tmp_path: Path
) -> None:
    first = (*IMPORT, tmp_path / "store", *MODEL, "--statistics")
    assert bridgex(*first, published / "activation.zh.flores.llama").code == 0
    other = f"zh={published / 'activation.ja.flores.llama'}"
    done = bridgex(*first, other)
    assert done.code == 1
    assert "other statistics of zh, corpus 'default', than" in done.err
    assert bridgex(*first, other, "--corpus", "second").code == 0
    assert Store.open(tmp_path / "store").snapshot().statistics("zh").token_count == 2 * TOKENS


def test_a_store_of_imports_is_verified_and_compacted(
    bridgex: Callable[..., Any], published: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    first = (*IMPORT, store, *MODEL, *files(published), *probes_of(published))
    assert bridgex(*first).code == 0
    second = (*IMPORT, store, *MODEL, *files(published, "train.llama"), "--corpus", "train")
    assert bridgex(*second).code == 0
    before = Store.open(store).snapshot().statistics("zh")
    assert bridgex("store", "verify", store).code == 0
    assert bridgex("store", "compact", store, "--codec", "zstd").code == 0
    assert bridgex("store", "verify", store).code == 0
    after = Store.open(store).snapshot().statistics("zh")
    assert after.unknown == before.unknown == ("sum", "sum_squares", "maximum")
    assert after.positive_count.tobytes() == before.positive_count.tobytes()
    counted = Store.open(store).snapshot().statistics("zh", "default")
    assert counted.unknown == ("sum_squares", "maximum")


def test_counts_alone_answer_what_needs_no_mean(
    bridgex: Callable[..., Any], published: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    assert bridgex(*IMPORT, store, *MODEL, *files(published, "train.llama")).code == 0
    threshold = ("--select", "threshold", "--threshold", "0.6")
    for rule in (("--preset", "paper"), ("--select", "lape"), threshold):
        assert bridgex("query", "overlap", store, *rule).code == 0
    done = bridgex("query", "overlap", store)
    assert done.code == 1
    assert "mean of the activations is needed" in done.err
    ask = ("query", "neurons", store, "--languages", "zh", "--select", "lape", "--top-percent", "9")
    rows = json.loads(bridgex(*ask, "--format", "json").out)["rows"]
    assert rows
    assert {row["mean_zh"] for row in rows} == {None}


def test_a_model_of_another_name_or_shape_is_refused_by_the_file(
    bridgex: Callable[..., Any], published: Path, tmp_path: Path
) -> None:
    file = published / "activation.zh.flores.llama"
    assert bridgex(*IMPORT, tmp_path / "store", *MODEL, "--statistics", file).code == 0
    done = bridgex(*IMPORT, tmp_path / "store", "--model", "mistral", "--statistics", file)
    assert done.code == 1
    assert '"llama-3-8b", yours is "mistral"' in done.err
    narrow = tmp_path / "activation.ja.flores.llama"
    torch.save({"n": 3, "over_zero": torch.zeros(3, 5, dtype=torch.int32)}, narrow)
    done = bridgex(*IMPORT, tmp_path / "store", *MODEL, "--statistics", narrow)
    assert done.code == 1
    assert f"{narrow} does not belong here" in done.err
    assert "layer sizes" in done.err


def test_captured_stores_take_no_imports(
    bridgex: Callable[..., Any], published: Path, store: Path
) -> None:
    before = tree(store)
    done = bridgex(*IMPORT, store, *MODEL, *files(published))
    assert done.code == 1
    assert "another origin" in done.err
    assert tree(store) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "nothing to import"),
        (("--statistics", "counts.pt"), "expected LANGUAGE=FILE, or a file called activation"),
        (("--statistics", "activation.xx.flores.llama"), "no language has the code or name 'xx'"),
        (("--probes", "values.pt", "--lexicon", "l"), "expected SOURCE-TARGET=FILE"),
        (("--probes", "zh=values.pt", "--lexicon", "l"), "expected SOURCE-TARGET=FILE"),
        (("--probes", "zh-ja=values.pt"), "--probes and --lexicon go together"),
    ],
)
def test_wrong_usage(
    bridgex: Callable[..., Any], tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    done = bridgex(*IMPORT, tmp_path / "store", *MODEL, *options)
    assert done.code == 2
    assert message in " ".join(done.err.replace("│", " ").split())
    assert not (tmp_path / "store").exists()


def test_files_for_the_other_option_are_said(
    bridgex: Callable[..., Any], published: Path, tmp_path: Path
) -> None:
    probes = published / "activation_value_zh_ja_llama.pt"
    counts = published / "activation.zh.flores.llama"
    ask = (*IMPORT, tmp_path / "store", *MODEL)
    done = bridgex(*ask, "--statistics", f"zh={probes}")
    assert (done.code, "give them with --probes" in done.err) == (1, True)
    lexicon = published / "zh-ja.txt"
    done = bridgex(*ask, "--probes", f"zh-ja={counts}", "--lexicon", lexicon)
    assert (done.code, "give them with --statistics" in done.err) == (1, True)
    assert not (tmp_path / "store").exists()


def test_lists_stand_beside_the_stores_own_sets(
    bridgex: Callable[..., Any], store: Path, tmp_path: Path
) -> None:
    rule = ("--top-percent", "5")
    assert bridgex("store", "export", "neurons", store, "-o", tmp_path, *rule).code == 0
    ask = ("query", "overlap", store, *rule, "--languages", "id", "--format", "json")
    own = tmp_path / "top_neurons_id.txt"
    done = bridgex(
        *ask, "--neuron-list", own, "--neuron-list", f"other={tmp_path / 'top_neurons_sw.txt'}"
    )
    assert done.code == 0, done.err
    rows = {
        (row["first"], row["second"]): row
        for row in json.loads(done.out)["rows"]
        if row["layer"] is None
    }
    assert rows["id", "top_neurons_id"]["jaccard"] == 1.0
    both = set(own.read_text().splitlines())
    both &= set((tmp_path / "top_neurons_sw.txt").read_text().splitlines())
    assert rows["id", "other"]["shared"] == len(both)
    some = json.loads(bridgex(*ask, "--layers", "1", "--neuron-list", own).out)["rows"]
    inside = [line for line in own.read_text().splitlines() if line.startswith("(1,")]
    assert {row["shared"] for row in some} == {len(inside)}
    done = bridgex(*ask, "--neuron-list", f"id={own}")
    assert (done.code, "there is a set 'id' already" in done.err) == (1, True)


def test_without_torch_the_remedy_is_said(published: Path, tmp_path: Path) -> None:
    file = published / "activation.zh.flores.llama"
    code = (
        "import sys; sys.modules['torch'] = None; from bridgex.cli import main; "
        f"main(['store', 'import', {str(tmp_path / 'store')!r}, '--model', 'm', "
        f"'--statistics', {str(file)!r}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pip install 'bridgex[models]'" in done.stderr
