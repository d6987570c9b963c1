"""What the training pairs say about how long outputs get and how tags nest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from annoseq.config import ConfigSection

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from annoseq.tokenization.linearize import AlignedSpan
    from annoseq.tokenization.seq2seq_tokenizer import TokenizedPair


class LengthStats(ConfigSection):
    """The largest of everything in the training pairs; lengths in tokens."""

    growth: float = 1.0
    """Largest ratio of target length to source length, each with its end symbol."""
    longest_source: int = 0
    """Tokens of the longest source."""
    has_line_breaks: bool = False
    """Whether a source holds a line break."""
    longest_span: int = 0
    """Tokens of the longest span."""
    depth: int = 0
    """How deep spans lie in one another: 1 where none does, 0 without spans."""
    self_nested: tuple[str, ...] = ()
    """Labels of which a span lies inside another with the same label."""

    @classmethod
    def measure(cls, rows: Iterable[TokenizedPair]) -> LengthStats:
        """Measure training pairs in tokens."""
        found = cls()
        self_nested: set[str] = set()
        for row in rows:
            depth, nested = _nesting(row.aligned_spans)
            self_nested |= nested
            found = cls(
                growth=max(found.growth, (len(row.target) + 1) / (len(row.source) + 1)),
                longest_source=max(found.longest_source, len(row.source)),
                has_line_breaks=found.has_line_breaks or any(map(is_line_break, row.source)),
                longest_span=max(
                    [found.longest_span, *(c.last - c.first for c in row.aligned_spans)]
                ),
                depth=max(found.depth, depth),
            )
        return found.model_copy(update={"self_nested": tuple(sorted(self_nested))})


def is_line_break(token: str) -> bool:
    """Tell whether a token ends a line; a piece that does has a mark in front."""
    return token.endswith(("\n", "\r"))


def _nesting(aligned_spans: Sequence[AlignedSpan]) -> tuple[int, set[str]]:
    """Return the depth of covers (in opening order), and the labels that lie in themselves."""
    opened: list[AlignedSpan] = []
    deepest = 0
    self_nested: set[str] = set()
    for cover in aligned_spans:
        while opened and opened[-1].last <= cover.first:
            opened.pop()
        if cover.label in {outer.label for outer in opened}:
            self_nested.add(cover.label)
        opened.append(cover)
        deepest = max(deepest, len(opened))
    return deepest, self_nested
