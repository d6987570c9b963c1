"""Streaming annotation: any number of texts in bounded memory, written as JSONL, CSV or text."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, Protocol

from annoseq.config import DOCUMENT_COLUMN, OFFSET_COLUMN
from annoseq.errors import OptionError
from annoseq.inference.resumable_output import OutputProgress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from annoseq.config import BatchConfig, SearchConfig
    from annoseq.data.text_inputs import InputText
    from annoseq.inference.annotation import Annotation
    from annoseq.inference.annotator import Annotator


OutputFormat = Literal["inline", "jsonl", "csv"]

_COLUMNS = (
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


def header(format_: OutputFormat) -> str:
    """Return what an output file begins with."""
    return _row(_COLUMNS) if format_ == "csv" else ""


def formatted(text: InputText, annotation: Annotation, format_: OutputFormat) -> str:
    """Write one annotation. In CSV, spans and alternatives are JSON."""
    if format_ == "inline":
        return annotation.annotated
    record = {"id": text.id, **_place(text), **annotation.to_dict()}
    if format_ == "jsonl":
        return json.dumps(record, ensure_ascii=False) + "\n"
    return _row([_field(record.get(column)) for column in _COLUMNS])


def _place(text: InputText) -> dict[str, Any]:
    """Say where in its document a text stands, so that documents can be put together again."""
    found = {DOCUMENT_COLUMN: text.document, OFFSET_COLUMN: text.start}
    return {name: value for name, value in found.items() if value is not None}


def _field(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, ensure_ascii=False)


def _row(fields: tuple[str, ...] | list[str]) -> str:
    # Every field is quoted: the csv module before Python 3.13 leaves a lone carriage return bare.
    written = io.StringIO(newline="")
    csv.writer(written, quoting=csv.QUOTE_ALL, lineterminator="\n").writerow(fields)
    return written.getvalue()


class AnnotationSink(Protocol):
    """Takes what is written for each chunk of texts; `tally` is what was taken before."""

    tally: OutputProgress

    def add(self, chunk: Sequence[tuple[str, str]], tally: OutputProgress) -> None:
        """Take the (name, content) of some more texts; `tally` counts all."""
        ...


def annotate_stream(
    annotator: Annotator,
    texts: Iterator[InputText],
    output: AnnotationSink,
    *,
    format_: OutputFormat,
    search: SearchConfig,
    batching: BatchConfig,
    target_recall: float | None = None,
    chunk_size: int,
    advance: Callable[[int], None] = lambda _: None,
) -> None:
    """Annotate texts in chunks.

    The first `output.tally.done` texts are passed over: they were written before. `advance` is told
    how many more are done.

    Raises:
        OptionError: those texts are others now.
    """
    done, problems, digest = output.tally
    seen = hashlib.sha256()
    for text in islice(texts, done):
        seen.update(json.dumps(text).encode())
    if done and seen.hexdigest() != digest:
        raise OptionError(
            f"the first {done:,} texts are not those that the interrupted run annotated. "
            "Give it the same input, or start again with --overwrite instead of --resume."
        )
    advance(done)
    while chunk := list(islice(texts, chunk_size)):
        annotations = annotator.annotate(
            [one.text for one in chunk],
            search=search,
            batching=batching,
            target_recall=target_recall,
            first=done + 1,
            advance=advance,
        )
        for text in chunk:
            seen.update(json.dumps(text).encode())
        done += len(chunk)
        problems += sum(one.problem is not None for one in annotations)
        written = [
            (text.id, formatted(text, one, format_))
            for text, one in zip(chunk, annotations, strict=True)
        ]
        output.add(written, OutputProgress(done, problems, seen.hexdigest()))
