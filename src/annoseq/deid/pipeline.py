"""De-identification pipeline: read documents, annotate them in chunks, redact and count."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TYPE_CHECKING, Protocol

from annoseq.config import DOCUMENT_COLUMN
from annoseq.data.streams import source_name
from annoseq.data.tables import read_rows
from annoseq.data.text_inputs import is_text_input, read_texts
from annoseq.deid.custom_patterns import find_patterns
from annoseq.deid.redaction import DetectedSpan, DocumentPart, RedactionDocument
from annoseq.deid.run_output import RedactionReport
from annoseq.errors import OptionError, TableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from annoseq.data.text_inputs import InputFormat
    from annoseq.deid.custom_patterns import CustomPattern
    from annoseq.deid.leak_check import GoldIdentifiers
    from annoseq.deid.redaction import RedactedText
    from annoseq.deid.redactor import Redactor
    from annoseq.inference.annotation import Annotation


class AnnotateFunction(Protocol):
    """Annotates texts, the first of which is number `first`; calls `advance` after each batch."""

    def __call__(
        self, texts: Sequence[str], first: int, advance: Callable[[int], None]
    ) -> Sequence[Annotation]:
        """Return the annotations in the order of their texts."""
        ...


@dataclass
class RedactionPipeline:
    """Annotates and redacts documents, and counts replacements and, with `gold`, leaks."""

    annotate: AnnotateFunction
    redactor: Redactor
    patterns: Sequence[CustomPattern] = ()
    gold: GoldIdentifiers | None = None
    report: RedactionReport = field(default_factory=RedactionReport)

    def redact(
        self,
        documents: Iterable[RedactionDocument],
        *,
        chunk_size: int,
        is_table: bool,
        advance: Callable[[int], None] = lambda _: None,
    ) -> Iterator[tuple[RedactionDocument, tuple[RedactedText, ...]]]:
        """Yield documents with their redacted texts.

        At most `chunk_size` texts are in memory, or one document if it has more.
        """
        count = 0
        for chunk in _chunks(documents, chunk_size):
            texts = [part.text for document in chunk for part in document.parts]
            annotations = iter(self.annotate(texts, count + 1, advance))
            count += len(texts)
            for document in chunk:
                detected = self._detect(document, annotations)
                redacted = self.redactor.redact(detected)
                self.report.add(detected, redacted, min_score=self.redactor.min_score)
                self._count_leaks(document, redacted, is_table=is_table)
                yield document, redacted

    def _detect(
        self, document: RedactionDocument, annotations: Iterator[Annotation]
    ) -> RedactionDocument:
        """Add the spans of the model and of the patterns to the parts of a document."""
        parts = []
        for part, annotation in zip(document.parts, annotations, strict=False):
            if annotation.spans is None:
                raise OptionError(
                    "the model writes texts of its own and marks nothing. Give a model that "
                    "annotates."
                )
            spans = [DetectedSpan.from_span(span) for span in annotation.spans]
            spans += find_patterns(self.patterns, part.text, where=f"text {part.id}")
            parts.append(replace(part, spans=tuple(spans)))
        return replace(document, parts=tuple(parts))

    def _count_leaks(
        self, document: RedactionDocument, redacted: Sequence[RedactedText], *, is_table: bool
    ) -> None:
        if self.gold is None or self.report.leaks is None:
            return
        table = self.redactor.table
        texts = []
        for part, output in zip(document.parts, redacted, strict=True):
            gold = [
                span
                for span in self.gold.spans(part, is_row=is_table)
                if table.phi_type(span.label) != "keep"
            ]
            texts.append((part.text, gold, [change.span for change in output.replacements]))
        self.report.leaks.add(document.id, texts)


def _chunks(documents: Iterable[RedactionDocument], size: int) -> Iterator[list[RedactionDocument]]:
    chunk: list[RedactionDocument] = []
    texts = 0
    for document in documents:
        if chunk and texts + len(document.parts) > size:
            yield chunk
            chunk, texts = [], 0
        chunk.append(document)
        texts += len(document.parts)
    if chunk:
        yield chunk


def read_documents(
    source: Path, *, column: str, document: str | None, format_: InputFormat | None
) -> Iterator[RedactionDocument]:
    """Yield documents lazily in input order; a table row without a document id is a document.

    Raises:
        TableError: a row or a file cannot be read, or the rows of a document are not adjacent.
        OptionError: a folder without `.txt` files, or a name that does not tell the format.
    """
    if is_text_input(source, format_):
        for text in read_texts(source, column=column, format_=format_):
            yield RedactionDocument(text.id, (DocumentPart(text.id, text.text),))
        return
    seen: set[str] = set()
    rows = _rows(source, column, document, format_)
    # Rows without a document id are grouped by their own: each is a group of one.
    for (name, _), group in groupby(rows, key=lambda row: (row[1], row[1] or row[0].id)):
        parts = tuple(part for part, _ in group)
        if name is None:
            yield RedactionDocument(parts[0].id, parts, is_named=False)
            continue
        if name in seen:
            raise TableError(
                f"{source_name(source)}: row {parts[0].id}: its document was there before, with "
                "others in between. Sort the table, so that a document's rows follow each "
                "other; they are redacted together."
            )
        seen.add(name)
        yield RedactionDocument(name, parts)


def _rows(
    source: Path, column: str, document: str | None, format_: InputFormat | None
) -> Iterator[tuple[DocumentPart, str | None]]:
    """Yield the text of every row, and its document id if it has one."""
    table = None if format_ == "text" else format_
    name = document or (DOCUMENT_COLUMN if column != DOCUMENT_COLUMN else None)
    keys = [document] if document else []
    optional = [name] if name and not document else []
    for row in read_rows(source, columns=[column], keys=keys, optional=optional, format=table):
        document_id = row.values.get(name) if name else None
        yield DocumentPart(str(row.number), row.values[column]), document_id or None
