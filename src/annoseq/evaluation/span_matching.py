"""Matching of predicted and gold spans: SemEval-2013 schemes and the strict span score.

The schemes are those of task 9.1 (Segura-Bedmar et al. 2013), counted as nervaluate counts them.
Where spans of one side overlap one another, nervaluate's counts depend on their order. Here
correct spans are matched first and the others in the order of the text, so that the order of the
spans never matters; where the spans of a side do not overlap, the counts are equal.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from annoseq.data.markup import Span


Scheme = Literal["strict", "exact", "partial", "type"]
SCHEMES: tuple[Scheme, ...] = ("strict", "exact", "partial", "type")
"""strict: offsets and label; exact: offsets; partial: any overlap, a half where the offsets differ;
type: any overlap with the same label."""

MatchOutcome = Literal["correct", "incorrect", "partial", "missed", "spurious"]


@dataclass(frozen=True, slots=True)
class SpanMatch:
    """A gold span and the predicted span matched to it; either may be None."""

    gold: Span | None
    predicted: Span | None
    outcome: MatchOutcome


def overlaps(first: Span, second: Span) -> bool:
    """Return True if two spans share a character."""
    return first.start < second.end and second.start < first.end


def unique_spans(spans: Sequence[Span]) -> tuple[Span, ...]:
    """Return the spans in their order without repetitions; of equal ones the highest score counts.

    Equal are spans of the same offsets and label. A model that predicts such a span twice has found
    it once, as in the scripts of MEDDOCAN and i2b2, which compare sets.

    >>> from annoseq.data.markup import Span
    >>> len(unique_spans([Span(0, 4, "A"), Span(0, 4, "A"), Span(0, 4, "B")]))
    2
    """
    if len(set(spans)) == len(spans):
        return tuple(spans)
    unique: dict[Span, Span] = {}
    for span in spans:
        kept = unique.setdefault(span, span)
        if (span.score or 0.0) > (kept.score or 0.0):
            unique[span] = span
    return tuple(unique.values())


def match_spans(
    gold: Iterable[Span], predicted: Iterable[Span], *, scheme: Scheme
) -> list[SpanMatch]:
    """Match the spans of a text, each at most once; their order does not matter."""
    unmatched_gold, unmatched = sorted(gold), sorted(predicted)
    matches = [
        SpanMatch(gold_span, span, "correct")
        for gold_span, span in _take_correct(unmatched_gold, unmatched, scheme)
    ]
    for span in unmatched:
        gold_span, outcome = _match_overlapping(span, unmatched_gold, scheme)
        if gold_span is not None:
            unmatched_gold.remove(gold_span)
        matches.append(SpanMatch(gold_span, span, outcome))
    return matches + [SpanMatch(span, None, "missed") for span in unmatched_gold]


def count_matches(
    gold: Sequence[Span], predicted: Sequence[Span], *, scheme: Scheme
) -> Counter[MatchOutcome]:
    """Count the outcomes of a text.

    >>> from annoseq.data.markup import Span
    >>> dict(count_matches([Span(0, 8, "A")], [Span(4, 8, "A")], scheme="partial"))
    {'partial': 1}
    """
    if not predicted or not gold:  # most rows of most corpora
        counts = {"missed": len(gold), "spurious": len(predicted)}
        return Counter({outcome: count for outcome, count in counts.items() if count})  # type: ignore[misc]
    return Counter(match.outcome for match in match_spans(gold, predicted, scheme=scheme))


def _take_correct(
    gold: list[Span], predicted: list[Span], scheme: Scheme
) -> Iterator[tuple[Span, Span]]:
    """Remove from both lists, and yield, the spans that are correct under a scheme."""
    yield from _take_equal(gold, predicted, lambda span: (span.start, span.end, span.label))
    if scheme in {"exact", "partial"}:
        yield from _take_equal(gold, predicted, lambda span: (span.start, span.end, ""))


def _take_equal(
    gold: list[Span], predicted: list[Span], key: Callable[[Span], tuple[int, int, str]]
) -> Iterator[tuple[Span, Span]]:
    by_key: dict[tuple[int, int, str], list[Span]] = {}
    for span in gold:
        by_key.setdefault(key(span), []).append(span)
    for span in list(predicted):
        if equal := by_key.get(key(span)):
            gold_span = equal.pop(0)
            gold.remove(gold_span)
            predicted.remove(span)
            yield gold_span, span


def _match_overlapping(
    span: Span, gold: Sequence[Span], scheme: Scheme
) -> tuple[Span | None, MatchOutcome]:
    """Return the gold span that an incorrect span is matched to, and the outcome."""
    overlapping = [gold_span for gold_span in gold if overlaps(gold_span, span)]
    if not overlapping:
        return None, "spurious"
    if scheme == "partial":
        return overlapping[0], "partial"
    same_label = [gold_span for gold_span in overlapping if gold_span.label == span.label]
    if scheme == "type" and same_label:
        closest = min(
            same_label,
            key=lambda gold_span: abs(gold_span.start - span.start) + abs(gold_span.end - span.end),
        )
        return closest, "correct"
    return overlapping[0], "incorrect"


@dataclass(frozen=True, slots=True)
class SpanScore:
    """Counts of predicted, gold and correct spans; scores of parts are added."""

    predicted: int = 0
    gold: int = 0
    correct: int = 0

    def __add__(self, other: SpanScore) -> SpanScore:
        return SpanScore(
            self.predicted + other.predicted, self.gold + other.gold, self.correct + other.correct
        )

    @property
    def precision(self) -> float:
        """Share of predicted spans that are correct; 0 if none was predicted."""
        return self.correct / self.predicted if self.predicted else 0.0

    @property
    def recall(self) -> float:
        """Share of gold spans that were found; 0 if there is none."""
        return self.correct / self.gold if self.gold else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        total = self.predicted + self.gold
        return 2 * self.correct / total if total else 0.0

    def counts(self) -> list[int]:
        """Return all counts as a list."""
        return [self.predicted, self.gold, self.correct]

    @classmethod
    def of_counts(cls, counts: Sequence[int]) -> SpanScore:
        """Restore a score from `counts`."""
        return cls(*counts)

    def values(self) -> dict[str, float]:
        """Return the three scores by name."""
        return {
            "span_precision": self.precision,
            "span_recall": self.recall,
            "span_f1": self.f1,
        }


def score_spans(predicted: Iterable[Span], gold: Iterable[Span]) -> SpanScore:
    """Compare the spans of one text, in any order; a span that is there twice counts once.

    >>> from annoseq.data.markup import Span
    >>> score_spans([Span(0, 4, "A"), Span(5, 6, "B")], [Span(0, 4, "A"), Span(5, 6, "A")]).f1
    0.5
    """
    found, expected = set(predicted), set(gold)
    return SpanScore(len(found), len(expected), len(found & expected))
