"""doccano's JSONL for sequence labelling.

    {"id": 1, "text": "Dr. Ames", "label": [[4, 8, "NAME"]]}

For projects with relations, doccano writes `entities` with `start_offset` and `end_offset`
instead. Its offsets come from JavaScript: they count UTF-16 code units.
https://github.com/doccano/doccano/issues/2290
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from annoseq.formats.capabilities import FormatCapabilities, drop_unsupported
from annoseq.formats.documents import Document
from annoseq.formats.json_values import (
    Json,
    read_records,
    require_field,
    require_id,
    require_int,
    require_label,
    require_triple,
)
from annoseq.formats.offsets import OffsetMapper, RawSpan, resolve_spans

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from annoseq.formats.capabilities import ConversionLosses
    from annoseq.formats.offsets import OffsetUnitOption

CAPABILITIES = FormatCapabilities(crossing=True, nested=True)

_LISTS = ("label", "labels", "entities")


def read(
    path: Path, *, offset_unit: OffsetUnitOption, losses: ConversionLosses
) -> Iterator[Document]:
    """Read a file. The id of a document whose line has none is the number of its row.

    Raises:
        TableError: the file cannot be read, or a line is not JSON.
        FormatError: a value is of another type than expected, or lies outside the text.
    """
    unit: OffsetUnitOption = "utf-16" if offset_unit == "auto" else offset_unit
    for row, place, fields, text, values in read_records(path, lists=_LISTS, losses=losses):
        raw_spans = [
            _raw_span(value, f"{place}: label {number}") for number, value in enumerate(values, 1)
        ]
        _, mentions = resolve_spans([text], raw_spans, unit=unit)
        yield Document(require_id(fields.get("id", row), place), text, mentions)


def write(documents: Iterable[Document], path: Path, *, losses: ConversionLosses) -> None:
    """Write a line for each document."""
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        for document in drop_unsupported(documents, CAPABILITIES, losses):
            mapper = OffsetMapper(document.text, "utf-16")
            labels = [
                [mapper.to_offset(mention.start), mapper.to_offset(mention.end), mention.label]
                for mention in document.mentions
            ]
            record = {"id": document.id, "text": document.text, "label": labels}
            stream.write(json.dumps(record, ensure_ascii=False) + "\n")


def _raw_span(value: Json, place: str) -> RawSpan:
    if isinstance(value, dict):
        start, end, label = (
            require_field(value, name, place) for name in ("start_offset", "end_offset", "label")
        )
    else:
        start, end, label = require_triple(value, place)
    fragment = require_int(start, place), require_int(end, place)
    return RawSpan((fragment,), require_label(label, place), None, place)
