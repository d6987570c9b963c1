"""Confusion matrix of gold and predicted labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from annoseq.evaluation.counts import ConfusionCount, Counts, confusion_key
from annoseq.evaluation.span_matching import match_spans

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from annoseq.data.markup import Span
    from annoseq.evaluation.counts import CountKey

NO_SPAN = ""
"""Stands in the place of a label where a side has no span. A label is never empty."""


def count_confusions(gold: Sequence[Span], predicted: Sequence[Span]) -> Counts:
    """Count the label pairs of spans that overlap, and of spans without a counterpart."""
    if gold == predicted:
        return Counts(confusion_key(span.label, span.label) for span in gold)
    counts = Counts()
    for match in match_spans(gold, predicted, scheme="partial"):
        gold_label, predicted_label = (
            NO_SPAN if span is None else span.label for span in (match.gold, match.predicted)
        )
        counts[confusion_key(gold_label, predicted_label)] += 1
    return counts


def confusion_matrix(counts: Mapping[CountKey, int]) -> dict[tuple[str, str], int]:
    """Return the cells of the matrix by (gold label, predicted label)."""
    return {
        (key.gold, key.predicted): count
        for key, count in sorted(
            (key, count) for key, count in counts.items() if isinstance(key, ConfusionCount)
        )
    }
