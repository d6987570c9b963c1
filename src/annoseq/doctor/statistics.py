"""Counts and lengths."""

from __future__ import annotations

from collections import Counter
from statistics import fmean, median
from typing import TYPE_CHECKING

from annoseq.doctor.diagnosis import LabelCount, Lengths

if TYPE_CHECKING:
    from collections.abc import Sequence

    from annoseq.pairs.markup import Span
    from annoseq.pairs.pair import Pair


def source_lengths(pairs: Sequence[Pair]) -> Lengths | None:
    """Measure the sources, in characters; None without pairs."""
    return _measure([len(pair.source) for pair in pairs], pairs)


def target_lengths(pairs: Sequence[Pair]) -> Lengths | None:
    """Measure the targets, in characters; None without pairs."""
    return _measure([len(pair.target) for pair in pairs], pairs)


def _measure(lengths: list[int], pairs: Sequence[Pair]) -> Lengths | None:
    if not lengths:
        return None
    longest = max(lengths)
    return Lengths(
        shortest=min(lengths),
        median=median(lengths),
        mean=round(fmean(lengths), 1),
        longest=longest,
        longest_row=pairs[lengths.index(longest)].row,
    )


class Labels:
    """Counts spans by label, and how deep they lie inside one another."""

    def __init__(self) -> None:
        self.depth = 0
        self._spans: Counter[str] = Counter()
        self._nested: Counter[str] = Counter()

    def count(self, spans: Sequence[Span]) -> None:
        """Count the spans of a row, given in opening order."""
        opened: list[int] = []  # the ends of the spans around the next one
        for span in spans:
            while opened and opened[-1] <= span.start:
                opened.pop()
            self._spans[span.label] += 1
            self._nested[span.label] += bool(opened)
            opened.append(span.end)
            self.depth = max(self.depth, len(opened))

    def counted(self) -> tuple[LabelCount, ...]:
        """Return the labels, the most frequent first."""
        ranked = sorted(self._spans.items(), key=lambda item: (-item[1], item[0]))
        return tuple(LabelCount(label, spans, self._nested[label]) for label, spans in ranked)
