"""The strict span score: a span counts if its offsets and its label are those of a gold span."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from annoseq.pairs.markup import Span


@dataclass(frozen=True, slots=True)
class SpanScore:
    """Sums over rows, so that parts can be added: spans predicted, in the gold, and in both."""

    predicted: int = 0
    gold: int = 0
    correct: int = 0

    def __add__(self, other: SpanScore) -> SpanScore:
        return SpanScore(
            self.predicted + other.predicted, self.gold + other.gold, self.correct + other.correct
        )

    @property
    def precision(self) -> float:
        """The share of predicted spans that are correct; 0 where none was predicted."""
        return self.correct / self.predicted if self.predicted else 0.0

    @property
    def recall(self) -> float:
        """The share of gold spans that were found; 0 where there is none."""
        return self.correct / self.gold if self.gold else 0.0

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall."""
        total = self.predicted + self.gold
        return 2 * self.correct / total if total else 0.0

    def counts(self) -> list[int]:
        """Return all counts in a row."""
        return [self.predicted, self.gold, self.correct]

    @classmethod
    def of_counts(cls, counts: Sequence[int]) -> SpanScore:
        """Take back what `counts` returned."""
        return cls(*counts)

    def values(self) -> dict[str, float]:
        """Return the three scores by name."""
        return {
            "span_precision": self.precision,
            "span_recall": self.recall,
            "span_f1": self.f1,
        }


def score_spans(predicted: Iterable[Span], gold: Iterable[Span]) -> SpanScore:
    """Compare the spans of one text, in any order; a span that is there twice counts twice.

    >>> from annoseq.pairs.markup import Span
    >>> score_spans([Span(0, 4, "A"), Span(5, 6, "B")], [Span(0, 4, "A"), Span(5, 6, "A")]).f1
    0.5
    """
    found, expected = Counter(predicted), Counter(gold)
    return SpanScore(found.total(), expected.total(), (found & expected).total())
