"""The rules that keep the package easy to find one's way in; `make check` runs this alone."""

from __future__ import annotations

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.imports import HEAVY, imported_by

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "annoseq"
MODULES = sorted(path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py"))
OUTSIDE = sorted(
    path for name in ("tests", "benchmarks", "scripts") for path in (ROOT / name).rglob("*.py")
)
"""Modules outside of the package."""
LONGEST_FILE = 350
LONGEST_FUNCTION = 60
VAGUE_NAMES = {"utils", "util", "helpers", "common", "misc"}
UNSAFE_MODULES = {"pickle", "dill", "joblib", "shelve", "marshal"}
INDIRECT_QUESTION = re.compile(r"(What|How|Where|Whether|Which|When)\b")

ROOMS = [
    {
        "errors",
        "config",
        "output_lock",
        "atomic_io",
        "torchrun",
        "cpu_threads",
        "progress",
        "_version",
    },
    {"kernels"},
    {"data"},
    {"sample"},
    {"formats"},
    {"tokenization", "vectors"},
    {"check"},
    {"evaluation"},
    {"devices"},
    {"models"},
    {"decoding"},
    {"inference"},
    {"training"},
    {"audit"},
    {"deid"},
    {"scale"},
    {"reporting"},
    {"serving"},
    {"review"},
    {"integrations"},
    {"cli", "__main__"},
]
FLOORS = {name: floor for floor, names in enumerate(ROOMS) for name in names}


def parse(path: Path) -> ast.Module:
    """Return a file's syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def tree(module: str) -> ast.Module:
    """Return the syntax tree of a module of the package."""
    return parse(SOURCE / module)


def statements(module: ast.Module) -> Iterator[ast.stmt]:
    """Yield all statements of a syntax tree, without a walk through its expressions."""
    parts: list[ast.AST] = [module]
    while parts:
        for part in ast.iter_child_nodes(parts.pop()):
            if isinstance(part, ast.stmt):
                yield part
            if not isinstance(part, ast.expr):  # a case and an except hold statements too
                parts.append(part)


def room(module: str) -> str:
    """Return the file or folder directly in `annoseq` that a module is in."""
    return Path(module).parts[0].removesuffix(".py")


def imports(module: ast.Module) -> set[str]:
    """Return every dotted name of annoseq that a module imports, wherever it does."""
    names: set[str] = set()
    for node in statements(module):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide where a name comes from"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.split(".")[0] == "annoseq"}


def trespasses(module: str, source: ast.Module) -> set[str]:
    """Return the names that a module imports from rooms below its own."""
    floor = FLOORS[room(module)]
    return {name for name in imports(source) if FLOORS.get(name.split(".")[1], 99) > floor}


def module_graph() -> dict[str, set[str]]:
    """Return the modules of annoseq that each module imports, for type checking or to run."""
    paths = {
        f"annoseq.{name.removesuffix('.py').replace('/', '.')}".removesuffix(".__init__"): name
        for name in MODULES
        if name != "__init__.py"
    }
    return {
        name: {
            target
            for imported in imports(tree(path))
            for target in (imported, imported.rpartition(".")[0])
            if target in paths and target != name
        }
        for name, path in paths.items()
    }


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return a path for every import that leads back to the module that it is in."""
    found = []
    for start in sorted(graph):
        paths = [[start, target] for target in sorted(graph[start])]
        seen: set[str] = set()
        while paths:
            path = paths.pop()
            if path[-1] == start:
                found.append(path)
                break
            if path[-1] not in seen:
                seen.add(path[-1])
                paths += [[*path, target] for target in sorted(graph[path[-1]])]
    return found


def functions(module: str) -> Iterator[ast.FunctionDef]:
    """Return the functions and methods of a module."""
    return (node for node in statements(tree(module)) if isinstance(node, ast.FunctionDef))


def calls(module: ast.Module) -> dict[str, list[ast.Call]]:
    """Return all calls, by the dotted names of what they call."""
    found: dict[str, list[ast.Call]] = {}
    for node in ast.walk(module):
        if isinstance(node, ast.Call):
            found.setdefault(ast.unparse(node.func), []).append(node)
    return found


def docstrings(module: ast.Module) -> Iterator[str]:
    """Return the docstrings of a module, its classes, functions and fields."""
    for node in statements(module):
        match node:
            case ast.Expr(value=ast.Constant(value=str(text))):
                yield text


def test_every_module_is_in_a_room() -> None:
    assert {room(module) for module in MODULES} - {"__init__"} == set(FLOORS)


def test_a_module_imports_from_its_own_room_or_from_rooms_above() -> None:
    offenders = {
        module: names
        for module in MODULES
        if module != "__init__.py" and (names := trespasses(module, tree(module)))
    }
    assert offenders == {}


@pytest.mark.parametrize(
    ("module", "source", "expected"),
    [
        ("data/pairs.py", "from annoseq.data.markup import Span", set()),
        ("models/crf.py", "from annoseq.data.markup import Span", set()),
        ("atomic_io.py", "from annoseq.errors import OutputError", set()),
        ("atomic_io.py", "from annoseq.data.pairs import Pair", {"annoseq.data.pairs.Pair"}),
        (
            "data/pairs.py",
            "def late():\n    from annoseq.models import crf",
            {"annoseq.models.crf"},
        ),
        (
            "decoding/beam_search.py",
            "if TYPE_CHECKING:\n    import annoseq.training.learner",
            {"annoseq.training.learner"},
        ),
        ("cli/train.py", "from annoseq import Learner", {"annoseq.Learner"}),
    ],
)
def test_trespasses_are_seen(module: str, source: str, expected: set[str]) -> None:
    assert trespasses(module, ast.parse(source)) == expected


def test_no_import_leads_back_even_for_type_checking() -> None:
    assert circles(module_graph()) == []


def test_circles_are_seen() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}
    assert circles(graph) == [["b", "c", "b"], ["c", "b", "c"]]


def test_no_file_name_occurs_twice() -> None:
    counts = Counter(Path(module).name for module in MODULES)
    assert [name for name, count in counts.items() if count > 1] == ["__init__.py"]


def test_no_class_name_occurs_twice() -> None:
    counts = Counter(
        node.name
        for module in MODULES
        for node in statements(tree(module))
        if isinstance(node, ast.ClassDef)
    )
    assert [name for name, count in counts.items() if count > 1] == []


def test_no_file_is_long_or_called_utils() -> None:
    lengths = {
        module: len((SOURCE / module).read_text(encoding="utf-8").splitlines())
        for module in MODULES
    }
    assert {module: length for module, length in lengths.items() if length > LONGEST_FILE} == {}
    assert [module for module in MODULES if Path(module).stem in VAGUE_NAMES] == []


def test_no_function_is_long() -> None:
    lengths = {
        f"{module}:{function.name}": (function.end_lineno or 0) - function.lineno + 1
        for module in MODULES
        for function in functions(module)
    }
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FUNCTION} == {}


def test_no_docstring_opens_with_an_indirect_question() -> None:
    offenders = [
        f"{path.relative_to(ROOT)}: {text.splitlines()[0]}"
        for path in [*map(SOURCE.joinpath, MODULES), *OUTSIDE]
        for text in docstrings(parse(path))
        if INDIRECT_QUESTION.match(text)
    ]
    assert offenders == []


def test_nothing_can_run_code_that_is_read_from_a_file() -> None:
    offenders = []
    for module in MODULES:
        names = {
            name
            for node in statements(tree(module))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in (
                [node.module] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
            )
        }
        offenders += [f"{module}: {name}" for name in names & UNSAFE_MODULES]
        called = calls(tree(module))
        offenders += [f"{module}: {name}" for name in ("eval", "exec") if name in called]
        offenders += [
            f"{module}: torch.load"
            for call in called.get("torch.load", [])
            if "weights_only=True" not in [ast.unparse(keyword) for keyword in call.keywords]
        ]
    assert offenders == []


def test_a_package_says_in_one_sentence_what_is_in_it() -> None:
    offenders = []
    for module in MODULES:
        if not module.endswith("__init__.py") or module == "__init__.py":
            continue
        document = ast.get_docstring(tree(module)) or ""
        if not document.partition("\n")[0].endswith("."):
            offenders.append(module)
    assert offenders == []


def test_no_function_takes_any_keyword_at_all() -> None:
    offenders = [
        f"{module}:{function.name}"
        for module in MODULES
        for function in functions(module)
        if function.args.kwarg is not None
    ]
    assert offenders == []


def test_help_imports_nothing_heavy() -> None:
    program = "import sys; from annoseq.cli import main; sys.argv = ['annoseq', '--help']; main()"
    assert imported_by(program) & (HEAVY | {"pydantic"}) == set()
