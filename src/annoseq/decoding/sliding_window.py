"""How a text of any length is read in pieces that the model knows the length of.

1. If no training source had a line break, a text is cut at its line breaks, and each line is read
   by itself. The breaks themselves are copied.
2. A piece with more tokens than the longest training source is read in windows of that many
   tokens, which overlap by up to twice the longest training span. Two windows share out
   their overlap in the middle.
3. A window keeps the spans that begin in its own share; one that overlaps a span kept from
   the window before it is dropped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from annoseq.tokenization.bioes import TokenSpan
from annoseq.tokenization.length_stats import is_line_break

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from annoseq.tokenization.length_stats import LengthStats

_SHORTEST = 32
"""Windows are at least this many tokens, however short the training sources were."""


@dataclass(frozen=True, slots=True)
class Window:
    """Tokens `first` to `last`, of which it owns the spans that begin in the `owned` ones."""

    first: int
    last: int
    owned_first: int
    owned_last: int


def cut_windows(tokens: Sequence[str], length_stats: LengthStats) -> list[Window]:
    """Cut a text, given in tokens, into windows. An empty text has none."""
    size = max(length_stats.longest_source, _SHORTEST)
    overlap = min(2 * length_stats.longest_span, size // 2)
    return [
        window
        for first, last in _pieces(tokens, keeps_breaks=length_stats.has_line_breaks)
        for window in _slide(first, last, size=size, overlap=overlap)
    ]


def _pieces(tokens: Sequence[str], *, keeps_breaks: bool) -> Iterator[tuple[int, int]]:
    first = 0
    for place, token in enumerate(tokens):
        if is_line_break(token) and not keeps_breaks:
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
    windows: Sequence[Window], found: Sequence[Sequence[TokenSpan]], *, may_cross: bool = False
) -> list[TokenSpan]:
    """Join the spans that were `found` in each window (counted from its first token).

    With `may_cross`, those that overlap spans of the window before are kept.
    """
    joined: list[TokenSpan] = []
    reach = 0  # the end of the spans kept from the windows before
    for window, spans in zip(windows, found, strict=True):
        kept = []
        for first, last, label, score in spans:
            begin, end = first + window.first, last + window.first
            is_free = may_cross or begin >= reach
            if window.owned_first <= begin < window.owned_last and is_free:
                kept.append(TokenSpan(begin, end, label, score))
        joined += kept
        reach = max([reach, *(span.last for span in kept)])
    return joined
