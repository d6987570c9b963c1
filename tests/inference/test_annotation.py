from __future__ import annotations

from math import log

import pytest

from annoseq.data.markup import Span, parse
from annoseq.inference.annotation import Annotation, from_output, from_spans
from annoseq.inference.predictor import GeneratedText
from annoseq.tokenization.bioes import TokenSpan, token_spans_to_text

TEXT = "Dr. Ames, 31y"
NAMED = "Dr. {{NAME}}Ames{{/NAME}}, 31y"
OFFSETS = [(0, 2), (2, 3), (3, 8), (8, 9), (9, 12), (12, 13)]  # a blank belongs to its word


def test_spans_become_tags_around_the_texts_own_characters() -> None:
    tokens = [TokenSpan(2, 3, 1, log(0.5)), TokenSpan(4, 5, 0, log(0.25))]
    spans = token_spans_to_text(TEXT, OFFSETS, tokens, labels=["AGE", "NAME"])
    found = from_spans(TEXT, spans, score=-1.5, windows=2)
    assert found.annotated == "Dr. {{NAME}}Ames{{/NAME}}, {{AGE}}31{{/AGE}}y"
    assert found.spans == (Span(4, 8, "NAME"), Span(10, 12, "AGE"))
    assert [span.score for span in found.spans] == pytest.approx([0.5, 0.25])
    assert (found.score, found.windows, found.problem) == (-1.5, 2, None)


def test_nested_spans_of_one_piece_keep_their_order() -> None:
    tokens = [TokenSpan(2, 3, 0, 0.0), TokenSpan(2, 3, 1, 0.0)]
    spans = token_spans_to_text(TEXT, OFFSETS, tokens, labels=["A", "B"])
    found = from_spans(TEXT, spans, score=0, windows=1)
    assert found.annotated == "Dr. {{A}}{{B}}Ames{{/B}}{{/A}}, 31y"
    assert found.spans == tuple(parse(found.annotated)[1])


def test_what_a_line_of_jsonl_holds() -> None:
    best = Annotation(TEXT, NAMED, (Span(4, 8, "NAME", score=0.123456789),), -0.1234567)
    found = Annotation(
        best.text,
        best.annotated,
        best.spans,
        best.score,
        alternatives=(Annotation(TEXT, "Dr.", None, -2.0, problem="the text was changed"),),
    ).to_dict()
    assert list(found) == ["text", "annotated", "spans", "score", "windows", "alternatives"]
    assert found["spans"] == [
        {"start": 4, "end": 8, "label": "NAME", "text": "Ames", "score": 0.123457}
    ]
    assert (found["score"], found["windows"]) == (-0.123457, 1)
    assert found["alternatives"] == [
        {"annotated": "Dr.", "spans": None, "score": -2.0, "problem": "the text was changed"}
    ]
    assert "alternatives" not in best.to_dict()


@pytest.mark.parametrize(
    ("output", "problem", "is_changed"),
    [
        (NAMED, None, False),
        (TEXT, None, False),
        ("Dr. {{NAME}}Ames, 31y", "malformed: {{NAME}} is never closed, at character 4. ", False),
        ("Dr. {{NAME}}Bond{{/NAME}}, 31y", "the text was changed", True),
        ("", "the text was changed", True),
    ],
)
def test_free_output_is_read(output: str, problem: str | None, is_changed: bool) -> None:
    found = from_output(TEXT, GeneratedText(output, -1), is_translation=False)
    assert (found.text, found.annotated, found.is_changed) == (TEXT, output, is_changed)
    assert (found.problem or "").startswith(problem or "")
    assert (found.problem is None) == (problem is None) == (found.spans is not None)


@pytest.mark.parametrize(
    ("output", "is_translation", "problem"),
    [
        (NAMED, False, None),
        ("Dr. {{NAME}}Ames, 31y", False, "cut at the limit of its length"),
        ("Dr. ", False, "cut at the limit of its length"),
        ("Dr. ", True, "cut at the limit of its length"),
    ],
)
def test_an_output_that_was_cut_says_so(
    output: str, is_translation: bool, problem: str | None
) -> None:
    cut = GeneratedText(output, -1, has_ended=False)
    found = from_output(TEXT, cut, is_translation=is_translation)
    assert (found.annotated, found.problem) == (output, problem)


def test_a_translation_is_not_read_as_markup() -> None:
    found = from_output("{{A}}x{{/A}}", GeneratedText("x {{/B}}", -1), is_translation=True)
    assert (found.spans, found.problem) == (None, None)
    assert found.to_dict()["spans"] is None


def test_it_is_drawn_with_coloured_spans() -> None:
    drawn = Annotation("<b> Ames", "<b> {{N}}Ames{{/N}}", (Span(4, 8, "N"),), -1.0)._repr_html_()
    assert "<mark" in drawn
    assert "&lt;b&gt;" in drawn
    assert "<b>" not in drawn
    free = Annotation("Ames", "<i>Bond", None, -1.0, problem="the text was changed")._repr_html_()
    assert "&lt;i&gt;Bond" in free


def test_its_repr_is_a_line_without_the_text() -> None:
    assert repr(Annotation(TEXT, NAMED, (Span(4, 8, "NAME"),), -1.0)) == (
        "<Annotation: 13 characters, 1 span>"
    )
    assert repr(Annotation(TEXT, "x", None, -1.0)) == "<Annotation: 13 characters, no spans>"
