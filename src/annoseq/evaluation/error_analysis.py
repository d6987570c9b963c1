"""Error analysis: typed span errors and the TANL error rates of generated output.

Paolini et al. 2021, "Structured Prediction as Translation between Augmented Natural Languages",
count outputs that change the text, that are not well formed, that use a label nobody defined, and
that mark what the text does not hold. An output that chooses tags only can have none of them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from annoseq.data.markup import Tag, parse, scan, strip_tags
from annoseq.errors import MarkupError
from annoseq.evaluation.counts import Counts
from annoseq.evaluation.span_matching import overlaps

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from annoseq.data.markup import Span


FIDELITY_ERRORS = ("changed", "malformed", "unknown_label", "not_in_text")


def count_fidelity_errors(text: str, output: str, *, labels: Collection[str]) -> Counts:
    """Count which of the four faults an output has, each at most once.

    A malformed output has no spans, so that it is not asked whether they are in the text.

    >>> sorted(count_fidelity_errors("Dr. Ames", "Dr. {{NAME}}Jones{{/NAME}}", labels=["NAME"]))
    ['fidelity.changed', 'fidelity.not_in_text', 'fidelity.outputs']
    """
    found = {"fidelity.outputs": 1}
    if strip_tags(output) != text:
        found["fidelity.changed"] = 1
    if any(piece.label not in labels for piece in scan(output) if isinstance(piece, Tag)):
        found["fidelity.unknown_label"] = 1
    try:
        written, spans = parse(output)
    except MarkupError:
        found["fidelity.malformed"] = 1
    else:
        if any(written[span.start : span.end] not in text for span in spans):
            found["fidelity.not_in_text"] = 1
    return Counts(found)


ErrorType = Literal["missed", "spurious", "label", "long", "short", "shifted", "split", "merged"]
ERROR_TYPES: dict[ErrorType, str] = {
    "missed": "nothing was found where a span is",
    "spurious": "a span was found where none is",
    "label": "the right place, with another label",
    "long": "it holds the span and more",
    "short": "it is a part of the span",
    "shifted": "it begins or ends within the span, and reaches beyond it",
    "split": "several were found where one is",
    "merged": "one was found where several are",
}
"""The kinds, and what they mean."""


@dataclass(frozen=True, slots=True)
class SpanError:
    """Gold spans and predicted spans that overlap and are not the same."""

    kind: ErrorType
    gold: tuple[Span, ...]
    predicted: tuple[Span, ...]

    @property
    def label(self) -> str:
        """The label under which it is counted: the gold's, where there is one."""
        return (self.gold or self.predicted)[0].label

    @property
    def has_wrong_label(self) -> bool:
        """Whether a predicted label is none of the gold's, whatever the kind."""
        expected = {span.label for span in self.gold}
        return bool(expected) and any(span.label not in expected for span in self.predicted)

    @property
    def score(self) -> float | None:
        """The highest score among what was predicted, if it has scores."""
        return max((one.score for one in self.predicted if one.score is not None), default=None)


def find_span_errors(gold: Sequence[Span], predicted: Sequence[Span]) -> list[SpanError]:
    """Find the mistakes of a text, in its order.

    Spans that are right are left out first; the rest are grouped where they overlap.
    """
    golds = sorted((Counter(gold) - Counter(predicted)).elements())
    found = _less(predicted, gold)
    mistakes = []
    while golds or found:
        group = _group(golds, found)
        mistakes.append(_mistake(*group))
    return sorted(mistakes, key=lambda one: min(one.gold + one.predicted))


def _less(spans: Sequence[Span], others: Sequence[Span]) -> list[Span]:
    """Leave out what is among the others as well; a Counter would swap scores."""
    left = Counter(others)
    kept = []
    for span in sorted(spans):
        if left[span] > 0:
            left[span] -= 1
        else:
            kept.append(span)
    return kept


def _group(golds: list[Span], found: list[Span]) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
    """Take out of both lists one span and all that hangs together with it by overlap."""
    sides: tuple[list[Span], list[Span]] = ([], [])
    queue = [(golds.pop(0), 0)] if golds else [(found.pop(0), 1)]
    while queue:
        span, side = queue.pop()
        sides[side].append(span)
        others = (golds, found)[1 - side]
        for other in [one for one in others if overlaps(one, span)]:
            others.remove(other)
            queue.append((other, 1 - side))
    return tuple(sorted(sides[0])), tuple(sorted(sides[1]))


def _mistake(gold: tuple[Span, ...], predicted: tuple[Span, ...]) -> SpanError:
    if not predicted:
        return SpanError("missed", gold, predicted)
    if not gold:
        return SpanError("spurious", gold, predicted)
    if len(gold) == len(predicted) == 1:
        return SpanError(_boundary(gold[0], predicted[0]), gold, predicted)
    return SpanError("split" if len(predicted) > len(gold) else "merged", gold, predicted)


def _boundary(gold: Span, predicted: Span) -> ErrorType:
    if (gold.start, gold.end) == (predicted.start, predicted.end):
        return "label"
    if predicted.start <= gold.start and gold.end <= predicted.end:
        return "long"
    if gold.start <= predicted.start and predicted.end <= gold.end:
        return "short"
    return "shifted"
