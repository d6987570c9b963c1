from __future__ import annotations

import ast
import sys
from importlib import import_module
from importlib.metadata import version
from inspect import getsource, isclass, isfunction
from typing import TYPE_CHECKING

import pytest

import annoseq
from tests.imports import HEAVY, imported_by

if TYPE_CHECKING:
    from collections.abc import Iterator

PARTS = {
    *("Batch", "Distillation", "EnsembleModel", "Example", "OnnxModel"),
    *("Seq2SeqTokenizer", "TrainedModel"),
}
"""Exported because public methods take or return them; what they consist of is internal."""
RESULTS = {"CheckReport", "Predictions", "RecallTarget"}
"""Returned by public methods, and never constructed by a user."""
INTERNAL = {
    "LexiconMatcher",  # read by the learner from the files of `LexiconFeatures`
    "PreparedEncodings",  # passed by `Dataset.load`
    "TrainingHistory",  # saved in a model folder
}


def test_importing_annoseq_imports_nothing_heavy() -> None:
    assert imported_by("import annoseq") & (HEAVY | {"pydantic", "rich", "cyclopts"}) == set()


def test_markup_needs_no_torch() -> None:
    program = "from annoseq import parse, render; render(*parse('{{A}}x{{/A}}'))"
    assert imported_by(program) & HEAVY == set()


def test_all_names_are_sorted_and_have_a_home() -> None:
    assert annoseq.__all__ == sorted(annoseq.__all__)
    assert set(annoseq._HOMES) == {*annoseq.__all__} - {"__version__"}
    assert list(annoseq._HOMES) == sorted(annoseq._HOMES)
    assert dir(annoseq) == annoseq.__all__


@pytest.mark.parametrize("name", sorted(annoseq._HOMES))
def test_every_name_can_be_imported_from_the_module_that_defines_it(name: str) -> None:
    thing = getattr(annoseq, name)
    home = import_module(f"annoseq.{annoseq._HOMES[name]}")
    assert thing is getattr(home, name)
    assert isclass(thing) or isfunction(thing)
    assert thing.__doc__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'annoseq' has no attribute 'Nothing'"):
        annoseq.Nothing  # noqa: B018


def test_the_version_is_that_of_the_installed_package() -> None:
    assert annoseq.__version__ == version("annoseq")


def public_functions(thing: type | object) -> Iterator[object]:
    """Yield an exported function, or the constructor and the public methods of a class."""
    if not isclass(thing):
        yield thing
        return
    for name, member in vars(thing).items():
        is_constructor = name == "__init__" and thing.__name__ not in RESULTS
        if is_constructor or not name.startswith("_"):
            function = member.fget if isinstance(member, property) else member
            function = getattr(function, "__func__", function)
            if isfunction(function) and function.__module__ == thing.__module__:
                yield function


def homes_of_names(module: str) -> dict[str, str]:
    """Return the modules from which a module imports names, also those for type checking."""
    return {
        alias.asname or alias.name: node.module or ""
        for node in ast.walk(ast.parse(getsource(sys.modules[module])))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def classes_in(function: object) -> set[str]:
    """Return the names of the classes of annoseq in the annotations of a function."""
    module = function.__module__
    homes = homes_of_names(module)
    classes = set()
    for annotation in function.__annotations__.values():
        for node in ast.walk(ast.parse(str(annotation), mode="eval")):
            if isinstance(node, ast.Name):
                home = sys.modules[module] if node.id not in homes else None
                if home is None and homes[node.id].startswith("annoseq"):
                    home = import_module(homes[node.id])
                value = getattr(home, node.id, None)
                if isclass(value) and value.__module__.startswith("annoseq"):
                    classes |= set() if getattr(value, "_is_protocol", False) else {node.id}
    return classes


@pytest.mark.parametrize("name", sorted({*annoseq._HOMES} - PARTS))
def test_what_public_functions_take_and_return_is_public(name: str) -> None:
    missing = {
        other
        for function in public_functions(getattr(annoseq, name))
        for other in classes_in(function)
    }
    assert missing - {*annoseq.__all__} - INTERNAL == set()


def test_nothing_is_called_internal_without_need() -> None:
    used = {
        other
        for name in {*annoseq._HOMES} - PARTS
        for function in public_functions(getattr(annoseq, name))
        for other in classes_in(function)
    }
    assert used >= INTERNAL
    assert used >= PARTS
