"""De-identification pipeline: read documents, annotate them in chunks, redact and count."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

from annoseq.deid.custom_patterns import find_patterns
from annoseq.deid.leak_check import count_leaks
from annoseq.deid.redaction import DetectedSpan, RedactedDocument, RedactionDocument
from annoseq.deid.run_output import journal_line
from annoseq.errors import OptionError, count_noun
from annoseq.evaluation.deid_metrics import is_identifying
from annoseq.inference.resumable_output import OutputProgress

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence

    from annoseq.config import BatchConfig
    from annoseq.deid.custom_patterns import CustomPattern
    from annoseq.deid.redaction import DocumentLeaks, RedactedText
    from annoseq.deid.redactor import Redactor
    from annoseq.inference.annotation import Annotation
    from annoseq.inference.annotator import Annotator
    from annoseq.inference.annotator_pool import AnnotatorPool
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


class DocumentChunk(NamedTuple):
    """Documents that are annotated together, and the number of their first text."""

    documents: list[RedactionDocument]
    first: int


ChunkMapper: TypeAlias = """Callable[
    [Iterator[DocumentChunk], AdvanceFunction],
    Generator[tuple[DocumentChunk, list[RedactedDocument]], None, None],
]"""


@dataclass(frozen=True)
class RedactionPipeline:
    """Annotates and redacts documents; if `has_gold`, it counts the leaks of each.

    `counts_words` counts the words that are lost, too. Unless `joins_patients`, what is found in a
    document is not looked for in others of its patient. With a `mapper`, chunks are redacted by
    other processes, each with a `RedactTask`, and `annotate` is not called.
    """

    annotate: AnnotateFunction
    redactor: Redactor
    patterns: Sequence[CustomPattern] = ()
    has_gold: bool = False
    counts_words: bool = False
    joins_patients: bool = True
    mapper: ChunkMapper | None = None

    def mapped_by(
        self, pool: AnnotatorPool | None, batching: BatchConfig, target: Target | None
    ) -> RedactionPipeline:
        """Return the same pipeline, whose chunks are redacted by a pool, if there is one."""
        if pool is None:
            return self
        task = RedactTask(
            self.redactor, self.patterns, batching, target, self.has_gold, self.counts_words
        )
        return replace(self, mapper=lambda chunks, tell: pool.map(task, chunks, advance=tell))

    def redact(
        self,
        documents: Iterable[RedactionDocument],
        *,
        chunk_size: int,
        advance: AdvanceFunction = _ignore,
    ) -> Iterator[RedactedDocument]:
        """Yield redacted documents; `chunk_size` texts, or those of a patient, are in memory."""
        for _, redacted in self._redact_chunks(documents, chunk_size, advance, first=1):
            yield from redacted

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
        redacted = self._redact_chunks(documents, chunk_size, advance, first=done + 1)
        with closing(redacted) as results:
            for chunk, chunk_redacted in results:
                done += _count_texts(chunk.documents)
                for document in chunk.documents:
                    digest.update(_document_bytes(document))
                lines = [
                    (document.id, journal_line(document, keeps_originals=keeps_originals))
                    for document in chunk_redacted
                ]
                journal.add(lines, OutputProgress(done, digest=digest.hexdigest()))

    def _redact_chunks(
        self,
        documents: Iterable[RedactionDocument],
        size: int,
        advance: AdvanceFunction,
        *,
        first: int,
    ) -> Generator[tuple[DocumentChunk, list[RedactedDocument]], None, None]:
        """Yield chunks of documents, the first text of which has the number `first`, redacted."""
        chunks = _number_chunks(chunk_documents(documents, size), first)
        if self.mapper is not None:
            yield from self.mapper(chunks, advance)
            return
        for chunk in chunks:
            yield chunk, self.redact_chunk(chunk.documents, first=chunk.first, advance=advance)

    def redact_chunk(
        self, chunk: Sequence[RedactionDocument], *, first: int, advance: AdvanceFunction
    ) -> list[RedactedDocument]:
        """Redact documents that are annotated together, from text number `first`."""
        texts = [part.text for document in chunk for part in document.parts]
        annotations = iter(self.annotate(texts, first, advance))
        groups = group_by_patient(chunk) if self.joins_patients else ([one] for one in chunk)
        return [
            redacted for group in groups for redacted in self._redact_together(group, annotations)
        ]

    def _redact_together(
        self, documents: Sequence[RedactionDocument], annotations: Iterator[Annotation]
    ) -> Iterator[RedactedDocument]:
        detected = [self._detect(document, annotations) for document in documents]
        redacted = self.redactor.redact_together(detected)
        for document, texts in zip(documents, redacted, strict=True):
            leaks = self._count_leaks(document, texts) if self.has_gold else None
            yield RedactedDocument(document.id, texts, document.is_named, leaks)

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


@dataclass(frozen=True)
class RedactTask:
    """Options of redacting chunks of documents in a process that has the model."""

    redactor: Redactor
    patterns: Sequence[CustomPattern]
    batching: BatchConfig
    target: Target | None
    has_gold: bool = False
    counts_words: bool = False

    def run(
        self, annotator: Annotator, chunk: DocumentChunk, advance: AdvanceFunction
    ) -> list[RedactedDocument]:
        """Redact a chunk."""
        pipeline = RedactionPipeline(
            annotate_function(annotator, self.batching, self.target),
            self.redactor,
            self.patterns,
            has_gold=self.has_gold,
            counts_words=self.counts_words,
        )
        return pipeline.redact_chunk(chunk.documents, first=chunk.first, advance=advance)


def chunk_documents(
    documents: Iterable[RedactionDocument], size: int
) -> Iterator[list[RedactionDocument]]:
    """Yield whole documents with up to `size` texts in all, or one group if it has more.

    Consecutive documents of a patient are a group, any other document is one by itself.
    """
    chunk: list[RedactionDocument] = []
    texts = 0
    for group in group_by_patient(documents):
        if chunk and texts + _count_texts(group) > size:
            yield chunk
            chunk, texts = [], 0
        chunk += group
        texts += _count_texts(group)
    if chunk:
        yield chunk


def group_by_patient(
    documents: Iterable[RedactionDocument],
) -> Iterator[list[RedactionDocument]]:
    """Yield the consecutive documents of each patient, and documents without one by themselves."""
    for _, group in groupby(
        enumerate(documents), key=lambda item: item[1].patient or (item[0], "no patient")
    ):
        yield [document for _, document in group]


def _number_chunks(
    chunks: Iterable[list[RedactionDocument]], first: int
) -> Iterator[DocumentChunk]:
    for documents in chunks:
        yield DocumentChunk(documents, first)
        first += _count_texts(documents)


def _count_texts(documents: Iterable[RedactionDocument]) -> int:
    """Return the number of texts of documents."""
    return sum(len(document.parts) for document in documents)


def _document_bytes(document: RedactionDocument) -> bytes:
    texts = [(part.id, part.text, part.kept) for part in document.parts]
    return json.dumps([document.id, document.patient, texts]).encode()
