"""Matching of predicted and gold spans: SemEval-2013 schemes and the strict span score.

The schemes are those of task 9.1 (Segura-Bedmar et al. 2013), counted as nervaluate counts them.
Where spans of one side overlap one another, nervaluate's counts depend on their order. Here a
span that is right is matched first and the rest in the order of the text, so that the order in
which spans are given never matters; where spans of a side do not overlap, the counts are equal.
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
    """A gold span and the predicted span that answers it; one of them may be lacking."""

    gold: Span | None
    predicted: Span | None
    verdict: MatchOutcome


def overlaps(one: Span, other: Span) -> bool:
    """Tell whether two spans share a character."""
    return one.start < other.end and other.start < one.end


def match_spans(
    gold: Iterable[Span], predicted: Iterable[Span], *, scheme: Scheme
) -> list[SpanMatch]:
    """Match the spans of a text; each is used once, whatever the order they are given in."""
    golds, found = sorted(gold), sorted(predicted)
    matches = [SpanMatch(one, other, "correct") for one, other in _take_same(golds, found, scheme)]
    for span in found:
        answered, verdict = _answer(span, golds, scheme)
        if answered is not None:
            golds.remove(answered)
        matches.append(SpanMatch(answered, span, verdict))
    return matches + [SpanMatch(span, None, "missed") for span in golds]


def count_matches(
    gold: Sequence[Span], predicted: Sequence[Span], *, scheme: Scheme
) -> Counter[MatchOutcome]:
    """Count the verdicts of a text.

    >>> from annoseq.data.markup import Span
    >>> dict(count_matches([Span(0, 8, "A")], [Span(4, 8, "A")], scheme="partial"))
    {'partial': 1}
    """
    if not predicted or not gold:  # most rows of most corpora
        counts = {"missed": len(gold), "spurious": len(predicted)}
        return Counter({verdict: count for verdict, count in counts.items() if count})  # type: ignore[misc]
    return Counter(one.verdict for one in match_spans(gold, predicted, scheme=scheme))


def _take_same(golds: list[Span], found: list[Span], scheme: Scheme) -> Iterator[tuple[Span, Span]]:
    """Remove from both lists, and yield, what is right beyond question."""
    yield from _take_equal(golds, found, lambda span: (span.start, span.end, span.label))
    if scheme in {"exact", "partial"}:
        yield from _take_equal(golds, found, lambda span: (span.start, span.end, ""))


def _take_equal(
    golds: list[Span], found: list[Span], key: Callable[[Span], tuple[int, int, str]]
) -> Iterator[tuple[Span, Span]]:
    by_key: dict[tuple[int, int, str], list[Span]] = {}
    for span in golds:
        by_key.setdefault(key(span), []).append(span)
    for span in list(found):
        if same := by_key.get(key(span)):
            gold = same.pop(0)
            golds.remove(gold)
            found.remove(span)
            yield gold, span


def _answer(span: Span, golds: Sequence[Span], scheme: Scheme) -> tuple[Span | None, MatchOutcome]:
    near = [gold for gold in golds if overlaps(gold, span)]
    if not near:
        return None, "spurious"
    if scheme == "partial":
        return near[0], "partial"
    same = [gold for gold in near if gold.label == span.label]
    if scheme == "type" and same:
        closest = min(same, key=lambda one: abs(one.start - span.start) + abs(one.end - span.end))
        return closest, "correct"
    return near[0], "incorrect"


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

    >>> from annoseq.data.markup import Span
    >>> score_spans([Span(0, 4, "A"), Span(5, 6, "B")], [Span(0, 4, "A"), Span(5, 6, "A")]).f1
    0.5
    """
    found, expected = Counter(predicted), Counter(gold)
    return SpanScore(found.total(), expected.total(), (found & expected).total())
