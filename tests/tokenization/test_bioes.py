from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from annoseq.data.markup import Span
from annoseq.tokenization.bioes import (
    TokenSpan,
    bioes_to_token_spans,
    spans_to_bioes,
    token_spans_to_text,
)
from annoseq.tokenization.linearize import AlignedSpan

NAMES = "ABC"
LABELS = {name: number for number, name in enumerate(NAMES)}
LEVELS = 4


@st.composite
def nested_covers(draw: st.DrawFn) -> tuple[int, list[AlignedSpan]]:
    """Draw a number of tokens, and well-nested spans of them in opening order."""
    tokens = draw(st.integers(1, 9))
    kept: list[AlignedSpan] = []
    for _ in range(draw(st.integers(0, 7))):
        first = draw(st.integers(0, tokens - 1))
        cover = AlignedSpan(
            first, draw(st.integers(first + 1, tokens)), draw(st.sampled_from(NAMES))
        )
        if not any(_cross(cover, other) for other in kept) and _depth([*kept, cover]) <= LEVELS:
            kept.append(cover)
    return tokens, sorted(kept, key=lambda one: (one.first, -one.last))


def _cross(one: AlignedSpan, other: AlignedSpan) -> bool:
    first, second = sorted([one, other])
    return first.first < second.first < first.last < second.last


def _depth(aligned_spans: list[AlignedSpan]) -> int:
    return max(
        sum(o.first <= c.first and c.last <= o.last for o in aligned_spans) for c in aligned_spans
    )


@settings(max_examples=30, deadline=None)
@given(rows=st.lists(nested_covers(), min_size=1, max_size=3))
def test_tags_hold_all_of_nested_spans(rows: list[tuple[int, list[AlignedSpan]]]) -> None:
    width = max(tokens for tokens, _ in rows)
    tags = np.zeros((len(rows), width, LEVELS), np.int64)
    for row, (tokens, aligned_spans) in enumerate(rows):
        tags[row, :tokens] = np.array(
            spans_to_bioes(
                aligned_spans, tokens=tokens, levels=LEVELS, labels=LABELS, self_nested=NAMES
            )
        )
    levels = [bioes_to_token_spans(tags[:, :, level], labels=3).tolist() for level in range(LEVELS)]
    for row, (_, aligned_spans) in enumerate(rows):
        spans = [
            AlignedSpan(first, last + 1, NAMES[label])
            for places in levels
            for at, first, last, label in places
            if at == row
        ]
        assert sorted(spans) == sorted(aligned_spans)


def test_what_a_tagger_cannot_find_is_left_out() -> None:
    def tags(*aligned_spans: AlignedSpan, levels: int = 2) -> list[tuple[int, ...]]:
        return spans_to_bioes(aligned_spans, tokens=2, levels=levels, labels={"A": 0, "B": 1})

    whole, inner = AlignedSpan(0, 2, "A"), AlignedSpan(0, 1, "B")
    assert tags(whole, inner) == [(1, 8), (5, 0)]
    assert tags(whole, inner, levels=1) == [(1,), (5,)]
    assert tags(AlignedSpan(0, 2, "X"), inner) == [(8, 0), (0, 0)]
    assert tags(whole, AlignedSpan(0, 2, "A"), inner) == [(1, 8), (5, 0)]


def test_spans_of_no_labels_are_none() -> None:
    assert bioes_to_token_spans(np.zeros((2, 3), np.int64), labels=0).shape == (0, 4)


def test_places_in_the_text_leave_out_white_space() -> None:
    offsets = [(0, 2), (2, 3), (3, 8), (8, 9)]
    spans = [TokenSpan(0, 4, 0, 0.0), TokenSpan(1, 2, 1, 0.0), TokenSpan(2, 4, 1, -1.0)]
    found = token_spans_to_text("Dr\t Ames\n", offsets, spans, labels=["A", "B"])
    assert found == [Span(0, 8, "A"), Span(4, 8, "B")]
    assert [round(span.score or 0, 4) for span in found] == [1.0, 0.3679]
