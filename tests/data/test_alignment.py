from __future__ import annotations

import unicodedata

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from annoseq.data.alignment import (
    Alignment,
    align,
    align_normalized,
    describe_only_difference,
    normalize,
)
from annoseq.data.markup import Span, Tag, render, scan, strip_tags, tighten
from annoseq.errors import MarkupError, MismatchError
from tests.data.strategies import SPACES, annotated_texts, texts

THOROUGH = settings(max_examples=250, deadline=None)


@THOROUGH
@given(annotated_texts())
def test_exact_annotations_give_their_spans(annotation: tuple[str, list[Span]]) -> None:
    text, spans = annotation
    assert align(text, render(text, spans)) == Alignment(spans, is_padded=False)


@THOROUGH
@given(annotated_texts(), st.data())
def test_white_space_beside_tags_is_accepted(
    annotation: tuple[str, list[Span]], data: st.DataObject
) -> None:
    text, spans = annotation
    tight = [_tight(text, span) for span in spans]
    assume(all(span.start < span.end for span in tight))
    annotated = _padded(render(text, spans), data)
    found = align(text, annotated)
    assert found.is_padded == (strip_tags(annotated) != text)
    assert found.spans == (tight if found.is_padded else spans)


@THOROUGH
@given(texts, texts)
def test_a_mismatch_is_where_the_texts_part(text: str, annotated: str) -> None:
    try:
        align(text, annotated)
    except MarkupError:
        return
    except MismatchError as error:
        stripped = strip_tags(annotated)
        before, before_annotated = text[: error.at], stripped[: error.at_annotated]
        assert "".join(before.split()) == "".join(before_annotated.split())
        after, after_annotated = text[error.at :], stripped[error.at_annotated :]
        assert after != after_annotated
    else:
        assert "".join(text.split()) == "".join(strip_tags(annotated).split())


@pytest.mark.parametrize(
    ("text", "annotated", "at", "at_annotated"),
    [
        ("Dr. Ames:", "Dr. {{NAME}}Amos{{/NAME}}:", 6, 6),
        ("Dr. Ames:", "Dr. {{NAME}} Amos{{/NAME}}:", 6, 7),
        ("Dr. Ames:", "Dr. {{NAME}}Ames{{/NAME}}", 8, 8),
        ("Dr. Ames", "Dr. {{NAME}}Ames{{/NAME}}:", 8, 8),
        ("Dr. Ames", "Dr.{{NAME}}Ames{{/NAME}}", 3, 3),  # white space may be added, not lost
        ("Dr. Ames", "Dr.  Ames", 4, 4),  # and beside tags only
        ("Dr. Ames", "Dr. {{NAME}}A mes{{/NAME}}", 5, 5),
        ("a\tb", "a {{X}}b{{/X}}", 1, 1),
        ("a", "", 0, 0),
        ("", "a", 0, 0),
    ],
)
def test_texts_that_differ(text: str, annotated: str, at: int, at_annotated: int) -> None:
    with pytest.raises(MismatchError) as caught:
        align(text, annotated)
    assert (caught.value.at, caught.value.at_annotated) == (at, at_annotated)
    assert str(caught.value) == (
        f"the annotated text without its tags differs from the original at character {at}. "
        "Make them the same but for the tags."
    )


def test_padding_between_nested_and_neighbouring_tags() -> None:
    annotated = " {{A}} {{B}} a {{/B}} b {{/A}} {{C}} c {{/C}} "
    assert align("a bc", annotated) == Alignment(
        [Span(0, 3, "A"), Span(0, 1, "B"), Span(3, 4, "C")], is_padded=True
    )


def test_an_original_that_holds_tag_like_text() -> None:
    spans = [Span(0, 5, "X")]
    assert align("{{A}}", r"{{X}}{{\A}}{{/X}}").spans == spans
    assert align("{{A}}", r"{{X}} {{\A}} {{/X}}") == Alignment(spans, is_padded=True)


@pytest.mark.parametrize("annotated", ["{{A}}a", "a{{/A}}", "{{A}}a{{B}}b{{/A}}{{/B}}"])
def test_tags_that_are_not_nested_are_refused(annotated: str) -> None:
    with pytest.raises(MarkupError):
        align("ab", annotated)


def test_a_padded_span_of_white_space_alone_is_refused() -> None:
    with pytest.raises(MarkupError, match="enclose nothing"):
        align("a b", "a{{A}} {{/A}} b")


def _tight(text: str, span: Span) -> Span:
    marked = text[span.start : span.end]
    start = span.start + len(marked) - len(marked.lstrip())
    return Span(start, start + len(marked.strip()), span.label)


def _padded(annotated: str, data: st.DataObject) -> str:
    spaces = st.sampled_from(SPACES)
    pieces = [
        f"{data.draw(spaces)}{piece}{data.draw(spaces)}" if isinstance(piece, Tag) else piece
        for piece in scan(annotated)
    ]
    return "".join(pieces)


@given(texts)
def test_every_character_stands_for_a_range_of_the_original(text: str) -> None:
    normalized = normalize(text)
    assert len(normalized.text) == len(normalized.starts) == len(normalized.ends)
    assert normalized.text == normalized.text.strip()
    for start, end in zip(normalized.starts, normalized.ends, strict=True):
        assert 0 <= start < end <= len(text)


@given(texts)
def test_a_normalized_text_is_its_own_normal_form(text: str) -> None:
    once = normalize(text).text
    assert normalize(once).text == once


@given(texts)
def test_unicode_forms_are_the_same(text: str) -> None:
    for form in ("NFC", "NFD"):
        assert normalize(unicodedata.normalize(form, text)).text == normalize(text).text


@settings(deadline=None)
@given(annotated_texts())
def test_spans_of_exact_annotations_are_exact(annotation: tuple[str, list[Span]]) -> None:
    text, spans = annotation
    assert align_normalized(text, render(text, spans)) == spans


@settings(deadline=None)
@given(st.lists(st.sampled_from(["a", "é", "e\u0301", "ﬁ", " ", "\u00a0", "’", "\r\n"])), st.data())
def test_spans_of_a_normalized_target_are_those_of_the_source(
    pieces: list[str], data: st.DataObject
) -> None:
    text = "".join(["x", *pieces, "y"])
    span = Span(0, 1, "A") if data.draw(st.booleans()) else Span(len(text) - 1, len(text), "A")
    target = render(text, [span]).replace("\r\n", "\n").replace("’", "'").replace("\u00a0", " ")
    target = unicodedata.normalize(data.draw(st.sampled_from(["NFC", "NFD"])), target) + " "
    assert [tighten(text, found) for found in align_normalized(text, target)] == [span]


def test_what_differs_is_named() -> None:
    assert describe_only_difference("a", "a") is None
    assert describe_only_difference("a", "b") is None
    assert describe_only_difference("a\u2014b", "a-b") == "only quotes and dashes differ"


def test_spans_that_part_a_character_are_refused() -> None:
    annotated = "{{A}}e{{/A}}{{B}}\u0301x{{/B}}"
    try:
        spans = align_normalized("\u00e9x ", annotated)
    except MarkupError:
        return
    assert render("\u00e9x ", spans)
