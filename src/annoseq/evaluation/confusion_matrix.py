"""Which label stands where which was expected."""

from __future__ import annotations

from typing import TYPE_CHECKING

from annoseq.evaluation.counts import Counts
from annoseq.evaluation.span_matching import match_spans

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from annoseq.data.markup import Span

_NAME = "confusion:"
NO_SPAN = ""
"""Stands in the place of a label where a side has no span. A label is never empty."""


def count_confusions(gold: Sequence[Span], predicted: Sequence[Span]) -> Counts:
    """Count the (gold label, predicted label) of spans that answer one another, or stand alone."""
    if gold == predicted:
        return Counts(f"{_NAME}{span.label} {span.label}" for span in gold)
    counts = Counts()
    for one in match_spans(gold, predicted, scheme="partial"):
        labels = [NO_SPAN if span is None else span.label for span in (one.gold, one.predicted)]
        counts[_NAME + " ".join(labels)] += 1  # no label holds white space
    return counts


def confusion_matrix(counts: Mapping[str, int]) -> dict[tuple[str, str], int]:
    """Return how often each (gold label, predicted label) was counted."""
    found = {}
    for name, count in sorted(counts.items()):
        if name.startswith(_NAME):
            gold, _, predicted = name.removeprefix(_NAME).partition(" ")
            found[gold, predicted] = count
    return found
