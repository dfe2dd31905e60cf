"""Every command of the page about texts, in its order, and what commands say of bad texts."""

from __future__ import annotations

import gzip
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from backports import zstd

from bridgex.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = (Path(__file__).parents[2] / "docs/texts.md").read_text(encoding="utf-8")
RECORDS = [f"maneno {number}" for number in range(120)]
ROWS = "".join(json.dumps({"text": record}) + "\n" for record in RECORDS)


@pytest.fixture
def model(model_directory: Callable[..., Path]) -> Path:
    return model_directory("llama", intermediate_size=64, max_position_embeddings=256)


def prepare(directory: Path) -> None:
    lines = "\n".join(RECORDS).encode()
    (directory / "sw.txt.gz").write_bytes(gzip.compress(lines))
    (directory / "en.jsonl.zst").write_bytes(zstd.compress(ROWS.encode()))
    (directory / "texts/id").mkdir(parents=True)
    (directory / "texts/id/a.txt").write_bytes(lines)
    pl.DataFrame({"meta": [{"body": text} for text in RECORDS]}).write_parquet(
        directory / "tl.parquet"
    )
    (directory / "jv.txt").write_text("one\ntwo\n\nthree\n", encoding="utf-8")
    (directory / "es.json.zst").write_bytes(zstd.compress(ROWS.encode()))


def test_the_page_is_true(
    bridgex: Callable[..., Any], model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    prepare(tmp_path)
    blocks = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    lines = "".join(blocks).replace("MODEL", str(model)).splitlines()
    assert len(lines) == 5
    for line in lines[:4]:
        done = bridgex(*shlex.split(line.removeprefix("$ bridgex ")))
        assert done.code == 0, done.err
    piped = shlex.split(lines[4].partition("| bridgex ")[2])
    subprocess.run(
        [sys.executable, "-m", "bridgex", *piped], input=ROWS, text=True, check=True,
        capture_output=True,
    )  # fmt: skip
    snapshot = Store.open(tmp_path / "store").snapshot()
    counts = {code: snapshot.statistics(code).record_count for code in snapshot.languages}
    assert counts == {"sw": 120, "en": 120, "id": 100, "tl": 120, "jv": 2, "es": 120}


def test_the_same_text_from_another_file_is_there_and_may_grow(
    bridgex: Callable[..., Any], model: Path, tmp_path: Path
) -> None:
    prepare(tmp_path)
    start = ("ingest", "corpus", model, tmp_path / "store", "--text")
    assert bridgex(*start, f"sw={tmp_path}/texts/id", "--limit", "50").code == 0
    for place in ("en.jsonl.zst", "sw.txt.gz"):
        done = bridgex(*start, f"sw={tmp_path}/{place}")
        assert done.code == 0, done.err
    assert "sw: 0 parts added" in done.err
    assert Store.open(tmp_path / "store").snapshot().statistics("sw").record_count == 120


@pytest.mark.parametrize(
    ("places", "message"),
    [
        (("sw=-", "en=-"), "standard input is one text"),
        (("sw=absent.txt", "en=gone.txt"), "no such file: absent.txt, gone.txt"),
        (("sw=bad.jsonl",), "line 2 of bad.jsonl is not JSON"),
        (("sw=hf://nowhere",), "expected hf://datasets/OWNER/NAME"),
        (("sw=hf://datasets/a/b",), "the Hub cannot be reached for the dataset a/b"),
    ],
)
def test_a_bad_text_is_refused_before_anything_is_written(
    tmp_path: Path, model: Path, places: tuple[str, ...], message: str
) -> None:
    (tmp_path / "bad.jsonl").write_text('{"text": "one"}\nnone\n', encoding="utf-8")
    texts = [word for place in places for word in ("--text", place)]
    done = subprocess.run(
        [sys.executable, "-m", "bridgex", "ingest", "corpus", model, "store", *texts],
        cwd=tmp_path, env={"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, message in done.stderr) == (1, True), done.stderr
    assert not (tmp_path / "store").exists()
