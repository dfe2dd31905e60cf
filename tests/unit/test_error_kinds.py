"""The core and Python say the same words for the same kinds of error."""

import re
from pathlib import Path

import pytest

from bridgex import errors
from bridgex.analysis.arrays import top_k

RUST = Path(__file__).parents[2] / "rust"

# Those that no exception of bridgex stands for: Python's own KeyboardInterrupt does.
PYTHONS_OWN = {"interrupted"}


def classes() -> dict[str, type[errors.BridgexError]]:
    found = [one for one in vars(errors).values() if isinstance(one, type)]
    return {one.kind: one for one in found if issubclass(one, errors.BridgexError)}


def words(path: str, function: str) -> set[str]:
    """Return the words in quotes of a function's body, which ends at its indentation."""
    source = (RUST / path).read_text(encoding="utf-8")
    match = re.search(rf"^( *)(?:pub )?fn {function}\b.*?^\1}}", source, re.DOTALL | re.MULTILINE)
    assert match is not None, f"{path} has no function {function}"
    return set(re.findall(r'"(\w+)"', match[0]))


def test_every_class_has_a_kind_of_its_own() -> None:
    found = [one for one in vars(errors).values() if isinstance(one, type)]
    assert len(classes()) == len([one for one in found if issubclass(one, errors.BridgexError)])


def test_every_kind_of_the_core_is_one_of_python() -> None:
    kinds = words("bridgex-core/src/error.rs", "kind")
    assert {"invalid_input", "error", "interrupted"} <= kinds
    assert kinds - PYTHONS_OWN <= set(classes())


def test_every_kind_becomes_the_class_that_has_it() -> None:
    translated = words("bridgex-py/src/errors.rs", "exception")
    names = {one.__name__ for one in classes().values()}
    kinds = words("bridgex-core/src/error.rs", "kind")
    used = translated & names
    assert {errors.InvalidInputError.__name__, errors.BridgexError.__name__} <= used
    assert {classes()[kind].__name__ for kind in kinds - PYTHONS_OWN} == used


def test_an_error_of_the_core_has_its_kind_and_class() -> None:
    with pytest.raises(errors.InvalidInputError) as caught:
        top_k([float("nan")], 1)
    assert caught.value.kind == "invalid_input"
