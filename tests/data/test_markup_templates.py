from __future__ import annotations

import time
from contextlib import suppress

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from annoseq.data.foreign_markup import detect_tag_syntax
from annoseq.data.markup import Span, parse
from annoseq.data.markup_templates import KNOWN_SYNTAXES, tag_syntax
from annoseq.errors import MarkupError, MismatchError, OptionError
from tests.data.strategies import annotated_texts

EXAMPLES = [syntax.example for syntax in KNOWN_SYNTAXES]
DESCRIBED = [*EXAMPLES, "<<LABEL|...>>", "((TEXT|LABEL))"]
NAME = [Span(4, 8, "NAME")]


@pytest.mark.parametrize(
    ("example", "annotated"),
    [
        ("<LABEL>text</LABEL>", "Dr. <NAME>Ames</NAME>"),
        ("<LABEL>text</LABEL>", 'Dr. <NAME TYPE="NAME">Ames</NAME>'),
        ("<LABEL>text</LABEL>", "Dr. <NAME> Ames </NAME>"),
        ("[text](LABEL)", "Dr. [Ames](NAME)"),
        ("[LABEL]text[/LABEL]", "Dr. [NAME]Ames[/NAME]"),
        ("[LABEL text]", "Dr. [NAME Ames]"),
        ("{LABEL}text{/LABEL}", "Dr. {NAME}Ames{/NAME}"),
        ("__LABEL__...__", "Dr. __NAME__Ames__"),
        ("«TEXT»LABEL»", "Dr. «Ames»NAME»"),
        ("[text]LABEL", "Dr. [Ames]NAME"),
        ("**text**(LABEL)", "Dr. **Ames**(NAME)"),
    ],
)
def test_a_described_syntax_is_read(example: str, annotated: str) -> None:
    syntax = tag_syntax(example)
    assert syntax.align("Dr. Ames", annotated) == NAME
    if " Ames " not in annotated:
        assert parse(syntax.translate(annotated)) == ("Dr. Ames", NAME)


@pytest.mark.parametrize(
    ("example", "text", "annotated", "expected"),
    [
        ("<LABEL>text</LABEL>", "Ames", '<NAME type="DOCTOR">Ames</NAME>', [(0, 4, "NAME:DOCTOR")]),
        ("<LABEL>text</LABEL>", "A & B", "<X>A</X> &amp; B", [(0, 1, "X")]),
        ("<LABEL>text</LABEL>", "<br>a", "<br><N>a</N>", [(4, 5, "N")]),
        ("<LABEL>text</LABEL>", "5 < a > b", "5 < <N>a</N> > b", [(4, 5, "N")]),
        ("<LABEL>text</LABEL>", "ab", "<A><B>a</B>b</A>", [(0, 2, "A"), (0, 1, "B")]),
        ("[text](LABEL)", "[x] y", "[[x] y](L)", [(0, 5, "L")]),
        ("[text](LABEL)", "[1] a", "[1] [a](L)", [(4, 5, "L")]),
        ("[LABEL text]", "[see a]", "[see [N a]]", [(5, 6, "N")]),
        ("@LABEL ... @", "a b", "@A a @B b @ @", [(0, 3, "A"), (2, 3, "B")]),
        ("[LABEL text]", "{{A}} b", "{{A}} [N b]", [(6, 7, "N")]),
    ],
)
def test_brackets_of_the_original_are_told_from_tags(
    example: str, text: str, annotated: str, expected: list[tuple[int, int, str]]
) -> None:
    assert tag_syntax(example).align(text, annotated) == [Span(*span) for span in expected]


@pytest.mark.parametrize(
    ("annotated", "error"),
    [
        ("Dr. <NAME>Aims</NAME>", MismatchError),
        ("Dr. <NAME>Ames", MarkupError),
        ("Dr. <NAME>Ames</DATE>", MarkupError),
        ("Dr. Ames</NAME>", MarkupError),
    ],
)
def test_another_text_than_the_original_is_refused(annotated: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        tag_syntax("<LABEL>text</LABEL>").align("Dr. Ames", annotated)


@pytest.mark.parametrize("example", DESCRIBED)
@settings(max_examples=15, deadline=None)
@given(drawn=annotated_texts())
def test_what_is_written_is_the_text_plus_tags(example: str, drawn: tuple[str, list[Span]]) -> None:
    text, spans = drawn
    plain = [Span(span.start, span.end, f"L{index}") for index, span in enumerate(spans)]
    syntax = tag_syntax(example)
    written = syntax.write(text, plain)
    assume(not set(text) & set("<>[](){}@|/\\"))
    assert syntax.align(text, written) == plain
    assert parse(syntax.translate(written)) == (text, plain)


@pytest.mark.parametrize(
    ("described", "message"),
    [
        ("<LABEL>", "which has 0 places for the text"),
        ("<LABEL>text text</LABEL>", "which has 2 places for the text"),
        ("<B>text</B>", "with LABEL in one of them or in each"),
        ("<LABEL>text", "where tags are expected on both sides of the text"),
        ("LABELLABEL text.", "where tags are expected on both sides"),
    ],
)
def test_a_bad_example_is_refused(described: str, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        tag_syntax(described)
    assert message in str(caught.value)
    assert repr(described) in str(caught.value)


def test_every_known_syntax_is_written_and_detected() -> None:
    for syntax in KNOWN_SYNTAXES:
        annotated = syntax.write("Dr. Ames", NAME)
        assert syntax.align("Dr. Ames", annotated) == NAME
        assert detect_tag_syntax("Dr. Ames", annotated) is syntax


@pytest.mark.parametrize("piece", ["[", "<a ", "[a ", "[](", "](A)", "<a>", "[x](a"])
def test_alignment_takes_linear_time(piece: str) -> None:
    start = time.process_time()
    for example in EXAMPLES:
        with pytest.raises((MarkupError, MismatchError)):
            tag_syntax(example).align(piece * 100 + "x", piece * 100 + "y")
    assert time.process_time() - start < 2


@settings(max_examples=40, deadline=None)
@given(st.text(), st.sampled_from(EXAMPLES))
def test_any_text_is_translated_or_refused(text: str, example: str) -> None:
    with suppress(MarkupError):
        parse(tag_syntax(example).translate(text))
