"""Relaxed and token scores as the evaluation script of the i2b2 2014 challenge counts them.

Stubbs, Kotfila and Uzuner 2015, "Automated systems for the de-identification of longitudinal
clinical narratives". The script compares sets, document by document.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from annoseq.evaluation.counts import Counts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from annoseq.data.markup import Span
    from annoseq.evaluation.counts import SpanComparison

_END_TOLERANCE = 2
"""Characters by which the ends of two equal spans may differ, if start and label agree."""
_TOKEN = re.compile("[a-zA-Z0-9]+")


class _Place(NamedTuple):
    """Row, offset and label: what relaxed equality compares exactly."""

    row: int
    start: int
    label: str


def count_i2b2(rows: Sequence[SpanComparison]) -> Counts:
    """Count the spans and the tokens of a document under both evaluations."""
    gold, predicted = ([row.gold for row in rows], [row.predicted for row in rows])
    counts = _count_relaxed(_ends_by_place(gold), _ends_by_place(predicted))
    gold_tokens, predicted_tokens = set(_tokens(rows, gold)), set(_tokens(rows, predicted))
    return Counts(
        counts
        | {
            "i2b2_token.correct": len(gold_tokens & predicted_tokens),
            "i2b2_token.predicted": len(predicted_tokens),
            "i2b2_token.gold": len(gold_tokens),
        }
    )


def _count_relaxed(
    gold: dict[_Place, list[int]], predicted: dict[_Place, list[int]]
) -> dict[str, int]:
    gold_matched, predicted_matched = _matched(gold, predicted), _matched(predicted, gold)
    gold_size, predicted_size = (sum(map(len, side.values())) for side in (gold, predicted))
    # Two spans may equal the same one; Python intersects sets by looking up the smaller one's.
    correct = predicted_matched if predicted_size <= gold_size else gold_matched
    return {
        "i2b2_relaxed.correct": correct,
        "i2b2_relaxed.predicted": correct + predicted_size - predicted_matched,
        "i2b2_relaxed.gold": correct + gold_size - gold_matched,
    }


def _ends_by_place(rows: Sequence[Iterable[Span]]) -> dict[_Place, list[int]]:
    """Return the ends of the spans of each place; of equal spans the one that ends first."""
    ends: dict[_Place, list[int]] = {}
    for row, spans in enumerate(rows):
        for span in sorted(spans):
            kept = ends.setdefault(_Place(row, span.start, span.label), [])
            if not kept or span.end - kept[-1] > _END_TOLERANCE:
                kept.append(span.end)
    return ends


def _matched(side: dict[_Place, list[int]], other: dict[_Place, list[int]]) -> int:
    """Count the spans of a side that equal a span of the other."""
    return sum(
        any(abs(end - other_end) <= _END_TOLERANCE for other_end in other.get(place, ()))
        for place, ends in side.items()
        for end in ends
    )


def _tokens(
    rows: Sequence[SpanComparison], spans: Sequence[Iterable[Span]]
) -> Iterator[tuple[int, int, int, str]]:
    """Yield row, start, end and label of the runs of ASCII letters and digits in each span.

    A span without any has an empty token at its end, as in the script.
    """
    for number, (row, row_spans) in enumerate(zip(rows, spans, strict=True)):
        for span in row_spans:
            is_empty = True
            for token in _TOKEN.finditer(row.text, span.start, span.end):
                is_empty = False
                yield number, token.start(), token.end(), span.label
            if is_empty:
                yield number, span.end, span.end, span.label
