"""Annotation of a part: texts in, annotations out as JSONL, CSV, Parquet or inline text."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from typing import IO, TYPE_CHECKING, Literal

from annoseq.data.text_inputs import InputText, read_texts, read_whole_text
from annoseq.inference.annotation_parquet import AnnotationParquet, kept_types
from annoseq.inference.streaming import (
    OUTPUT_COLUMNS,
    TABLE_FORMATS,
    format_annotation,
    header,
    to_record,
)
from annoseq.scale.part_worker import empty_token_cache, ignore_empty, isolate_failures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from annoseq.config import BatchConfig, SearchConfig
    from annoseq.errors import TableError
    from annoseq.inference.annotation import Annotation
    from annoseq.inference.annotator import Annotator
    from annoseq.inference.predictor import Target
    from annoseq.scale.part_worker import PartOutput
    from annoseq.scale.parts import InputPart

PartFormat = Literal["inline", "jsonl", "csv", "parquet"]
"""Format of annotated parts."""
_SUFFIXES: dict[PartFormat, str] = {
    "inline": ".txt",
    "jsonl": ".jsonl",
    "csv": ".csv",
    "parquet": ".parquet",
}


@dataclass(frozen=True)
class AnnotateJob:
    """Options of annotating parts; `keep` are the columns passed on, None for all others."""

    format: PartFormat
    column: str
    chunk_size: int
    search: SearchConfig
    batching: BatchConfig
    target: Target | None = None
    keep: tuple[str, ...] | None = ()
    delimiter: str | None = None
    encoding: str | None = None
    bom: bool = False

    def attach(self, annotator: Annotator) -> AnnotateProcessor:
        """Return the processor of these options and a model."""
        return AnnotateProcessor(self, annotator)


@dataclass(frozen=True)
class AnnotateProcessor:
    """Annotates the texts of parts."""

    job: AnnotateJob
    annotator: Annotator

    @property
    def has_annotations(self) -> bool:
        """False: the output has the spans."""
        return False

    def output_name(self, part: InputPart) -> str:
        """Return the name of the part with the suffix of the output's format."""
        return part.stem + _SUFFIXES[self.job.format]

    def write(self, part: InputPart, output: PartOutput) -> None:
        """Annotate a part in chunks, and write them as they are done.

        Raises:
            TableError: the part cannot be read.
            OptionError: the output would have two columns of one name.
            WorkerError: not one text of several could be annotated.
        """
        empty_token_cache(self.annotator)
        texts = self._texts(part, output.add_bad_row)
        first: list[InputText] = []
        ignore_empty(lambda: first.extend(islice(texts, 1)))
        kept = list(first[0].kept or ()) if first else []
        inputs, done = chain(first, texts), 0
        with self._writer(part, output.data, kept) as write:
            while chunk := list(islice(inputs, self.job.chunk_size)):
                for text, annotation in self._annotate(chunk, output, first=done + 1):
                    write(text, annotation)
                    output.count(span.label for span in annotation.spans or ())
                    output.problems += annotation.problem is not None
                done += len(chunk)

    @contextmanager
    def _writer(
        self, part: InputPart, stream: IO[bytes], kept: list[str]
    ) -> Iterator[Callable[[InputText, Annotation], None]]:
        """Yield the function that writes an annotation."""
        format_ = self.job.format
        if format_ != "parquet":
            stream.write(header(format_, kept, bom=self.job.bom).encode())

            def write(text: InputText, annotation: Annotation) -> None:
                stream.write(format_annotation(text, annotation, format_, kept).encode())

            yield write
            return
        # The part is read twice, as for its checksum, which costs little beside the model.
        rows = (text.kept or {} for text in self._texts(part, lambda _: None)) if kept else ()
        with AnnotationParquet(stream, kept, kept_types(rows, kept)) as table:
            yield lambda text, annotation: table.add(to_record(text, annotation))

    def _annotate(
        self, chunk: Sequence[InputText], output: PartOutput, *, first: int
    ) -> list[tuple[InputText, Annotation]]:
        """Annotate texts, from number `first`; those that fail become error rows."""

        def annotate(texts: Sequence[InputText]) -> list[tuple[InputText, Annotation]]:
            annotations = self.annotator.annotate(
                [text.text for text in texts],
                search=self.job.search,
                batching=self.job.batching,
                target=self.job.target,
                first=first,
                advance=lambda _: None,
            )
            return list(zip(texts, annotations, strict=True))

        def fail(text: InputText, error: Exception) -> None:
            output.add_error(text.id, error)

        return isolate_failures(chunk, annotate, fail)

    def _texts(self, part: InputPart, on_bad: Callable[[TableError], None]) -> Iterator[InputText]:
        if part.format == "text":
            return iter([InputText(part.name, read_whole_text(part.address))])
        return read_texts(
            part.address,
            column=self.job.column,
            format_=part.format,
            keep=self.job.keep,
            delimiter=self.job.delimiter,
            encoding=self.job.encoding,
            on_bad=on_bad,
            as_table=self.job.format in TABLE_FORMATS,
            reserved=OUTPUT_COLUMNS,
        )
