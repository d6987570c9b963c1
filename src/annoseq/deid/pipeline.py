"""De-identification pipeline: read documents, annotate them in chunks, redact and count."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, TypeAlias

from annoseq.deid.custom_patterns import find_patterns
from annoseq.deid.leak_check import count_leaks
from annoseq.deid.redaction import DetectedSpan, RedactedDocument, RedactionDocument
from annoseq.deid.run_output import journal_line
from annoseq.errors import OptionError, count_noun
from annoseq.evaluation.deid_metrics import is_identifying
from annoseq.inference.resumable_output import OutputProgress

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from annoseq.config import BatchConfig
    from annoseq.deid.custom_patterns import CustomPattern
    from annoseq.deid.redaction import DocumentLeaks, RedactedText
    from annoseq.deid.redactor import Redactor
    from annoseq.inference.annotation import Annotation
    from annoseq.inference.annotator import Annotator
    from annoseq.inference.predictor import Target
    from annoseq.inference.streaming import AnnotationSink


AdvanceFunction: TypeAlias = Callable[[int], None]


def _ignore(count: int) -> None:
    """Take the number of texts that are done."""


class AnnotateFunction(Protocol):
    """Annotates texts, the first of which is number `first`; calls `advance` after each batch."""

    def __call__(
        self, texts: Sequence[str], first: int, advance: AdvanceFunction
    ) -> Sequence[Annotation]:
        """Return the annotations in the order of their texts."""
        ...


def annotate_function(
    annotator: Annotator, batching: BatchConfig, target: Target | None
) -> AnnotateFunction:
    """Return the function by which an annotator annotates under these options."""

    def annotate(
        texts: Sequence[str], first: int, advance: AdvanceFunction
    ) -> Sequence[Annotation]:
        return annotator.annotate(
            texts, batching=batching, target=target, first=first, advance=advance
        )

    return annotate


@dataclass(frozen=True)
class RedactionPipeline:
    """Annotates and redacts documents; if `has_gold`, it counts the leaks of each.

    `counts_words` counts the words that are lost, too.
    """

    annotate: AnnotateFunction
    redactor: Redactor
    patterns: Sequence[CustomPattern] = ()
    has_gold: bool = False
    counts_words: bool = False

    def redact(
        self,
        documents: Iterable[RedactionDocument],
        *,
        chunk_size: int,
        advance: AdvanceFunction = _ignore,
    ) -> Iterator[RedactedDocument]:
        """Yield redacted documents; at most `chunk_size` texts, or one document, are in memory."""
        done = 0
        for chunk in chunk_documents(documents, chunk_size):
            yield from self.redact_chunk(chunk, first=done + 1, advance=advance)
            done += _count_texts(chunk)

    def redact_to_journal(
        self,
        documents: Iterator[RedactionDocument],
        journal: AnnotationSink,
        *,
        chunk_size: int,
        keeps_originals: bool,
        advance: AdvanceFunction = _ignore,
    ) -> None:
        """Write redacted documents to a journal, chunk by chunk.

        The first `journal.progress.done` texts are passed over: they were written before.

        Raises:
            OptionError: those texts are others now.
        """
        done, expected = journal.progress.done, journal.progress.digest
        digest = hashlib.sha256()
        passed = 0
        while passed < done and (document := next(documents, None)):
            digest.update(_document_bytes(document))
            passed += len(document.parts)
        if done and (passed, digest.hexdigest()) != (done, expected):
            raise OptionError(
                f"the input does not begin with the {count_noun(done, 'text')} that the "
                "interrupted run redacted. Give it the same input, or start again with "
                "--overwrite instead of --resume."
            )
        advance(done)
        for chunk in chunk_documents(documents, chunk_size):
            redacted = self.redact_chunk(chunk, first=done + 1, advance=advance)
            done += _count_texts(chunk)
            for document in chunk:
                digest.update(_document_bytes(document))
            lines = [
                (document.id, journal_line(document, keeps_originals=keeps_originals))
                for document in redacted
            ]
            journal.add(lines, OutputProgress(done, digest=digest.hexdigest()))

    def redact_chunk(
        self, chunk: Sequence[RedactionDocument], *, first: int, advance: AdvanceFunction
    ) -> list[RedactedDocument]:
        """Redact documents that are annotated together, from text number `first`."""
        texts = [part.text for document in chunk for part in document.parts]
        annotations = iter(self.annotate(texts, first, advance))
        return [self._redact_document(document, annotations) for document in chunk]

    def _redact_document(
        self, document: RedactionDocument, annotations: Iterator[Annotation]
    ) -> RedactedDocument:
        texts = self.redactor.redact(self._detect(document, annotations))
        leaks = self._count_leaks(document, texts) if self.has_gold else None
        return RedactedDocument(document.id, texts, document.is_named, leaks)

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
            spans = [
                DetectedSpan.from_span(span)
                for span in annotation.spans
                if is_identifying(part.text[span.start : span.end])
            ]
            spans += find_patterns(self.patterns, part.text, where=f"text {part.id}")
            parts.append(replace(part, spans=tuple(spans)))
        return replace(document, parts=tuple(parts))

    def _count_leaks(
        self, document: RedactionDocument, texts: Sequence[RedactedText]
    ) -> DocumentLeaks:
        return count_leaks(
            (
                (
                    part.text,
                    [
                        span
                        for span in part.gold
                        if not self.redactor.stays(span.label, part.text[span.start : span.end])
                    ],
                    [replacement.span for replacement in text.replacements],
                )
                for part, text in zip(document.parts, texts, strict=True)
            ),
            counts_words=self.counts_words,
        )


def chunk_documents(
    documents: Iterable[RedactionDocument], size: int
) -> Iterator[list[RedactionDocument]]:
    """Yield whole documents with up to `size` texts in all, or one document if it has more."""
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


def _count_texts(documents: Iterable[RedactionDocument]) -> int:
    """Return the number of texts of documents."""
    return sum(len(document.parts) for document in documents)


def _document_bytes(document: RedactionDocument) -> bytes:
    texts = [(part.id, part.text, part.kept) for part in document.parts]
    return json.dumps([document.id, document.patient, texts]).encode()
