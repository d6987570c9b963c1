"""The rules that keep the package easy to find one's way in; `make check` runs this alone."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.imports import HEAVY, imported_by

SOURCE = Path(__file__).parents[1] / "src" / "annoseq"
MODULES = sorted(path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py"))
LONGEST_FILE = 350

ROOMS = [
    {"errors", "config", "files", "launch", "progress", "bar", "_version"},
    {"pairs"},
    {"formats"},
    {"text"},
    {"doctor"},
    {"devices"},
    {"models"},
    {"decoding"},
    {"evaluation"},
    {"training"},
    {"annotator"},
    {"redaction"},
    {"reporting"},
    {"cli", "__main__"},
]
FLOORS = {name: floor for floor, names in enumerate(ROOMS) for name in names}


def room(module: str) -> str:
    """Return the file or folder directly in `annoseq` that a module is in."""
    return Path(module).parts[0].removesuffix(".py")


def imports(source: str) -> set[str]:
    """Return every dotted name of annoseq that a source imports, wherever it does."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide where a name comes from"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.split(".")[0] == "annoseq"}


def trespasses(module: str, source: str) -> set[str]:
    """Return the names that a module imports from rooms below its own."""
    floor = FLOORS[room(module)]
    return {name for name in imports(source) if FLOORS.get(name.split(".")[1], 99) > floor}


def calls(tree: ast.AST, name: str) -> list[ast.Call]:
    """Return the calls of a dotted name."""
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == name
    ]


def test_every_module_is_in_a_room() -> None:
    assert {room(module) for module in MODULES} - {"__init__"} == set(FLOORS)


@pytest.mark.parametrize("module", [name for name in MODULES if name != "__init__.py"])
def test_a_module_imports_from_its_own_room_or_from_rooms_above(module: str) -> None:
    source = (SOURCE / module).read_text(encoding="utf-8")
    assert trespasses(module, source) == set()


@pytest.mark.parametrize(
    ("module", "source", "expected"),
    [
        ("text/part.py", "from annoseq.pairs.pair import Pair", set()),
        ("text/part.py", "from annoseq.text.codec import Codec", set()),
        ("files.py", "from annoseq.errors import OutputError", set()),
        (
            "files.py",
            "from annoseq.pairs.pair import Pair",
            {"annoseq.pairs.pair.Pair"},
        ),
        (
            "pairs/pair.py",
            "def late():\n    from annoseq.text import codec",
            {"annoseq.text.codec"},
        ),
        (
            "decoding/beam.py",
            "if TYPE_CHECKING:\n    import annoseq.training.learner",
            {"annoseq.training.learner"},
        ),
        ("cli/train.py", "from annoseq import Learner", {"annoseq.Learner"}),
    ],
)
def test_trespasses_are_seen(module: str, source: str, expected: set[str]) -> None:
    assert trespasses(module, source) == expected


@pytest.mark.parametrize("module", MODULES)
def test_no_file_is_long_or_called_utils(module: str) -> None:
    lines = (SOURCE / module).read_text(encoding="utf-8").splitlines()
    assert len(lines) <= LONGEST_FILE
    assert Path(module).stem not in {"utils", "util", "helpers", "common", "misc"}


@pytest.mark.parametrize("module", MODULES)
def test_nothing_can_run_code_that_is_read_from_a_file(module: str) -> None:
    tree = ast.parse((SOURCE / module).read_text(encoding="utf-8"))
    modules = {
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [node.module] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
        )
    }
    assert modules & {"pickle", "dill", "joblib", "shelve", "marshal"} == set()
    for function in ("eval", "exec"):
        assert calls(tree, function) == []
    for call in calls(tree, "torch.load"):
        assert "weights_only=True" in [ast.unparse(keyword) for keyword in call.keywords]


@pytest.mark.parametrize("module", [name for name in MODULES if name.endswith("__init__.py")])
def test_a_package_says_in_one_sentence_what_is_in_it(module: str) -> None:
    document = ast.get_docstring(ast.parse((SOURCE / module).read_text(encoding="utf-8")))
    assert document
    assert document.partition("\n")[0].endswith(".")
    is_plain = module not in {"__init__.py", "models/__init__.py"}
    assert not is_plain or len(document.splitlines()) == 1


@pytest.mark.parametrize("module", MODULES)
def test_no_function_takes_any_keyword_at_all(module: str) -> None:
    tree = ast.parse((SOURCE / module).read_text(encoding="utf-8"))
    takes_many = [
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.args.kwarg is not None
    ]
    assert takes_many == []


def test_help_imports_nothing_heavy() -> None:
    program = "import sys; from annoseq.cli import main; sys.argv = ['annoseq', '--help']; main()"
    assert imported_by(program) & (HEAVY | {"pydantic"}) == set()
