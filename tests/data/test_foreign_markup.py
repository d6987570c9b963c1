from __future__ import annotations

import time

import pytest

from annoseq.data.foreign_markup import detect_tag_syntax
from annoseq.data.markup_templates import KNOWN_SYNTAXES


@pytest.mark.parametrize(
    ("source", "target", "example"),
    [
        ("Dr. Ames", "Dr. <NAME>Ames</NAME>", "<LABEL>text</LABEL>"),
        ("Dr. Ames", 'Dr. <name type="x">Ames</name>', "<LABEL>text</LABEL>"),
        ("Ames & Bo", "<A><B>Ames</B> &amp; Bo</A>", "<LABEL>text</LABEL>"),
        ("Ames & Bo", "<A> Ames & Bo </A>", "<LABEL>text</LABEL>"),
        ("Dr. Ames", "Dr. [Ames](NAME)", "[text](LABEL)"),
        ("Dr. Ames", "[Dr. [Ames](NAME)](PERSON)", "[text](LABEL)"),
        ("Dr. Ames", "Dr. [NAME]Ames[/NAME]", "[LABEL]text[/LABEL]"),
        ("Dr. Ames", "Dr. [NAME Ames]", "[LABEL text]"),
        ("Dr. Ames", "[PERSON Dr. [NAME Ames]]", "[LABEL text]"),
        ("Dr. Ames", "Dr. {NAME}Ames{/NAME}", "{LABEL}text{/LABEL}"),
        ("p < 5 [1]", "p < <N>5</N> [1]", "<LABEL>text</LABEL>"),
    ],
)
def test_a_known_syntax_is_detected(source: str, target: str, example: str) -> None:
    syntax = detect_tag_syntax(source, target)
    assert syntax is not None
    assert syntax.example == example


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("Dr. Ames", "Dr. Ames"),
        ("Dr. Ames", "Dr.  Ames"),
        ("Dr. <NAME>Ames</NAME>", "Dr. <NAME>Ames</NAME>"),
        ("Dr. Ames", "Dr. <NAME>Aims</NAME>"),
        ("Dr. Ames", "Dr. {{NAME}}Ames{{/NAME}}"),
        ("yes", "oui"),
        ("yes", ""),
    ],
)
def test_no_syntax_is_detected(source: str, target: str) -> None:
    assert detect_tag_syntax(source, target) is None


@pytest.mark.parametrize("piece", ["[", "<a ", "[a ", "[]([](", "{a", "<" + "a" * 50, "[a](b"])
def test_detection_takes_linear_time(piece: str) -> None:
    start = time.process_time()
    for syntax in KNOWN_SYNTAXES:
        syntax.strip_tags(piece * 5_000)
    assert time.process_time() - start < 5
