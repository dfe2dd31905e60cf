"""The documentation is true: what it shows is what the program says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bridgex.capture.page import models_page
from bridgex.cli.main import cli
from bridgex.cli.reference import commands, reference

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def test_the_command_line_reference_is_current() -> None:
    page = ROOT / "docs/reference/cli.md"
    assert page.read_text(encoding="utf-8") == reference(), "run: make docs"


def test_the_page_of_models_is_current() -> None:
    page = ROOT / "docs/models.md"
    assert page.read_text(encoding="utf-8") == models_page(), "run: make docs"


def test_every_command_is_explained() -> None:
    for name, command in commands(cli):
        assert command.help, name
        for parameter in command.params:
            if parameter.param_type_name == "option":
                assert getattr(parameter, "help", None), f"{name} {parameter.name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_in_the_text_exist(page: Path) -> None:
    known = {name for name, _ in commands(cli)}
    for words in re.findall(r"`(?:\$ )?(bridgex [a-z][^`]*)`", page.read_text(encoding="utf-8")):
        parts = words.split()
        assert " ".join(parts[:2]) in known, words


def test_make_targets_in_the_text_exist() -> None:
    targets = set(
        re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    )
    for page in PAGES:
        for code in re.findall(r"```.*?```|`[^`]+`", page.read_text(encoding="utf-8"), re.DOTALL):
            for target in re.findall(r"(?m)(?:^|`)make ([a-z-]+)", code):
                assert target in targets, f"{page.name}: make {target}"
