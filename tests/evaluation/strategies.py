"""Spans of a short text, lying apart or in any way."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import strategies as st

from annoseq.data.markup import Span

LENGTH = 12
labels = st.sampled_from(["A", "B", "C"])


@st.composite
def _any_span(draw: st.DrawFn) -> Span:
    start = draw(st.integers(0, LENGTH - 1))
    return Span(start, draw(st.integers(start + 1, LENGTH)), draw(labels))


spans = st.lists(_any_span(), max_size=5)
"""In any order, overlapping and doubled as they like."""


@st.composite
def apart(draw: st.DrawFn) -> list[Span]:
    """Draw spans of which no two share a character, in order."""
    cuts = sorted(draw(st.sets(st.integers(0, LENGTH), max_size=8)))
    pieces = list(pairwise(cuts))
    chosen = draw(st.lists(st.booleans(), min_size=len(pieces), max_size=len(pieces)))
    return [
        Span(start, end, draw(labels))
        for (start, end), is_taken in zip(pieces, chosen, strict=True)
        if is_taken
    ]
