from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annoseq.data.markup import Span, closing, opening, parse, render, tighten
from annoseq.tokenization.linearize import (
    AlignedSpan,
    align_to_tokens,
    delinearize,
    linearize,
    move_spaces,
)
from annoseq.tokenization.pretokenizer import build_pretokenizer, core_start, find_misaligned_spans
from tests.data.strategies import annotated_texts, labels, texts

if TYPE_CHECKING:
    from collections.abc import Sequence

THOROUGH = settings(max_examples=200, deadline=None)


def cut(text: str) -> tuple[list[str], list[tuple[int, int]]]:
    pieces = build_pretokenizer().pre_tokenize_str(text)
    return [token for token, _ in pieces], [place for _, place in pieces]


def tags_of(spans: Sequence[Span]) -> set[str]:
    return {write(span.label) for span in spans for write in (opening, closing)}


def written(text: str, spans: Sequence[Span]) -> tuple[str, int]:
    """Write spans by way of tokens; return the annotated text and the number of misfits."""
    tokens, offsets = cut(text)
    aligned = align_to_tokens(text, offsets, spans)
    assert len(aligned.spans) + len(aligned.dropped) + len(aligned.blank) == len(spans)
    assert [span for span in spans if text[span.start : span.end].isspace()] == aligned.blank
    return delinearize(linearize(tokens, aligned.spans), tags=tags_of(spans)), aligned.misaligned


@st.composite
def aligned(draw: st.DrawFn) -> tuple[str, list[Span]]:
    """Draw a text and well-nested spans of whole tokens, with no white space at their edges."""
    text = draw(texts)
    offsets = cut(text)[1]
    visible = [place for place in offsets if not text[slice(*place)].isspace()]
    kept: list[Span] = []
    for _ in range(draw(st.integers(0, 6)) if visible else 0):
        first = draw(st.integers(0, len(visible) - 1))
        last = draw(st.integers(first, len(visible) - 1))
        start, end = core_start(text, *visible[first]), visible[last][1]
        if not any(
            one.start < other.start < one.end < other.end
            for kept_one in kept
            for one, other in [sorted([kept_one, Span(start, end, "")])]
        ):
            kept.append(Span(start, end, draw(labels)))
    return text, sorted(kept, key=lambda span: (span.start, -span.end))


@THOROUGH
@given(aligned())
def test_spans_of_whole_tokens_are_written_as_markup_writes_them(
    annotation: tuple[str, list[Span]],
) -> None:
    assert written(*annotation) == (render(*annotation), 0)


@THOROUGH
@given(annotated_texts())
def test_any_spans_become_well_nested_tags_around_the_same_text(
    annotation: tuple[str, list[Span]],
) -> None:
    text, spans = annotation
    output, misaligned = written(text, spans)
    stripped, found = parse(output)
    assert stripped == text
    assert len(found) <= len(spans)
    assert find_misaligned_spans(text, found) == []
    assert [tighten(text, span) for span in found] == found
    assert misaligned == len(find_misaligned_spans(text, spans))  # as the doctor counts them
    if not misaligned:
        assert found == [tighten(text, span) for span in spans]


@pytest.mark.parametrize(
    ("text", "spans", "expected", "misaligned"),
    [
        ("Dr. Ames:", [Span(4, 8, "A")], "Dr. {{A}}Ames{{/A}}:", 0),
        ("Dr. Ames:", [Span(3, 8, "A")], "Dr. {{A}}Ames{{/A}}:", 0),  # the space is outside
        ("a  b \n c", [Span(1, 7, "A")], "a  {{A}}b{{/A}} \n c", 0),
        ("Dr. Ames:", [Span(5, 7, "A")], "Dr. {{A}}Ames{{/A}}:", 1),  # widened
        ("Ames Wu", [Span(2, 6, "A")], "{{A}}Ames Wu{{/A}}", 1),
        ("a  b", [Span(1, 2, "A")], "a  b", 1),  # white space alone: left out
        # Of spans beside each other the first has the token; of those within another, both.
        ("abc", [Span(0, 1, "A"), Span(1, 2, "B")], "{{A}}abc{{/A}}", 2),
        ("abc", [Span(0, 2, "A"), Span(1, 2, "B")], "{{A}}{{B}}abc{{/B}}{{/A}}", 2),
        (
            "abc d",
            [Span(0, 5, "A"), Span(0, 1, "B"), Span(1, 3, "C"), Span(4, 5, "D")],
            "{{A}}{{B}}abc{{/B}} {{D}}d{{/D}}{{/A}}",
            2,
        ),
        # Widened spans would cross: the second begins after the first.
        ("abc d", [Span(0, 1, "A"), Span(1, 5, "B")], "{{A}}abc{{/A}} {{B}}d{{/B}}", 2),
        ("abc  d", [Span(0, 1, "A"), Span(1, 6, "B")], "{{A}}abc{{/A}}  {{B}}d{{/B}}", 2),
        ("a b", [Span(0, 3, "A"), Span(0, 3, "B")], "{{A}}{{B}}a b{{/B}}{{/A}}", 0),
        ("a b", [Span(0, 3, "A"), Span(2, 3, "B")], "{{A}}a {{B}}b{{/B}}{{/A}}", 0),
        ("{{X}}a", [Span(5, 6, "X")], r"{{\X}}{{X}}a{{/X}}", 0),
        ("", [], "", 0),
    ],
)
def test_spans_in_tokens(text: str, spans: list[Span], expected: str, misaligned: int) -> None:
    assert written(text, spans) == (expected, misaligned)


def test_tags_are_tokens_between_the_texts_own() -> None:
    text = "Dr. Ames Wu"
    tokens, offsets = cut(text)
    spans = [Span(0, 11, "A"), Span(4, 8, "B"), Span(9, 11, "C")]
    aligned_spans = align_to_tokens(text, offsets, spans).spans
    assert aligned_spans == [AlignedSpan(0, 4, "A"), AlignedSpan(2, 3, "B"), AlignedSpan(3, 4, "C")]
    assert linearize(tokens, aligned_spans) == [
        *["{{A}}", "Dr", ".", "{{B}}", " Ames", "{{/B}}", "{{C}}", " Wu", "{{/C}}", "{{/A}}"]
    ]


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        (["{{A}}"], "{{A}}"),
        (["{{/A}}", "x"], "{{/A}}x"),
        (["{{A}}", "{{/A}}", " x"], "{{A}}{{/A}} x"),
        (["x", "{{A}}", " ", "y"], "x{{A}} y"),  # a token that is a space stays behind its tag
        (["x", "{{A}}", "{{A}}", " y"], "x {{A}}{{A}}y"),
        (["<unk>", "<eos>"], "<unk><eos>"),
        ([], ""),
    ],
)
def test_tokens_are_joined_though_they_are_not_well_nested(
    tokens: list[str], expected: str
) -> None:
    assert delinearize(tokens, tags=["{{A}}", "{{/A}}"]) == expected


def test_only_tags_that_a_model_knows_are_tags() -> None:
    assert delinearize(["{{A}}", "x", "{{B}}"], tags=["{{A}}"]) == r"{{A}}x{{\B}}"


@pytest.mark.parametrize(
    ("text", "moved"),
    [
        ("Dr. {{X}}Wu{{/X}}, 3", ["Dr", ".", "{{X}}", " Wu", "{{/X}}", ",", " 3"]),
        ("{{X}}Wu{{/X}}", ["{{X}}", "Wu", "{{/X}}"]),
        ("a {{X}}{{Y}}b", ["a", "{{X}}", "{{Y}}", " b"]),
        ("a{{X}} b", ["a", " {{X}}", "b"]),
        ("a {{X}} b", ["a", " {{X}}", " b"]),
        ("a {{X}}\tb", ["a", " {{X}}", "\t", "b"]),
        ("a {{X}}", ["a", " {{X}}"]),
    ],
)
def test_a_word_carries_the_space_before_its_tags(text: str, moved: list[str]) -> None:
    words = [word for word, _ in build_pretokenizer(keeps_tags=True).pre_tokenize_str(text)]
    assert move_spaces(words) == moved
    assert move_spaces(moved, back=True) == words


_flagged = st.builds(
    str.__add__, st.sampled_from(["", " "]), st.sampled_from(["{{X}}", "{{/X}}", "a", "7", "."])
)


@given(words=st.lists(_flagged | st.sampled_from([" ", "\t", "\n"]), max_size=12))
def test_spaces_that_were_moved_can_be_moved_back(words: list[str]) -> None:
    assert move_spaces(move_spaces(words), back=True) == words
    assert move_spaces(move_spaces(words, back=True)) == words
