"""Which of the spans that may be there stand in a text together, so that it stays well nested."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from annoseq.data.markup import Span


def select_non_crossing(candidates: Iterable[Span]) -> list[Span]:
    """Take the likeliest first, and leave out what would cross one taken; return opening order.

    Spans may lie within one another, though the training pairs never nested them: only so can two
    readings of a place both be kept. Of equally likely ones the first, longest is taken. Of two
    around the same text the likelier is outside. A span that is there twice is taken once.

    >>> from annoseq.data.markup import Span
    >>> choose([Span(0, 2, "A", 0.9), Span(1, 3, "A", 0.6), Span(1, 2, "B", 0.1)])
    [Span(start=0, end=2, label='A'), Span(start=1, end=2, label='B')]
    """
    taken: dict[Span, Span] = {}
    farthest: dict[int, int] = {}  # by start, the end of the longest span taken
    nearest: dict[int, int] = {}  # by end, the start of the longest span taken
    for span in sorted(candidates, key=_rank):
        start, end = span.start, span.end
        inside = range(start + 1, end)
        if any(farthest.get(at, end) > end or nearest.get(at, start) < start for at in inside):
            continue
        if taken.setdefault(span, span) is span:
            farthest[start] = max(farthest.get(start, end), end)
            nearest[end] = min(nearest.get(end, start), start)
    return sorted(taken, key=lambda one: (one.start, -one.end, *_rank(one)))


def _rank(span: Span) -> tuple[float, int, int, str]:
    """Sort the likeliest first."""
    return (-(span.score or 0.0), span.start, -span.end, span.label)
