"""Greedy selection of non-crossing spans among candidates."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from annoseq.data.markup import Span


def select_non_crossing(candidates: Iterable[Span]) -> list[Span]:
    """Select spans by falling score, skipping those that cross a selected one; in opening order.

    Spans may be nested even if the training pairs never nested them, which keeps two labels for the
    same text. Ties go to the first, then to the longest span. Of two spans of the same text the one
    with the higher score is the outer one. Duplicates are removed.

    >>> from annoseq.data.markup import Span
    >>> select_non_crossing([Span(0, 2, "A", 0.9), Span(1, 3, "A", 0.6), Span(1, 2, "B", 0.1)])
    [Span(start=0, end=2, label='A'), Span(start=1, end=2, label='B')]
    """
    selected: dict[Span, Span] = {}
    farthest: dict[int, int] = {}  # by start, the end of the longest selected span
    nearest: dict[int, int] = {}  # by end, the start of the longest selected span
    for span in sorted(candidates, key=_rank):
        start, end = span.start, span.end
        inside = range(start + 1, end)
        if any(farthest.get(at, end) > end or nearest.get(at, start) < start for at in inside):
            continue
        if selected.setdefault(span, span) is span:
            farthest[start] = max(farthest.get(start, end), end)
            nearest[end] = min(nearest.get(end, start), start)
    return sorted(selected, key=lambda span: (span.start, -span.end, *_rank(span)))


def _rank(span: Span) -> tuple[float, int, int, str]:
    """Return the sort key of selection."""
    return (-(span.score or 0.0), span.start, -span.end, span.label)
