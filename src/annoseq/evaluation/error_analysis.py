"""Error analysis: typed span errors and the TANL error rates of generated output.

Paolini et al. 2021, "Structured Prediction as Translation between Augmented Natural Languages",
count outputs that change the text, that are malformed, that use an unknown label, and that mark
text which is not in the source. Constrained decoding makes all of them impossible.
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
    """Count the four fidelity errors of an output, each at most once.

    A malformed output has no spans, and is not counted as marking text that is not in the source.

    >>> sorted(count_fidelity_errors("Dr. Ames", "Dr. {{NAME}}Jones{{/NAME}}", labels=["NAME"]))
    ['fidelity.changed', 'fidelity.not_in_text', 'fidelity.outputs']
    """
    counts: Counts = Counts({"fidelity.outputs": 1})
    if strip_tags(output) != text:
        counts["fidelity.changed"] = 1
    if any(piece.label not in labels for piece in scan(output) if isinstance(piece, Tag)):
        counts["fidelity.unknown_label"] = 1
    try:
        written, spans = parse(output)
    except MarkupError:
        counts["fidelity.malformed"] = 1
    else:
        if any(written[span.start : span.end] not in text for span in spans):
            counts["fidelity.not_in_text"] = 1
    return counts


ErrorType = Literal["missed", "spurious", "label", "long", "short", "shifted", "split", "merged"]
ERROR_TYPES: dict[ErrorType, str] = {
    "missed": "no span was predicted where there is a gold span",
    "spurious": "a span was predicted where there is no gold span",
    "label": "the offsets of the gold span, with another label",
    "long": "the predicted span contains the gold span and more",
    "short": "the predicted span is a part of the gold span",
    "shifted": "the predicted span overlaps the gold span and extends beyond it",
    "split": "several spans were predicted for one gold span",
    "merged": "one span was predicted for several gold spans",
}
"""Error types and their descriptions."""


@dataclass(frozen=True, slots=True)
class SpanError:
    """Gold and predicted spans that overlap and are not equal, with the type of error."""

    kind: ErrorType
    gold: tuple[Span, ...]
    predicted: tuple[Span, ...]

    @property
    def label(self) -> str:
        """Label under which the error is counted: the gold label, if there is one."""
        return (self.gold or self.predicted)[0].label

    @property
    def has_wrong_label(self) -> bool:
        """True if a predicted label is not among the gold labels, whatever the type."""
        expected = {span.label for span in self.gold}
        return bool(expected) and any(span.label not in expected for span in self.predicted)

    @property
    def score(self) -> float | None:
        """Highest score of the predicted spans, if they have scores."""
        return max((span.score for span in self.predicted if span.score is not None), default=None)


def find_span_errors(gold: Sequence[Span], predicted: Sequence[Span]) -> list[SpanError]:
    """Return the span errors of a text, in its order.

    Correct spans are removed first; the other spans are grouped where they overlap.
    """
    missed = sorted((Counter(gold) - Counter(predicted)).elements())
    spurious = _without(predicted, gold)
    errors = []
    while missed or spurious:
        errors.append(_classify(*_take_overlapping(missed, spurious)))
    return sorted(errors, key=lambda error: min(error.gold + error.predicted))


def _without(spans: Sequence[Span], removed: Sequence[Span]) -> list[Span]:
    """Return the spans that are not among the removed ones, with their scores."""
    unmatched = Counter(removed)
    kept = []
    for span in sorted(spans):
        if unmatched[span] > 0:
            unmatched[span] -= 1
        else:
            kept.append(span)
    return kept


def _take_overlapping(
    gold: list[Span], predicted: list[Span]
) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
    """Remove from both lists, and return, a span and all spans connected to it by overlap."""
    sides: tuple[list[Span], list[Span]] = ([], [])
    queue = [(gold.pop(0), 0)] if gold else [(predicted.pop(0), 1)]
    while queue:
        span, side = queue.pop()
        sides[side].append(span)
        candidates = (gold, predicted)[1 - side]
        for overlapping in [candidate for candidate in candidates if overlaps(candidate, span)]:
            candidates.remove(overlapping)
            queue.append((overlapping, 1 - side))
    return tuple(sorted(sides[0])), tuple(sorted(sides[1]))


def _classify(gold: tuple[Span, ...], predicted: tuple[Span, ...]) -> SpanError:
    if not predicted:
        return SpanError("missed", gold, predicted)
    if not gold:
        return SpanError("spurious", gold, predicted)
    if len(gold) == len(predicted) == 1:
        return SpanError(_boundary_error(gold[0], predicted[0]), gold, predicted)
    return SpanError("split" if len(predicted) > len(gold) else "merged", gold, predicted)


def _boundary_error(gold: Span, predicted: Span) -> ErrorType:
    if (gold.start, gold.end) == (predicted.start, predicted.end):
        return "label"
    if predicted.start <= gold.start and gold.end <= predicted.end:
        return "long"
    if gold.start <= predicted.start and predicted.end <= gold.end:
        return "short"
    return "shifted"
