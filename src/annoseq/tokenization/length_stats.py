"""Length and nesting statistics of the training pairs: limits for decoding and windows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from annoseq.config import ConfigSection

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from annoseq.tokenization.linearize import AlignedSpan, TokenizedPair


class LengthStats(ConfigSection):
    """Maxima over the training pairs; lengths in tokens."""

    growth: float = 1.0
    """Largest ratio of target length to source length, each with its end symbol."""
    longest_source: int = 0
    """Tokens of the longest source."""
    has_line_breaks: bool = False
    """True if a source holds a line break."""
    longest_span: int = 0
    """Tokens of the longest span."""
    depth: int = 0
    """Depth of nesting: 1 where no span lies in another, 0 without spans."""
    self_nested: tuple[str, ...] = ()
    """Labels of which a span lies inside another with the same label."""

    @classmethod
    def measure(cls, rows: Iterable[TokenizedPair]) -> LengthStats:
        """Measure training pairs in tokens."""
        stats = cls()
        self_nested: set[str] = set()
        for row in rows:
            depth, nested = _nesting(row.aligned_spans)
            self_nested |= nested
            stats = cls(
                growth=max(stats.growth, (len(row.target) + 1) / (len(row.source) + 1)),
                longest_source=max(stats.longest_source, len(row.source)),
                has_line_breaks=stats.has_line_breaks or any(map(is_line_break, row.source)),
                longest_span=max(
                    [stats.longest_span, *(span.last - span.first for span in row.aligned_spans)]
                ),
                depth=max(stats.depth, depth),
            )
        return stats.model_copy(update={"self_nested": tuple(sorted(self_nested))})


def is_line_break(token: str) -> bool:
    """Return True if a token ends a line; a sub-word that does has a mark in front."""
    return token.endswith(("\n", "\r"))


def _nesting(aligned_spans: Sequence[AlignedSpan]) -> tuple[int, set[str]]:
    """Return the depth of spans (in opening order), and the labels nested in themselves."""
    opened: list[AlignedSpan] = []
    deepest = 0
    self_nested: set[str] = set()
    for span in aligned_spans:
        while opened and opened[-1].last <= span.first:
            opened.pop()
        if span.label in {outer.label for outer in opened}:
            self_nested.add(span.label)
        opened.append(span)
        deepest = max(deepest, len(opened))
    return deepest, self_nested
