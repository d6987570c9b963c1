"""Redaction of a part: the texts as they came, and annotations of what was replaced."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import TYPE_CHECKING

from annoseq.data.table_rows import TableHeader
from annoseq.data.text_inputs import read_whole_text
from annoseq.deid.document_source import DocumentSource, text_columns
from annoseq.deid.pipeline import (
    RedactionPipeline,
    annotate_function,
    chunk_documents,
    group_by_patient,
)
from annoseq.deid.redaction import DocumentPart, RedactionDocument
from annoseq.deid.redaction_report import RedactionReport, shorten_report
from annoseq.deid.run_output import OutputLayout, stream_redacted
from annoseq.errors import EmptyTableError, TableError
from annoseq.scale.part_worker import empty_token_cache, isolate_failures

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from annoseq.config import BatchConfig
    from annoseq.data.patients import PatientRule
    from annoseq.deid.custom_patterns import CustomPattern
    from annoseq.deid.redaction import RedactedDocument
    from annoseq.deid.redactor import Redactor
    from annoseq.inference.annotator import Annotator
    from annoseq.inference.predictor import Target
    from annoseq.scale.part_worker import PartOutput
    from annoseq.scale.parts import InputPart


@dataclass(frozen=True)
class RedactJob:
    """Options of redacting parts; `keep` are the columns passed on, None for all others."""

    redactor: Redactor
    patterns: Sequence[CustomPattern]
    column: str
    document_column: str
    document: str | None
    chunk_size: int
    batching: BatchConfig
    target: Target | None = None
    keep: tuple[str, ...] | None = ()
    delimiter: str | None = None
    encoding: str | None = None
    bom: bool = False
    patient: PatientRule | None = None

    def attach(self, annotator: Annotator) -> RedactProcessor:
        """Return the processor of these options and a model."""
        annotate = annotate_function(annotator, self.batching, self.target)
        pipeline = RedactionPipeline(annotate, self.redactor, self.patterns)
        return RedactProcessor(self, annotator, pipeline)


@dataclass(frozen=True)
class RedactProcessor:
    """Redacts the documents of parts."""

    job: RedactJob
    annotator: Annotator
    pipeline: RedactionPipeline

    @property
    def has_annotations(self) -> bool:
        """True: a line for each text, with what was replaced."""
        return True

    def output_name(self, part: InputPart) -> str:
        """Return the name of the part, without that of a compression."""
        return part.name.removesuffix(".gz")

    def write(self, part: InputPart, output: PartOutput) -> None:
        """Redact a part in chunks of whole documents, and write them as they are done.

        Raises:
            TableError: the part cannot be read.
            WorkerError: not one document of several could be redacted.
        """
        empty_token_cache(self.annotator)
        report, header = RedactionReport(), TableHeader()
        stream_redacted(
            output.data,
            self._layout(part),
            self._redacted(part, output, report, header),
            header,
            bom=self.job.bom,
            annotations=output.annotations,
        )
        output.report = shorten_report(report.to_dict())

    def _redacted(
        self, part: InputPart, output: PartOutput, report: RedactionReport, header: TableHeader
    ) -> Iterator[RedactedDocument]:
        done = 0
        documents = report.watch_patients(self._documents(part, output, header))
        for chunk in chunk_documents(documents, self.job.chunk_size):
            start = done + 1

            def redact(
                groups: Sequence[list[RedactionDocument]], first: int = start
            ) -> list[list[RedactedDocument]]:
                documents = chain.from_iterable(groups)
                redacted = iter(
                    self.pipeline.redact_chunk(list(documents), first=first, advance=lambda _: None)
                )
                return [list(islice(redacted, len(group))) for group in groups]

            def fail(group: list[RedactionDocument], error: Exception) -> None:
                for document in group:
                    for text in document.parts:
                        output.add_error(text.id, error)

            # What is found in one document of a patient is replaced in all: they fail together.
            groups = isolate_failures(list(group_by_patient(chunk)), redact, fail)
            for document in chain.from_iterable(groups):
                report.add(document)
                for text in document.texts:
                    output.count(replacement.span.label for replacement in text.replacements)
                yield document
            done += sum(len(document.parts) for document in chunk)

    def _documents(
        self, part: InputPart, output: PartOutput, header: TableHeader
    ) -> Iterator[RedactionDocument]:
        """Read documents; one without an id of its own is known by its part, row and text.

        Equal rows of the same number in two parts must not share their surrogates.
        """
        if part.format == "text":
            yield from self._text_document(part, output)
            return
        source = DocumentSource(
            part.address,
            self.job.column,
            self.job.document,
            part.format,
            delimiter=self.job.delimiter,
            encoding=self.job.encoding,
            keep=self.job.keep,
            on_bad=output.add_bad_row,
            patient=self.job.patient,
            header=header,
            text_columns=text_columns(self.annotator.config.columns),
        )
        try:
            for document in source.read():
                if document.is_named:
                    yield document
                else:
                    yield replace(document, id=f"{part.name}:{document.id}")
        except EmptyTableError:
            return

    def _text_document(self, part: InputPart, output: PartOutput) -> Iterator[RedactionDocument]:
        """Read a file of one text; its name is the id of the document."""
        text, rule, patient = read_whole_text(part.address), self.job.patient, None
        if rule is not None:
            try:
                patient = rule.patient(cell=None, document=part.name, place=part.address)
            except TableError as error:
                output.add_bad_row(error)
                return
        yield RedactionDocument(part.name, (DocumentPart(part.name, text, patient=patient),))

    def _layout(self, part: InputPart) -> OutputLayout:
        if part.format == "text":
            return OutputLayout(part.name)
        name = self.output_name(part)
        return OutputLayout(name, self.job.column, self.job.document_column, part.format)
