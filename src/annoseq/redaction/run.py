"""A run: documents are annotated in chunks, redacted one by one, and counted."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from annoseq.errors import OptionError
from annoseq.redaction.document import Find
from annoseq.redaction.patterns import find_patterns
from annoseq.redaction.report import Report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from annoseq.annotator.annotation import Annotation
    from annoseq.redaction.document import Document, Redacted
    from annoseq.redaction.gold import Gold
    from annoseq.redaction.patterns import Pattern
    from annoseq.redaction.redact import Redactor


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
