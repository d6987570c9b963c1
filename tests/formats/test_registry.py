from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, get_args

import pytest

from annoseq.formats.conversion_options import ImportOption
from annoseq.formats.registry import FORMATS, FormatName, import_options
from tests.cli.command import refusal, run
from tests.formats.documents import FILES
from tests.imports import HEAVY, modules_of

if TYPE_CHECKING:
    from pathlib import Path

    from annoseq.formats.registry import CorpusFormat

MODULES: dict[CorpusFormat, str] = {
    "brat": "brat",
    "i2b2": "i2b2_xml",
    "meddocan": "i2b2_xml",
    "folders": "inline_text",
    "inline": "inline_text",
    "inline-xml": "inline_xml",
    "conll": "conll",
    "pubtator": "pubtator",
    "doccano": "doccano",
    "label-studio": "label_studio",
    "spacy-jsonl": "prodigy_jsonl",
    "spacy": "spacy_docbin",
    "spans": "spans_table",
}


def test_every_format_is_registered() -> None:
    assert {*FORMATS, "table"} == set(get_args(FormatName))


def test_importing_the_registry_imports_no_format() -> None:
    imported = modules_of("import annoseq.formats.registry")
    formats = {name for name in imported if name.startswith("annoseq.formats.")}
    assert formats == {"annoseq.formats.registry"}
    assert imported & (HEAVY | {"spacy", "pydantic"}) == set()


@pytest.mark.parametrize("name", FORMATS)
def test_the_registry_agrees_with_the_capabilities_of_a_format(name: CorpusFormat) -> None:
    module = import_module(f"annoseq.formats.{MODULES[name]}")
    assert FORMATS[name].holds_scores == module.CAPABILITIES.scores
    assert FORMATS[name].is_folder == ("." not in FILES[name])


def test_every_option_has_a_meaning_for_some_format() -> None:
    options = {name: import_options(name) for name in get_args(FormatName)}
    assert frozenset.union(*options.values()) == set(get_args(ImportOption))
    dialect = {"delimiter", "encoding"}
    assert options["table"] == {"markup", "source-column", "target-column", "map"} | dialect
    assert options["conll"] == {"unit", "map", "token-column", "tag-column"}
    assert options["spans"] == {"unit", "map", "offsets", "texts"} | dialect


@pytest.mark.parametrize("name", FORMATS)
def test_malformed_input_of_every_format_is_tested(name: CorpusFormat) -> None:
    tests = import_module(f"tests.formats.test_{MODULES[name]}")
    assert len(tests.MALFORMED) >= 10


@pytest.mark.parametrize("name", FORMATS)
def test_a_missing_source_is_named(name: CorpusFormat, tmp_path: Path) -> None:
    if name == "spacy":
        pytest.importorskip("spacy")
    message = refusal(run("import", name, tmp_path / "none.x", tmp_path / "pairs.csv"))
    assert "none.x" in message
    assert "there is no" in message or "stands for no known format" in message
