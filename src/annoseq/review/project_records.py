"""Records of a review project: documents, predictions, actions, models and adjudications.

Offsets are code points of the document's text. Spans and documents are written to the project as
JSON and columns, and read back, here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from annoseq.data.markup import Span

if TYPE_CHECKING:
    from collections.abc import Iterable

    from annoseq.review.actions import LoggedAction


class SuspectedSpan(NamedTuple):
    """A suspected error of an audit: the span as it is, what it should be, and the problem."""

    old: Span | None
    new: Span | None
    problem: str
    score: float


@dataclass(frozen=True, slots=True, repr=False)
class ReviewDocument:
    """A text under review: a row of a table, or a file.

    `gold` are the spans of a pair, None of a text; `suspected` those of an audit. `rank` is its
    place in the random order of the project, and `in_random_share` says that it was drawn for the
    estimate of the scores. `group` is the document that the row is a part of.
    """

    id: int
    name: str
    row: int
    doc_id: str | None
    start: int | None
    text: str
    gold: tuple[Span, ...] | None = None
    suspected: tuple[SuspectedSpan, ...] = ()
    rank: int = 0
    in_random_share: bool = False

    @property
    def group(self) -> str | int:
        """The document that the row is a part of, or the row itself."""
        return self.row if self.doc_id is None else self.doc_id


class DocumentPrediction(NamedTuple):
    """Spans of a model, the uncertainty of the document, and its leak risk, if that is known."""

    spans: tuple[Span, ...]
    uncertainty: float
    leak: float | None = None


class LogEntry(NamedTuple):
    """An action of the log on one document; those of one step were made together.

    `model` is the model whose spans the document began with, `key` the name that the page gave the
    request, by which a repeated one is known.
    """

    step: int
    document: int
    reviewer: str
    at: str
    model: int
    action: LoggedAction
    key: str | None = None


class ModelRecord(NamedTuple):
    """A model of the project; `gain` compares it with the one before, for the page."""

    number: int
    path: str
    at: str
    gain: dict[str, Any] | None = None


class Adjudication(NamedTuple):
    """The spans that a document has after its reviewers' disagreement was settled."""

    document: int
    reviewer: str
    at: str
    spans: tuple[Span, ...]


def now() -> str:
    """Return the time in UTC, to the second, as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def spans_to_json(spans: Iterable[Span]) -> str:
    """Return spans as JSON."""
    return json.dumps([[span.start, span.end, span.label, span.score] for span in spans])


def spans_from_json(content: str) -> tuple[Span, ...]:
    """Read what `spans_to_json` returned."""
    return tuple(Span(*values) for values in json.loads(content))


def document_to_row(document: ReviewDocument) -> tuple[object, ...]:
    """Return a document as a row of the project's table."""
    suspected = [
        [old and [*_edges(old)], new and [*_edges(new)], problem, score]
        for old, new, problem, score in document.suspected
    ]
    return (
        document.id,
        document.name,
        document.row,
        document.doc_id,
        document.start,
        document.text,
        None if document.gold is None else spans_to_json(document.gold),
        json.dumps(suspected),
        document.rank,
        int(document.in_random_share),
    )


def _edges(span: Span) -> tuple[int, int, str]:
    return span.start, span.end, span.label


def document_from_row(row: tuple[Any, ...]) -> ReviewDocument:
    """Read what `document_to_row` returned."""
    id_, name, number, doc_id, start, text, gold, suspected, rank, in_random_share = row
    return ReviewDocument(
        id=id_,
        name=name,
        row=number,
        doc_id=doc_id,
        start=start,
        text=text,
        gold=None if gold is None else spans_from_json(gold),
        suspected=tuple(
            SuspectedSpan(old and Span(*old), new and Span(*new), problem, score)
            for old, new, problem, score in json.loads(suspected)
        ),
        rank=rank,
        in_random_share=bool(in_random_share),
    )
