"""JSONL of Prodigy (`spans`) and of spaCy's training data (`entities`).

    {"id": "1", "text": "Dr. Ames", "spans": [{"start": 4, "end": 8, "label": "NAME"}]}
    {"text": "Dr. Ames", "entities": [[4, 8, "NAME"]]}
    ["Dr. Ames", {"entities": [[4, 8, "NAME"]]}]

Both are read; Prodigy's form is written. Offsets count code points.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from annoseq.formats.capabilities import FormatCapabilities, drop_unsupported
from annoseq.formats.documents import Document
from annoseq.formats.json_values import (
    Json,
    JsonlRecord,
    read_records,
    require_field,
    require_id,
    require_int,
    require_label,
    require_score,
    require_text,
    require_triple,
)
from annoseq.formats.offsets import RawSpan, resolve_spans

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from annoseq.formats.capabilities import ConversionLosses
    from annoseq.formats.documents import Mention
    from annoseq.formats.offsets import OffsetUnitOption

CAPABILITIES = FormatCapabilities(scores=True, crossing=True, nested=True)

_LISTS = ("spans", "entities")


def read(
    path: Path, *, offset_unit: OffsetUnitOption, losses: ConversionLosses
) -> Iterator[Document]:
    """Read a file. The id of a document whose line has none is the number of its row.

    Raises:
        TableError: the file cannot be read, or a line is not JSON.
        FormatError: a value is of another type than expected, or lies outside the text.
    """
    for record in read_records(path, lists=_LISTS, losses=losses):
        raw_spans = [
            _raw_span(value, f"{record.place}: span {number}")
            for number, value in enumerate(record.annotations, 1)
        ]
        _, mentions = resolve_spans([record.text], raw_spans, unit=offset_unit)
        yield Document(_document_id(record), record.text, mentions)


def write(documents: Iterable[Document], path: Path, *, losses: ConversionLosses) -> None:
    """Write a line for each document, with `spans`."""
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        for document in drop_unsupported(documents, CAPABILITIES, losses):
            spans = [_span(mention, document.text) for mention in document.mentions]
            record = {"id": document.id, "text": document.text, "spans": spans}
            stream.write(json.dumps(record, ensure_ascii=False) + "\n")


def _document_id(record: JsonlRecord) -> str:
    """Return a document's id, which users of Prodigy put into `meta`."""
    meta = record.fields.get("meta")
    meta_id = meta.get("id") if isinstance(meta, dict) else None
    value = record.fields.get("id", meta_id)
    return require_id(record.row if value is None else value, record.place)


def _raw_span(value: Json, place: str) -> RawSpan:
    covered: str | None = None
    score: float | None = None
    if isinstance(value, dict):
        start, end, label = (
            require_field(value, name, place) for name in ("start", "end", "label")
        )
        covered = require_text(value["text"], place) if "text" in value else None
        score = require_score(value.get("score"), place)
    else:
        start, end, label = require_triple(value, place)
    fragment = require_int(start, place), require_int(end, place)
    return RawSpan((fragment,), require_label(label, place), covered, place, score)


def _span(mention: Mention, text: str) -> dict[str, Any]:
    span: dict[str, Any] = {
        "start": mention.start,
        "end": mention.end,
        "label": mention.label,
        "text": text[mention.start : mention.end],
    }
    return span if mention.score is None else {**span, "score": mention.score}
