"""Sliding windows over texts longer than the training sources.

1. If no training source had a line break, a text is split at line breaks and each line is read on
   its own. The line breaks are in no window.
2. A segment with more tokens than the longest training source is read in windows of that length,
   which overlap by up to twice the longest training span. Each half of an overlap is owned by the
   nearer window.
3. A window keeps the spans that begin in the tokens that it owns, unless they overlap a span of the
   window before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from annoseq.tokenization.bioes import TokenSpan
from annoseq.tokenization.length_stats import is_line_break

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from annoseq.tokenization.length_stats import LengthStats

_MIN_WINDOW = 32
"""Minimum length of windows in tokens, however short the training sources were."""


@dataclass(frozen=True, slots=True)
class Window:
    """Tokens `first` to `last` (excluded), and those whose spans the window owns."""

    first: int
    last: int
    owned_first: int
    owned_last: int


def cut_windows(tokens: Sequence[str], length_stats: LengthStats) -> list[Window]:
    """Split the tokens of a text into windows; an empty text has none."""
    size = max(length_stats.longest_source, _MIN_WINDOW)
    overlap = min(2 * length_stats.longest_span, size // 2)
    return [
        window
        for first, last in _segments(tokens, keeps_breaks=length_stats.has_line_breaks)
        for window in _slide(first, last, size=size, overlap=overlap)
    ]


def _segments(tokens: Sequence[str], *, keeps_breaks: bool) -> Iterator[tuple[int, int]]:
    first = 0
    text = "" if keeps_breaks else "".join(tokens)
    if "\n" in text or "\r" in text:
        for place, token in enumerate(tokens):
            if is_line_break(token):
                if first < place:
                    yield (first, place)
                first = place + 1
    if first < len(tokens):
        yield (first, len(tokens))


def _slide(first: int, last: int, *, size: int, overlap: int) -> Iterator[Window]:
    starts = range(first, max(first + 1, last - overlap), size - overlap)
    for start in starts:
        end = min(start + size, last)
        yield Window(
            first=start,
            last=end,
            owned_first=start if start == first else start + overlap // 2,
            owned_last=end if end == last else end - overlap + overlap // 2,
        )


def merge_windows(
    windows: Sequence[Window],
    window_spans: Sequence[Sequence[TokenSpan]],
    *,
    may_cross: bool = False,
) -> list[TokenSpan]:
    """Merge the spans of windows, whose positions count from the window's first token.

    With `may_cross`, spans that overlap a span of the window before are kept.
    """
    if len(windows) == 1 and not windows[0].first:
        return list(window_spans[0])
    merged: list[TokenSpan] = []
    reach = 0  # end of the spans kept from the windows before
    for window, spans in zip(windows, window_spans, strict=True):
        kept = []
        for first, last, label, score in spans:
            begin, end = first + window.first, last + window.first
            is_free = may_cross or begin >= reach
            if window.owned_first <= begin < window.owned_last and is_free:
                kept.append(TokenSpan(begin, end, label, score))
        merged += kept
        reach = max([reach, *(span.last for span in kept)])
    return merged
