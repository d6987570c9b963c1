"""Coverage of redaction against what redaction writes, and what is left at a threshold."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annoseq.data.examples import Example
from annoseq.data.markup import Span, render
from annoseq.decoding.coverage_spans import score_coverage
from annoseq.deid.pipeline import RedactionPipeline
from annoseq.deid.redaction import DocumentPart, RedactionDocument
from annoseq.deid.redaction_coverage import GRID, ScoredRow, measure_redaction
from annoseq.evaluation.coverage import CoveragePoint, CoverageTarget
from annoseq.evaluation.coverage_counter import MissedIdentifier
from annoseq.evaluation.deid_metrics import is_identifying
from annoseq.inference.annotation import Annotation, extend_coverage
from tests.deid.documents import leaked_values, redactor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from annoseq.deid.redaction import RedactedText

NAME, ID = "NAME:PATIENT", "ID:MEDICALRECORD"
WORDS = ["Ida", "Ames", "ida", "77123", ",", ".", "-", "was", "seen", "Ann", "Annex"]
SCORES = [1.0, 0.5, 0.1, 0.03, 1e-3, 1e-6]


class Row(NamedTuple):
    """A text with gold spans, likeliest spans, and tokens with coverage scores."""

    text: str
    gold: list[Span]
    best: list[Span]
    tokens: list[Span]

    def scored(self, number: int, document: str | None, *, patient: str | None = "p") -> ScoredRow:
        target = render(self.text, self.gold)
        example = Example(self.text, target, tuple(self.gold), number, document, patient=patient)
        parts = score_coverage(self.text, self.best, self.tokens)
        return ScoredRow(example, self.best, parts)

    def annotation(self, threshold: float) -> Annotation:
        best = Annotation(self.text, render(self.text, self.best), tuple(self.best), score=-1.0)
        parts = score_coverage(self.text, self.best, self.tokens)
        return extend_coverage(best, parts, target_of(threshold))


def target_of(threshold: float) -> CoverageTarget:
    counts = dict.fromkeys(CoveragePoint.model_fields, 0)
    expected = CoveragePoint.model_validate(counts | {"threshold": threshold})
    return CoverageTarget(0.99, expected, confidence=90, is_out_of_reach=False)


@st.composite
def rows(draw: st.DrawFn) -> Row:
    """Draw a text of some words, a few of them in spans, the others with scores."""
    text, spans = "", []
    for word in draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=8)):
        start = len(text)
        text += word
        spans.append((start, len(text)))
        text += draw(st.sampled_from([" ", ""]))
    labels = st.sampled_from([NAME, ID])
    kinds = st.sampled_from(["best", "token", "none"])
    best, tokens, gold = [], [], []
    for start, end in spans:
        kind, label = draw(kinds), draw(labels)
        if kind == "best":
            best.append(Span(start, end, label, 0.9))
        elif kind == "token":
            tokens.append(Span(start, end, label, draw(st.sampled_from(SCORES))))
        if draw(st.booleans()):
            gold.append(Span(start, end, label))
    return Row(text, gold, best, tokens)


documents = st.lists(st.lists(rows(), min_size=1, max_size=3), min_size=1, max_size=3)


def redact(
    notes: Sequence[Sequence[Row]], threshold: float, *, patients: Sequence[str | None]
) -> list[RedactedText]:
    """Redact documents of some patients with a model that marks at a threshold."""

    def annotate(
        texts: Sequence[str], first: int, advance: Callable[[int], None]
    ) -> list[Annotation]:
        return [row.annotation(threshold) for note in notes for row in note]

    documents = [
        RedactionDocument(
            str(name),
            tuple(DocumentPart(f"{name}.{at}", row.text, patient=patient) for at, row in numbered),
        )
        for name, (note, patient) in enumerate(zip(notes, patients, strict=True))
        for numbered in [list(enumerate(note))]
    ]
    pipeline = RedactionPipeline(annotate, redactor("mask"))
    redacted = pipeline.redact(documents, chunk_size=10)
    return [text for document in redacted for text in document.texts]


def replaced(text: RedactedText) -> set[int]:
    spans = (replacement.span for replacement in text.replacements)
    return {at for span in spans for at in range(span.start, span.end)}


def identifying(text: str, span: Span) -> set[int]:
    return {at for at in range(span.start, span.end) if is_identifying(text[at])}


@settings(max_examples=60, deadline=None)
@given(documents, st.sampled_from([*GRID[:8], 0.07, 1e-3]), st.booleans())
def test_the_counts_are_those_of_what_is_written(
    notes: list[list[Row]], threshold: float, has_patients: bool
) -> None:
    """Values propagate over a document or, with patients, over the two first documents here."""
    patients = ["p", "p", "q"][: len(notes)] if has_patients else [None] * len(notes)
    scored = [
        row.scored(9, str(name), patient=patient)
        for name, (note, patient) in enumerate(zip(notes, patients, strict=True))
        for row in note
    ]
    counts = measure_redaction(scored, redactor("mask"), thresholds=[threshold])
    measured = counts.point(threshold)
    texts = iter(redact(notes, threshold, patients=patients))
    missed = [
        [
            not identifying(row.text, span) <= replaced(text)
            for row, text in zip(note, texts, strict=False)
            for span in row.gold
        ]
        for note in notes
    ]
    assert measured.identifiers - measured.covered == sum(map(sum, missed))
    assert measured.documents - measured.clean_documents == sum(map(any, missed))
    if has_patients:
        missed_of = [any(map(any, part)) for part in (missed[:2], missed[2:])]
        assert measured.patients - measured.clean_patients == sum(missed_of)


@settings(max_examples=60, deadline=None)
@given(st.lists(rows(), min_size=1, max_size=3), st.sampled_from(SCORES))
def test_nothing_that_is_covered_is_left(note: list[Row], threshold: float) -> None:
    texts = redact([note], threshold, patients=[None])
    for row, text in zip(note, texts, strict=True):
        parts = score_coverage(row.text, row.best, row.tokens)
        covered = {
            at
            for part in parts
            if (part.score or 0) >= threshold
            for at in identifying(row.text, part)
        }
        assert covered <= replaced(text)
        left = "".join(c for at, c in enumerate(row.text) if at not in replaced(text))
        assert "".join(c for c in text.text if c not in "*#█_~") == left
    marked = [
        DocumentPart(str(number), row.text, tuple(r.span for r in text.replacements))
        for number, (row, text) in enumerate(zip(note, texts, strict=True))
    ]
    assert leaked_values(RedactionDocument("d", tuple(marked)), texts) == []


def test_what_is_found_once_is_covered_everywhere() -> None:
    ames = [Span(0, 4, NAME)]
    found = Row("Ames came", ames, [Span(0, 4, NAME, 0.9)], [])
    other = Row("Ames left", ames, [], [Span(5, 9, NAME, 1e-3)])
    scored = [row.scored(number, "a") for number, row in enumerate((found, other), 1)]
    measured = measure_redaction(scored, redactor("mask"))
    best = measured.point(1.0)
    assert (best.covered, best.identifiers, best.clean_documents) == (2, 2, 1)
    assert best.marked_other_tokens == 0
    assert measured.point(1e-6).marked_other_tokens == 1
    assert measured.coverage_by_label(1.0) == {NAME: (2, 2)}
    assert measured.point_for(0.99) == best
    assert measured.missed == ()
    alone = measure_redaction(scored, redactor("mask", propagates=False), missed_at=1.0)
    assert alone.point(1.0).covered == 1
    assert alone.missed == (MissedIdentifier(row=2, label=NAME, start=0, end=4),)
    assert alone.point_for(0.99) is None
    assert [point.threshold for point in alone.curve()] == pytest.approx(list(GRID))


def test_rows_of_a_document_may_be_apart() -> None:
    ames = [Span(0, 4, NAME)]
    found = Row("Ames came", ames, [Span(0, 4, NAME, 0.9)], [])
    other = Row("Ames left", ames, [], [])
    rows = [found.scored(1, "a"), other.scored(2, "b"), other.scored(3, "a"), other.scored(4, "b")]
    measured = measure_redaction(
        [row._replace(example=replace(row.example, patient=None)) for row in rows],
        redactor("mask"),
        thresholds=[1.0],
        missed_at=1.0,
    )
    best = measured.point(1.0)
    assert (best.documents, best.clean_documents, best.covered) == (2, 1, 2)
    assert [one.row for one in measured.missed] == [2, 4]
