"""HTML rendering of spans: well-formed, escaped, and nothing of the text lost."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annoseq.data.markup import Span
from annoseq.data.span_html import render_spans_html

_LABEL = re.compile(r'<span style="margin[^>]*>[^<]*</span>')
spans = st.builds(Span, st.integers(-2, 12), st.integers(-2, 14), st.sampled_from(["A", "B<&>"]))


def tree(html: str) -> ElementTree.Element:
    return ElementTree.fromstring(html)


def test_a_span_is_a_mark_with_its_label_and_score() -> None:
    root = tree(render_spans_html("Dr. Ames:", [Span(4, 8, "NAME", score=0.98765)]))
    (mark,) = root
    assert (root.text, mark.text, mark.tail) == ("Dr. ", "Ames", ":")
    assert mark[0].text == "NAME"
    assert mark.get("title") == "NAME 0.988"


def test_nested_spans_are_nested_marks() -> None:
    (outer,) = tree(render_spans_html("Ann Lee", [Span(0, 3, "FIRST"), Span(0, 7, "NAME")]))
    assert [child.tag for child in outer] == ["mark", "span"]
    assert outer[0].text == "Ann"
    assert outer[1].text == "NAME"


def test_a_label_has_one_colour_and_labels_differ() -> None:
    html = render_spans_html("a b c", [Span(0, 1, "A"), Span(2, 3, "B"), Span(4, 5, "A")])
    first, second, third = (mark.get("style") for mark in tree(html))
    assert first == third != second


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "a & b \"c\" 'd'", "", "<mark>"])
def test_text_is_escaped(text: str) -> None:
    root = tree(render_spans_html(text, []))
    assert root.text == (text or None)
    assert len(root) == 0


def test_labels_are_escaped() -> None:
    html = render_spans_html("x", [Span(0, 1, '"><script>')])
    assert "<script>" not in html
    assert tree(html)[0].get("title") == '"><script>'


def test_a_span_that_crosses_is_drawn_up_to_the_end_of_the_other() -> None:
    (outer,) = tree(render_spans_html("abcdef", [Span(0, 4, "A"), Span(2, 6, "B")]))
    assert outer[0].text == "cd"
    assert outer.tail == "ef"


@given(
    text=st.text(st.characters(codec="ascii", categories=["L", "P"]), max_size=10),
    spans=st.lists(spans, max_size=6),
)
def test_any_spans_give_well_formed_html_with_the_whole_text(text: str, spans: list[Span]) -> None:
    html = render_spans_html(text, spans)
    assert "".join(tree(_LABEL.sub("", html)).itertext()) == text
