"""Every command of the page about exchange, in its order."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

PAGE = (Path(__file__).parents[2] / "docs/exchange.md").read_text(encoding="utf-8")


def commands() -> list[list[str]]:
    blocks = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line.removeprefix("$ bridgex ")) for line in lines]


def publish(directory: Path) -> None:
    """Put the files there that the page imports."""
    for language in ("id", "tl", "en"):
        activations = torch.randn(50, 3, 600)
        counts = (activations > 0).sum(dim=0).to(torch.int32)
        torch.save(
            {"n": 50, "over_zero": counts, "sum1": activations.sum(dim=0)},
            directory / f"activation.{language}.flores.llama",
        )
    torch.save(torch.randn(3, 600, 40), directory / "activation_value_id_tl_llama.pt")
    lines = [f"kata{number} salita{number}\n" for number in range(40)]
    (directory / "id-tl.txt").write_text("".join(lines), encoding="utf-8")


def test_the_page_is_true(
    bridgex: Callable[..., Any],
    store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    publish(tmp_path)
    assert len(commands()) == 10
    for command in commands():
        done = bridgex(*(str(store) if word == "STORE" else word for word in command))
        assert done.code == 0, f"{command}: {done.err}"
    printed = io.StringIO()
    for code in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        with contextlib.redirect_stdout(printed):
            exec(compile(code, "exchange.md", "exec"), {})  # noqa: S102 - our own text
    assert printed.getvalue().endswith("lape 40 (700, 40)\n")
