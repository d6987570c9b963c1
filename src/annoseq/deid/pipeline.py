"""De-identification pipeline: documents in, annotated in chunks, redacted, counted."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from annoseq.config import DOCUMENT_COLUMN
from annoseq.data.streams import source_name
from annoseq.data.tables import read_rows
from annoseq.data.text_inputs import is_text_input, read_texts
from annoseq.deid.custom_patterns import find_patterns
from annoseq.deid.redaction import Document, Find, Part
from annoseq.deid.run_output import Report
from annoseq.errors import OptionError, TableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from annoseq.data.text_inputs import InputFormat
    from annoseq.deid.custom_patterns import Pattern
    from annoseq.deid.leak_check import Gold
    from annoseq.deid.redaction import Redacted
    from annoseq.deid.redactor import Redactor
    from annoseq.inference.annotation import Annotation


def read_documents(
    source: Path, *, column: str, document: str | None, format_: InputFormat | None
) -> Iterator[Document]:
    """Read documents lazily, in the order given; a table without documents has one in each row.

    Raises:
        TableError: a row or a file cannot be read, or a document's rows are not side by side.
        OptionError: a folder without `.txt` files, or a name that does not tell what it is.
    """
    if is_text_input(source, format_):
        for text in read_texts(source, column=column, format_=format_):
            yield Document(text.id, (Part(text.id, text.text),))
        return
    rows: list[Part] = []
    last: str | None = None
    seen: set[str] = set()
    for part, name in _rows(source, column, document, format_):
        if rows and (name is None or name != last):
            yield Document(last or rows[0].id, tuple(rows), is_named=last is not None)
            rows = []
        if name is not None and name != last:
            if name in seen:
                raise TableError(
                    f"{source_name(source)}: row {part.id}: its document was there before, with "
                    "others in between. Sort the table, so that a document's rows follow each "
                    "other; they are redacted together."
                )
            seen.add(name)
        rows.append(part)
        last = name
    if rows:
        yield Document(last or rows[0].id, tuple(rows), is_named=last is not None)


def _rows(
    source: Path, column: str, document: str | None, format_: InputFormat | None
) -> Iterator[tuple[Part, str | None]]:
    table = None if format_ == "text" else format_
    name = document or (DOCUMENT_COLUMN if column != DOCUMENT_COLUMN else None)
    keys = [document] if document else []
    optional = [name] if name and not document else []
    for row in read_rows(source, columns=[column], keys=keys, optional=optional, format=table):
        belongs = row.values.get(name) if name else None
        yield Part(str(row.number), row.values[column]), belongs or None


class Annotate(Protocol):
    """Annotates texts, the first of which has the number `first`; `advance` hears of each."""

    def __call__(
        self, texts: Sequence[str], first: int, advance: Callable[[int], None]
    ) -> Sequence[Annotation]:
        """Return the annotations in the order of their texts."""
        ...


@dataclass
class Run:
    """What turns documents into redacted ones, and counts what it does."""

    annotate: Annotate
    redactor: Redactor
    patterns: Sequence[Pattern] = ()
    gold: Gold | None = None
    report: Report = field(default_factory=Report)

    def redact(
        self,
        documents: Iterable[Document],
        *,
        chunk_size: int,
        is_table: bool,
        advance: Callable[[int], None] = lambda _: None,
    ) -> Iterator[tuple[Document, tuple[Redacted, ...]]]:
        """Redact documents, holding `chunk_size` texts or one document at a time."""
        done = 0
        for chunk in _chunks(documents, chunk_size):
            texts = [part.text for document in chunk for part in document.parts]
            found = iter(self.annotate(texts, done + 1, advance))
            done += len(texts)
            for document in chunk:
                marked = self._marked(document, found)
                redacted = self.redactor.redact(marked)
                self.report.add(marked, redacted, min_score=self.redactor.min_score)
                self._compare(document, redacted, is_table=is_table)
                yield document, redacted

    def _marked(self, document: Document, found: Iterator[Annotation]) -> Document:
        """Add to a document what the model and the patterns find in it."""
        parts = []
        for part, annotation in zip(document.parts, found, strict=False):
            if annotation.spans is None:
                raise OptionError(
                    "the model writes texts of its own and marks nothing. Give a model that "
                    "annotates."
                )
            finds = [Find.of(span) for span in annotation.spans]
            finds += find_patterns(self.patterns, part.text, where=f"text {part.id}")
            parts.append(replace(part, finds=tuple(finds)))
        return replace(document, parts=tuple(parts))

    def _compare(self, document: Document, redacted: Sequence[Redacted], *, is_table: bool) -> None:
        if self.gold is None or self.report.leaks is None:
            return
        table = self.redactor.table
        self.report.leaks.add(
            document.id,
            [
                (
                    part.text,
                    [
                        span
                        for span in self.gold.spans(part, is_row=is_table)
                        if table.kind(span.label) != "keep"
                    ],
                    [change.old for change in one.replacements],
                )
                for part, one in zip(document.parts, redacted, strict=True)
            ],
        )


def _chunks(documents: Iterable[Document], size: int) -> Iterator[list[Document]]:
    chunk: list[Document] = []
    texts = 0
    for document in documents:
        if chunk and texts + len(document.parts) > size:
            yield chunk
            chunk, texts = [], 0
        chunk.append(document)
        texts += len(document.parts)
    if chunk:
        yield chunk
