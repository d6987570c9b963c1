"""Coverage spans: scored parts of a text, and the spans above a threshold."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annoseq.data.markup import Span, parse, render
from annoseq.decoding.coverage_spans import score_coverage, spans_above

TEXT = "Ana Paz-Sol, Rio 7. Ana\nPaz"


def token(word: str, score: float, label: str = "NAME", *, nth: int = 0) -> Span:
    start = -1
    for _ in range(nth + 1):
        start = TEXT.index(word, start + 1)
    return Span(start, start + len(word), label, score)


def marked(best: list[Span], tokens: list[Span], threshold: float) -> list[tuple[str, str]]:
    spans = spans_above(TEXT, best, score_coverage(TEXT, best, tokens), threshold)
    return [(TEXT[span.start : span.end], span.label) for span in spans]


def test_neighbours_of_a_label_are_joined_over_a_space_and_a_hyphen() -> None:
    tokens = [token("Ana", 0.9), token("Paz", 0.5), token("Sol", 0.6)]
    assert marked([], tokens, 0.5) == [("Ana Paz-Sol", "NAME")]
    assert marked([], tokens, 0.6) == [("Ana", "NAME"), ("Sol", "NAME")]
    assert marked([], tokens, 0.95) == []


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        (token("Rio", 0.9), ["Sol", "Rio"]),  # a comma separates
        (token("Sol", 0.9, "PLACE"), ["Paz", "Sol"]),  # and so do labels
    ],
)
def test_what_is_not_joined(second: Span, expected: list[str]) -> None:
    first = token("Sol", 0.9) if second.label == "NAME" else token("Paz", 0.9)
    assert [word for word, _ in marked([], [first, second], 0.5)] == expected


def test_a_line_break_separates() -> None:
    tokens = [token("Ana", 0.9, nth=1), token("Paz", 0.9, nth=1)]
    assert [word for word, _ in marked([], tokens, 0.5)] == ["Ana", "Paz"]


def test_a_likeliest_span_is_extended_and_never_merged_with_another() -> None:
    best = [token("Ana", 0.7), token("Sol", 0.8)]
    assert marked(best, [], 0.5) == [("Ana", "NAME"), ("Sol", "NAME")]
    assert marked(best, [token("Paz", 0.2)], 0.2) == [("Ana Paz-", "NAME"), ("Sol", "NAME")]
    spans = spans_above(TEXT, best, score_coverage(TEXT, best, [token("Paz", 0.2)]), 0.2)
    assert [span.score for span in spans] == [0.7, 0.8]


def test_spans_within_a_likeliest_span_stay() -> None:
    best = [token("Ana Paz", 0.7), token("Paz", 0.6, "PART")]
    assert marked(best, [token("Paz", 0.9), token("Sol", 0.9)], 0.5) == [
        ("Ana Paz-Sol", "NAME"),
        ("Paz", "PART"),
    ]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["Sol", ",", "Rio"], ["Sol, Rio"]),
        (["Sol", ","], ["Sol"]),
        ([",", "Rio"], ["Rio"]),
        ([","], []),
    ],
)
def test_punctuation_is_marked_between_marked_parts_only(
    words: list[str], expected: list[str]
) -> None:
    tokens = [token(word, 0.4 if word == "Sol" else 0.9) for word in words]
    assert [word for word, _ in marked([], tokens, 0.4)] == expected
    assert all(word == "Rio" for word, _ in marked([], tokens, 0.5))


def test_a_symbol_identifies_and_keeps_its_score() -> None:
    text = "+34 b+c"
    symbols = [Span(0, 1, "ID", 0.8), Span(5, 6, "ID", 0.1)]
    letters = [Span(4, 5, "ID", 0.6), Span(6, 7, "ID", 0.7)]
    parts = score_coverage(text, [], [*symbols, *letters])
    assert [(part.start, part.score) for part in parts] == [(0, 0.8), (4, 0.6), (5, 0.6), (6, 0.7)]


def test_the_score_of_an_added_span_is_the_highest_of_its_parts() -> None:
    parts = score_coverage(TEXT, [], [token("Ana", 0.4), token("Paz", 0.3)])
    (span,) = spans_above(TEXT, [], parts, 0.3)
    assert span.score == 0.4


words = st.lists(st.sampled_from(["Ana", "7", "-", ".", " ", "  ", "\n", ","]), max_size=14)
scores = st.sampled_from([0.0, 0.1, 0.5, 0.9])
labels = st.sampled_from(["A", "B"])


@settings(max_examples=200, deadline=None)
@given(st.data(), words)
def test_a_part_is_marked_if_its_score_reaches_the_threshold(
    data: st.DataObject, pieces: list[str]
) -> None:
    text = "".join(pieces)
    best: list[Span] = []
    tokens: list[Span] = []
    start = 0
    for piece in pieces:
        span = Span(start, start + len(piece), data.draw(labels), data.draw(scores))
        start = span.end
        if not piece.isspace():
            (best if data.draw(st.booleans()) else tokens).append(span)
    parts = score_coverage(text, best, tokens)
    assert all(a.end <= b.start for a, b in pairwise(parts))
    threshold = data.draw(st.sampled_from([0.05, 0.3, 0.9, 1.0]))
    spans = spans_above(text, best, parts, threshold)
    covered = {at for span in spans for at in range(span.start, span.end)}
    for part in parts:
        is_marked = covered.issuperset(range(part.start, part.end))
        assert is_marked == ((part.score or 0.0) >= threshold)
    unscored = {at for at, character in enumerate(text) if not character.isspace()} - {
        at for part in parts for at in range(part.start, part.end)
    }
    assert not unscored & covered
    assert parse(render(text, spans)) == (text, spans)
