from __future__ import annotations

import pytest
from hypothesis import given, settings

from annoseq.data.markup import (
    Span,
    Tag,
    closing,
    escape,
    has_tag,
    has_tag_like,
    is_label,
    opening,
    parse,
    render,
    scan,
    strip_tags,
    unescape,
)
from annoseq.errors import MarkupError
from tests.data.strategies import annotated_texts, texts

THOROUGH = settings(max_examples=250, deadline=None)


@THOROUGH
@given(annotated_texts())
def test_parse_undoes_render(annotation: tuple[str, list[Span]]) -> None:
    text, spans = annotation
    assert parse(render(text, spans)) == (text, spans)


@THOROUGH
@given(annotated_texts())
def test_removing_the_tags_gives_the_text_back(annotation: tuple[str, list[Span]]) -> None:
    text, spans = annotation
    assert strip_tags(render(text, spans)) == text


@THOROUGH
@given(texts)
def test_unescape_undoes_escape(text: str) -> None:
    assert unescape(escape(text)) == text


@THOROUGH
@given(texts)
def test_escaped_text_holds_no_tag_and_plain_text_stays_as_it_is(text: str) -> None:
    assert not any(isinstance(piece, Tag) for piece in scan(escape(text)))
    assert (escape(text) != text) == has_tag_like(text)


@THOROUGH
@given(texts)
def test_scan_loses_nothing(text: str) -> None:
    assert "".join(map(str, scan(text))) == text


@THOROUGH
@given(texts)
def test_any_text_is_parsed_to_what_renders_it_or_refused(annotated: str) -> None:
    try:
        text, spans = parse(annotated)
    except MarkupError as error:
        place = error.at
    else:
        place = 0
        assert text == strip_tags(annotated)
        assert parse(render(text, spans)) == (text, spans)
    assert 0 <= place <= len(annotated)


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("{{X}}", r"{{\X}}"),
        ("{{/X}}", r"{{\/X}}"),
        (r"{{\X}}", r"{{\\X}}"),
        ("{{{X}}}", r"{{{\X}}}"),
        ("{{X}}{{/X}}", r"{{\X}}{{\/X}}"),
        ("{{}}", "{{}}"),
        ("{{X Y}}", "{{X Y}}"),
        ("{{//X}}", "{{//X}}"),
        (r"{{/\X}}", r"{{/\X}}"),
        ("{X}", "{X}"),
    ],
)
def test_only_what_looks_like_a_tag_is_escaped(text: str, escaped: str) -> None:
    assert escape(text) == escaped
    assert unescape(escaped) == text


@pytest.mark.parametrize("label", ["NAME", "NAME:DOCTOR", "é", "1", "a/b", "-", "<b>", "姓名"])
def test_labels(label: str) -> None:
    assert is_label(label)
    text, spans = parse(f"x{opening(label)}y{closing(label)}")
    assert (text, spans) == ("xy", [Span(1, 2, label)])


@pytest.mark.parametrize("text", ["", "/A", "A B", "A{", "}", "A\\", "\n", "A\x1c", "A\u00a0B"])
def test_what_cannot_be_a_label(text: str) -> None:
    assert not is_label(text)


def test_nested_spans_are_in_opening_order_the_outer_first() -> None:
    spans = [Span(0, 4, "A"), Span(0, 4, "B"), Span(0, 1, "A"), Span(2, 4, "A")]
    annotated = "{{A}}{{B}}{{A}}w{{/A}}x{{A}}yz{{/A}}{{/B}}{{/A}}"
    assert render("wxyz", spans) == annotated
    assert parse(annotated) == ("wxyz", spans)


def test_spans_may_be_rendered_in_any_order() -> None:
    assert render("ab", [Span(1, 2, "B"), Span(0, 1, "A")]) == "{{A}}a{{/A}}{{B}}b{{/B}}"


@pytest.mark.parametrize(
    ("annotated", "message"),
    [
        (
            "{{A}}x{{B}}y{{/A}}z{{/B}}",
            "found {{/A}} where {{/B}} was expected, at character 12. "
            "Close tags in the reverse of the order they were opened.",
        ),
        (
            "x{{/A}}",
            "found {{/A}} where no closing tag was expected, at character 1. "
            "Close tags in the reverse of the order they were opened.",
        ),
        ("x{{A}}y", "{{A}} is never closed, at character 1. Add {{/A}}."),
        (
            "x{{A}}{{/A}}",
            "{{A}} and {{/A}} enclose nothing, at character 6. "
            "Remove both tags, or move them around a piece of text.",
        ),
    ],
)
def test_annotated_text_that_is_refused(annotated: str, message: str) -> None:
    with pytest.raises(MarkupError) as caught:
        parse(annotated)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("spans", "message"),
    [
        (
            [Span(0, 1, "A B")],
            "a span has the label 'A B', which cannot stand in a tag, at character 0. "
            "Use a label without white space, braces and backslashes.",
        ),
        (
            [Span(2, 2, "A")],
            "a A span from 2 to 2 is empty or outside the text, at character 2. "
            "Use 0 <= start < end <= 4.",
        ),
        (
            [Span(1, 5, "A")],
            "a A span from 1 to 5 is empty or outside the text, at character 1. "
            "Use 0 <= start < end <= 4.",
        ),
        (
            [Span(-1, 1, "A")],
            "a A span from -1 to 1 is empty or outside the text, at character -1. "
            "Use 0 <= start < end <= 4.",
        ),
        (
            [Span(0, 2, "A"), Span(1, 3, "B")],
            "a B span from 1 to 3 crosses a A span from 0 to 2, at character 1. "
            "Let one span lie inside the other, or let them be apart.",
        ),
    ],
)
def test_spans_that_cannot_be_rendered(spans: list[Span], message: str) -> None:
    with pytest.raises(MarkupError) as caught:
        render("abcd", spans)
    assert str(caught.value) == message


def test_escaped_text_is_no_tag() -> None:
    assert has_tag("{{A}}")
    assert has_tag("{{/A}}")
    assert not has_tag(r"{{\A}}")
