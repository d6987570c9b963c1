"""How an annotation is written: a line of JSONL, a row of CSV, or the annotated text itself."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any, Literal

from annoseq.config import DOCUMENT_COLUMN, OFFSET_COLUMN

if TYPE_CHECKING:
    from annoseq.annotator.annotation import Annotation
    from annoseq.annotator.inputs import Text

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


def formatted(text: Text, annotation: Annotation, format_: OutputFormat) -> str:
    """Write one annotation. In CSV, spans and alternatives are JSON."""
    if format_ == "inline":
        return annotation.annotated
    record = {"id": text.id, **_place(text), **annotation.to_dict()}
    if format_ == "jsonl":
        return json.dumps(record, ensure_ascii=False) + "\n"
    return _row([_field(record.get(column)) for column in _COLUMNS])


def _place(text: Text) -> dict[str, Any]:
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
