from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from inspect import isclass, isfunction

import pytest

import annoseq
from tests.imports import HEAVY, imported_by


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
