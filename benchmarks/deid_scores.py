"""Coverage and cost of redaction, and the scores of the scripts of i2b2 2014 and MEDDOCAN."""

from __future__ import annotations

import time
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from annoseq.data.markup import Span
from annoseq.deid.propagation import merge_overlapping
from annoseq.deid.redaction import DetectedSpan, DocumentPart, RedactionDocument
from annoseq.evaluation.counts import SpanComparison, group_by_document
from annoseq.evaluation.coverage_counter import COVERAGE_FLOOR, CoverageCounter
from annoseq.evaluation.deid_metrics import is_identifying
from annoseq.evaluation.scorer import Scorer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from annoseq.data.examples import Example
    from annoseq.deid.redactor import Redactor
    from annoseq.evaluation.coverage import CoveragePoint

HIPAA = {
    "meddocan": (
        *("NOMBRE_SUJETO_ASISTENCIA", "TERRITORIO", "CALLE", "FECHAS", "EDAD_SUJETO_ASISTENCIA"),
        *("CORREO_ELECTRONICO", "NUMERO_TELEFONO", "NUMERO_FAX", "INSTITUCION"),
        *("ID_SUJETO_ASISTENCIA", "ID_ASEGURAMIENTO", "ID_CONTACTO_ASISTENCIAL"),
        *("ID_TITULACION_PERSONAL_SANITARIO", "ID_EMPLEO_PERSONAL_SANITARIO"),
    ),
    "asq_phi": None,
}
"""Labels of i2b2's HIPAA subset, by its types: patients, dates, ages, contacts, ids, and places
below the state; None where all labels are."""
OFFICIAL = {
    "i2b2 strict, MEDDOCAN NER": "span_f1",
    "i2b2 relaxed": "i2b2_relaxed_f1",
    "i2b2 token": "i2b2_token_f1",
    "MEDDOCAN spans": "exact_f1",
    "MEDDOCAN merged": "merged_f1",
    "MEDDOCAN leak": "leak",
}


class Corpus(NamedTuple):
    """Dev examples of a corpus, and the redactor of its labels."""

    name: str
    examples: Sequence[Example]
    redactor: Redactor

    @property
    def texts(self) -> list[str]:
        """The texts of the examples."""
        return [example.source for example in self.examples]


def redact_spans(
    corpus: Corpus, spans: Sequence[Sequence[Span]], *, propagates: bool
) -> tuple[list[list[DetectedSpan]], float]:
    """Return what redaction replaces of found spans, and the processor seconds that it took."""
    began, replaced = time.process_time(), list[list[DetectedSpan]]()
    numbered = enumerate(zip(corpus.examples, spans, strict=True))
    for _, group in groupby(numbered, key=lambda item: item[1][0].document or item[0]):
        parts = [
            DocumentPart(
                str(example.row),
                example.source,
                tuple(
                    DetectedSpan(one.start, one.end, one.label)
                    for one in found
                    if is_identifying(example.source[one.start : one.end])
                ),
            )
            for _, (example, found) in group
        ]
        document = RedactionDocument("", tuple(parts))
        replaced += (
            corpus.redactor.find_replaced(document)
            if propagates
            else [merge_overlapping(part.spans) for part in parts]
        )
    return replaced, time.process_time() - began


def measure(corpus: Corpus, replaced: Sequence[Sequence[DetectedSpan]]) -> CoveragePoint:
    """Count what is covered by replaced spans, and what is lost."""
    counter = CoverageCounter(floor=COVERAGE_FLOOR)
    for example, spans in zip(corpus.examples, replaced, strict=True):
        marked = [Span(one.start, one.end, one.label, 1.0) for one in spans]
        counter.add(example.source, example.tight_spans, marked, document=example.document)
    return counter.counts().point(1.0)


def score(
    corpus: Corpus, spans: Sequence[Sequence[Span]], *, labels: Sequence[str] | None = None
) -> dict[str, float]:
    """Return the scores of found spans; with `labels`, of these labels alone."""
    scorer = Scorer(labels=(), replicates=2)
    rows = [
        SpanComparison(
            id=str(example.row),
            text=example.source,
            gold=_of_labels(example.tight_spans, labels),
            predicted=_of_labels(found, labels),
            document=example.document,
            start=example.start,
        )
        for example, found in zip(corpus.examples, spans, strict=True)
    ]
    scorer.add_all(group_by_document(rows))
    return {name: one.value for name, one in scorer.all.scores().items()}


def _of_labels(spans: Sequence[Span], labels: Sequence[str] | None) -> tuple[Span, ...]:
    return tuple(span for span in spans if labels is None or span.label in labels)


def official_scores(corpus: Corpus, spans: Sequence[Sequence[Span]]) -> dict[str, float]:
    """Return the scores of the scripts of i2b2 2014 and MEDDOCAN."""
    scores = score(corpus, spans)
    subset = score(corpus, spans, labels=HIPAA[corpus.name])
    return {
        **{name: scores[key] for name, key in OFFICIAL.items()},
        "i2b2 strict, HIPAA": subset["span_f1"],
        "i2b2 token, HIPAA": subset["i2b2_token_f1"],
    }
