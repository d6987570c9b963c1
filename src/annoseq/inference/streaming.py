"""Streaming annotation: any number of texts in bounded memory, to JSONL, CSV, Excel or text."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from annoseq.atomic_io import atomic_file
from annoseq.config import DOCUMENT_COLUMN, OFFSET_COLUMN
from annoseq.data.excel_table import check_cells, check_row_count, write_excel
from annoseq.errors import OptionError, count_noun, quote_name
from annoseq.inference.resumable_output import OutputProgress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from annoseq.config import BatchConfig, SearchConfig
    from annoseq.data.text_inputs import InputText
    from annoseq.inference.annotation import Annotation
    from annoseq.inference.annotator import Annotator
    from annoseq.inference.annotator_pool import ChunkRunner
    from annoseq.inference.predictor import Target


OutputFormat = Literal["inline", "jsonl", "csv", "parquet", "xlsx"]
"""Format of annotations; `parquet` and `xlsx` are JSONL, every row of which fits into a table."""

TABLE_FORMATS = frozenset({"csv", "parquet", "xlsx"})
"""Formats in which every text has the same columns."""

COLUMNS = (
    "id",
    "doc_id",
    "start",
    "text",
    "annotated",
    "spans",
    "score",
    "windows",
    "problem",
    "alternatives",
)
"""Columns of annotations, in their order."""

OUTPUT_COLUMNS = frozenset(COLUMNS)
"""Names that annotations have in JSONL and CSV."""


def header(format_: OutputFormat, kept: Sequence[str] = (), *, bom: bool = False) -> str:
    """Return the first line of an output file, or nothing; `kept` are columns of the input.

    With `bom`, a byte order mark precedes it, by which Excel knows UTF-8.
    """
    if format_ != "csv":
        return ""
    return ("\ufeff" if bom else "") + _row((*COLUMNS, *kept))


def format_annotation(
    text: InputText, annotation: Annotation, format_: OutputFormat, kept: Sequence[str] = ()
) -> str:
    """Format an annotation. In CSV, spans and alternatives are JSON.

    Raises:
        TableError: it does not fit into an Excel sheet.
    """
    if format_ == "inline":
        return annotation.annotated
    record = to_record(text, annotation)
    line = json.dumps(record, ensure_ascii=False) + "\n"
    if format_ == "csv":
        return _row([cell_text(record.get(column)) for column in (*COLUMNS, *kept)])
    if format_ != "xlsx":
        return line
    check_cells(_cells(record, kept), place=f"text {quote_name(text.id, kind='text')}")
    return line


def to_record(text: InputText, annotation: Annotation) -> dict[str, Any]:
    """Return an annotation as a record of plain values, with the columns that are passed on."""
    return {"id": text.id, **_place(text), **(text.kept or {}), **annotation.to_dict()}


def write_workbook(lines: Path, path: Path, *, kept: Sequence[str], overwrite: bool) -> None:
    """Convert annotations that were formatted for an Excel sheet to a workbook.

    Raises:
        OutputError: the workbook exists and `overwrite` is False, or it cannot be written.
    """
    with (
        lines.open(encoding="utf-8", newline="\n") as records,
        atomic_file(path, overwrite=overwrite) as new,
        new.open("wb") as stream,
    ):
        rows = (_cells(json.loads(line), kept) for line in records)
        write_excel(rows, stream, (*COLUMNS, *kept), name=str(path), sheet="annotations")


def _cells(record: Mapping[str, Any], kept: Sequence[str]) -> list[str | float]:
    """Return a record's cells in an Excel sheet: finite numbers, and else text as in CSV."""
    cells: list[str | float] = []
    for column in (*COLUMNS, *kept):
        value: Any = record.get(column)
        is_number = type(value) is int or (isinstance(value, float) and isfinite(value))
        cells.append(value if is_number else cell_text(value))
    return cells


def _place(text: InputText) -> dict[str, Any]:
    """Return document and offset of a text, so that documents can be put together again."""
    found = {DOCUMENT_COLUMN: text.document, OFFSET_COLUMN: text.start}
    return {name: value for name, value in found.items() if value is not None}


def cell_text(value: Any) -> str:
    """Return a value as the text of a cell: JSON, unless it is a text."""
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, ensure_ascii=False)


def _row(fields: tuple[str, ...] | list[str]) -> str:
    # Every field is quoted: the csv module before Python 3.13 leaves a lone carriage return bare.
    written = io.StringIO(newline="")
    csv.writer(written, quoting=csv.QUOTE_ALL, lineterminator="\n").writerow(fields)
    return written.getvalue()


class AnnotationSink(Protocol):
    """Destination of annotations, chunk by chunk; `progress` counts those written before."""

    progress: OutputProgress

    def add(self, chunk: Sequence[tuple[str, str]], progress: OutputProgress) -> None:
        """Write the (name, content) of further texts; `progress` then counts all texts."""
        ...


class TextChunk(NamedTuple):
    """Texts that are annotated at once, the number of the first, and a checksum of all up to it."""

    texts: list[InputText]
    first: int
    digest: str


class FormattedChunk(NamedTuple):
    """Annotations of a chunk as (name, content), the outputs with a problem, labels of spans."""

    written: list[tuple[str, str]]
    problems: int
    labels: list[str]


@dataclass(frozen=True)
class AnnotateTask:
    """Options of annotating chunks of texts; `kept` are the columns of the input in a CSV."""

    format: OutputFormat
    search: SearchConfig
    batching: BatchConfig
    target: Target | None = None
    kept: Sequence[str] = ()

    def run(
        self, annotator: Annotator, chunk: TextChunk, advance: Callable[[int], None]
    ) -> FormattedChunk:
        """Annotate and format a chunk.

        Raises:
            TableError: an annotation cannot be written in this format.
        """
        annotations = annotator.annotate(
            [text.text for text in chunk.texts],
            search=self.search,
            batching=self.batching,
            target=self.target,
            first=chunk.first,
            advance=advance,
        )
        return FormattedChunk(
            [
                (text.id, format_annotation(text, annotation, self.format, self.kept))
                for text, annotation in zip(chunk.texts, annotations, strict=True)
            ],
            sum(annotation.problem is not None for annotation in annotations),
            [span.label for annotation in annotations for span in annotation.spans or ()],
        )


def annotate_stream(
    runner: ChunkRunner,
    task: AnnotateTask,
    texts: Iterator[InputText],
    output: AnnotationSink,
    *,
    chunk_size: int,
    advance: Callable[[int], None] = lambda _: None,
) -> None:
    """Annotate texts in chunks, which are written in their order.

    The first `output.progress.done` texts are skipped: they were written before. `advance` is told
    the number of further texts that are done.

    Raises:
        OptionError: the skipped texts have changed.
        TableError: an annotation cannot be written in this format.
    """
    done, problems, digest, spans, labels = output.progress
    seen = hashlib.sha256()
    for text in islice(texts, done):
        seen.update(json.dumps(text).encode())
    if done and seen.hexdigest() != digest:
        raise OptionError(
            f"the input does not begin with the {count_noun(done, 'text')} that the interrupted "
            "run annotated. Give it the same input, or start again with --overwrite instead of "
            "--resume."
        )
    advance(done)

    def chunks() -> Iterator[TextChunk]:
        first = done + 1
        while chunk := list(islice(texts, chunk_size)):
            if task.format == "xlsx":
                check_row_count(first - 1 + len(chunk))
            for text in chunk:
                seen.update(json.dumps(text).encode())
            yield TextChunk(chunk, first, seen.hexdigest())
            first += len(chunk)

    with closing(runner.map(task, chunks(), advance=advance)) as results:
        for chunk, formatted in results:
            problems += formatted.problems
            spans += len(formatted.labels)
            labels = tuple(sorted({*labels, *formatted.labels}))
            end = chunk.first - 1 + len(chunk.texts)
            progress = OutputProgress(end, problems, chunk.digest, spans, labels)
            output.add(formatted.written, progress)
