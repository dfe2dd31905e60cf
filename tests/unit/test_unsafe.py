"""Unsafe Rust is where the architecture says, and every use of it is argued."""

import re
from pathlib import Path

SOURCES = Path(__file__).parents[2] / "rust"
ALLOWED = {"product.rs", "instructions.rs"}
UNSAFE = re.compile(r"\bunsafe\b(?!_code)")


def uses(source: str) -> list[int]:
    """Lines of code with an unsafe block or function."""
    lines = source.splitlines()
    return [n for n, line in enumerate(lines) if UNSAFE.search(line.partition("//")[0])]


def argued(source: str, line: int) -> bool:
    above = source.splitlines()[:line]
    while above and not above[-1].strip().startswith("//"):
        if not above.pop().rstrip().endswith((",", "(", "=")):
            return False
    comments = [text.strip() for text in above]
    while comments and comments[-1].startswith("//"):
        if comments.pop().startswith("// SAFETY:"):
            return True
    return False


def test_unsafe_code_is_in_two_files() -> None:
    found = {path.name for path in SOURCES.rglob("src/**/*.rs") if uses(path.read_text("utf-8"))}
    assert found == ALLOWED


def test_every_unsafe_block_is_argued() -> None:
    for path in SOURCES.rglob("src/**/*.rs"):
        source = path.read_text("utf-8")
        for line in uses(source):
            assert argued(source, line), f"{path.name}:{line + 1}"


def test_a_block_without_its_argument_is_caught() -> None:
    assert uses("fn f() {\n    unsafe { g() }\n}\n") == [1]
    assert not argued("fn f() {\n    unsafe { g() }\n}\n", 1)
    assert argued("// SAFETY: because\n// of this.\nunsafe { g() }\n", 2)
    assert uses("#![allow(unsafe_code)] // unsafe\n") == []
