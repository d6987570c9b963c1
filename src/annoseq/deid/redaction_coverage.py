"""Coverage of redaction: what it delivers at fixed thresholds, propagated values included.

A value that is found once is replaced everywhere in its document, or where the patient is known in
all consecutive documents of the patient, so that redaction covers more
than a model marks. What propagates depends on the spans that a threshold marks and joins, and need
not grow as it falls: so each threshold is measured by itself, and not read off scores.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from annoseq.data.markup import Span
from annoseq.decoding.coverage_spans import spans_above
from annoseq.deid.custom_patterns import find_patterns
from annoseq.deid.redaction import DetectedSpan, DocumentPart, RedactionDocument
from annoseq.evaluation.counts import document_order
from annoseq.evaluation.coverage_counter import COVERAGE_FLOOR, CoverageCounter, find_missed
from annoseq.evaluation.deid_metrics import is_identifying

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from annoseq.data.examples import Example
    from annoseq.deid.custom_patterns import CustomPattern
    from annoseq.deid.redactor import Redactor
    from annoseq.evaluation.coverage import CoverageCounts, CoveragePoint
    from annoseq.evaluation.coverage_counter import MissedIdentifier

_STEPS_PER_DECADE, _DECADES = 4, 6
GRID = tuple(10 ** (-step / _STEPS_PER_DECADE) for step in range(_STEPS_PER_DECADE * _DECADES + 1))
"""Thresholds that are measured: from the best path to the least score that is counted."""


class ScoredRow(NamedTuple):
    """An example with its likeliest spans, and the scored parts of `score_coverage`."""

    example: Example
    best: Sequence[Span]
    parts: Sequence[Span]


@dataclass(frozen=True)
class RedactionCoverage:
    """Counts of what redaction covers, by threshold, highest first.

    `missed` are the identifiers that it does not cover at the threshold that was asked for.
    """

    counts: Mapping[float, CoverageCounts]
    missed: tuple[MissedIdentifier, ...] = ()

    def point(self, threshold: float) -> CoveragePoint:
        """Return the counts at a threshold that was measured."""
        return self.counts[threshold].point(1.0).model_copy(update={"threshold": threshold})

    def curve(self) -> list[CoveragePoint]:
        """Return the points of all thresholds."""
        return list(map(self.point, self.counts))

    def point_for(self, share: float) -> CoveragePoint | None:
        """Return the point of the highest threshold that covers a share, or None."""
        return next((point for point in self.curve() if point.coverage >= share), None)

    def coverage_by_label(self, threshold: float) -> dict[str, tuple[int, int]]:
        """Return the number of identifiers of each label, and of those covered at a threshold."""
        return self.counts[threshold].coverage_by_label(1.0)


def measure_redaction(
    rows: Sequence[ScoredRow],
    redactor: Redactor,
    *,
    patterns: Sequence[CustomPattern] = (),
    thresholds: Iterable[float] = GRID,
    missed_at: float | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> RedactionCoverage:
    """Count what a redactor covers at some thresholds, and find what it misses at one of them.

    Identifiers that its policy keeps are not counted. Rows may come in any order: those of a
    document are taken together. Values propagate over the documents of a patient that then follow
    each other. `advance` is told how many rows are done.

    Raises:
        OptionError: a label has no PHI type, or a pattern takes too long.
    """
    falling = sorted(set(thresholds), reverse=True)
    counters = {one: CoverageCounter(floor=COVERAGE_FLOOR) for one in falling}
    missed: list[MissedIdentifier] = []
    ordered = [rows[row] for row in document_order([row.example for row in rows])]
    for _, group in groupby(enumerate(ordered), key=_propagation_scope):
        document = [row for _, row in group]
        for one, replaced in _replaced_at(document, redactor, patterns, falling):
            for row, spans in zip(document, replaced, strict=True):
                example, gold = row.example, _replaceable(row.example, redactor)
                parts = [Span(span.start, span.end, span.label, 1.0) for span in spans]
                counters[one].add(
                    example.source,
                    gold,
                    parts,
                    document=example.document,
                    patient=example.patient,
                )
                if one == missed_at:
                    missed += find_missed(example.row, example.source, gold, parts, threshold=1.0)
        advance(len(document))
    counts = {one: counter.counts() for one, counter in counters.items()}
    return RedactionCoverage(counts, tuple(sorted(missed, key=lambda one: one.row)))


def _propagation_scope(numbered: tuple[int, ScoredRow]) -> object:
    """Return the patient, the document or else the number of a row: what values propagate over."""
    number, row = numbered
    example = row.example
    return ("patient", example.patient) if example.patient else example.document or number


def _replaced_at(
    rows: Sequence[ScoredRow],
    redactor: Redactor,
    patterns: Sequence[CustomPattern],
    thresholds: Sequence[float],
) -> Iterator[tuple[float, list[list[DetectedSpan]]]]:
    """Yield what is replaced in a document at each threshold."""
    matches = [
        find_patterns(patterns, row.example.source, where=f"row {row.example.row}") for row in rows
    ]
    document = RedactionDocument(
        "", tuple(DocumentPart(str(row.example.row), row.example.source) for row in rows)
    )
    before, replaced = None, list[list[DetectedSpan]]()
    for threshold in thresholds:
        marked = [
            (*_detect(row, threshold), *found) for row, found in zip(rows, matches, strict=True)
        ]
        if marked != before:  # most thresholds mark nothing new in most documents
            before = marked
            parts = zip(document.parts, marked, strict=True)
            replaced = redactor.find_replaced(
                replace(document, parts=tuple(replace(part, spans=spans) for part, spans in parts))
            )
        yield threshold, replaced


def _detect(row: ScoredRow, threshold: float) -> tuple[DetectedSpan, ...]:
    """Return the spans that a model marks at a threshold, without punctuation by itself."""
    text = row.example.source
    return tuple(
        DetectedSpan(span.start, span.end, span.label)
        for span in spans_above(text, row.best, row.parts, threshold)
        if is_identifying(text[span.start : span.end])
    )


def _replaceable(example: Example, redactor: Redactor) -> list[Span]:
    """Return the identifiers of a row that the policy does not keep."""
    return [
        span
        for span in example.tight_spans
        if not redactor.stays(span.label, example.source[span.start : span.end])
    ]
