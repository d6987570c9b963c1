"""doccano's JSONL for sequence labelling.

    {"id": 1, "text": "Dr. Ames", "label": [[4, 8, "NAME"]]}

For projects with relations, doccano writes `entities` with `start_offset` and `end_offset`
instead; older versions write `annotations` with numbers of labels, and `data` for `text`. Offsets
come from JavaScript: they count UTF-16 code units, or graphemes if the project is set so.
https://github.com/doccano/doccano/issues/2290
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from annoseq.errors import FormatError, display_name
from annoseq.formats.capabilities import FormatCapabilities, drop_unsupported
from annoseq.formats.documents import Document
from annoseq.formats.json_values import (
    AnnotatorChoice,
    Json,
    read_fields,
    require_annotations,
    require_field,
    require_id,
    require_int,
    require_label,
    require_text,
    require_triple,
)
from annoseq.formats.offsets import OffsetMapper, RawSpan, find_ambiguity, resolve_spans

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator
    from pathlib import Path

    from annoseq.formats.capabilities import ConversionLosses
    from annoseq.formats.conversion_options import ExportOptions, ImportOptions
    from annoseq.formats.offsets import OffsetUnit

CAPABILITIES = FormatCapabilities(crossing=True, nested=True)

_LISTS = ("label", "labels", "entities", "annotations")
_TEXTS = ("text", "data")


def read(path: Path, options: ImportOptions, losses: ConversionLosses) -> Iterator[Document]:
    """Read a file. The id of a document that has none is the number of its row.

    Numbers of labels must be named by the label map. With `auto`, offsets are UTF-16 units; where
    another unit fits as well, that is counted in `losses`.

    Raises:
        TableError: the file cannot be read, or is not JSON.
        FormatError: a value is of another type than expected, or lies outside the text.
    """
    is_auto = options.offset_unit == "auto"
    unit: OffsetUnit = "utf-16" if options.offset_unit == "auto" else options.offset_unit
    named_labels = options.label_map.labels if options.label_map else ()
    annotators = AnnotatorChoice(options.annotator, losses)
    for row, place, fields in read_fields(path):
        name = next((name for name in _TEXTS if name in fields), _TEXTS[0])
        text = require_text(require_field(fields, name, place), place)
        values = require_annotations(fields, lists=_LISTS, place=place, losses=losses)
        raw_spans = [
            _raw_span(value, f"{place}: label {number}", named_labels)
            for number, value in enumerate(values, 1)
            if annotators.accepts(_annotators(value), key=row, place=f"{place}: label {number}")
        ]
        if is_auto and (others := find_ambiguity(text, raw_spans, unit)):
            losses.note(
                "document",
                f"whose offsets could also count {others}, read as UTF-16 units: look at "
                "one, and choose with --offsets",
                where=place,
            )
        _, mentions = resolve_spans([text], raw_spans, unit=unit)
        yield Document(require_id(fields.get("id", row), place), text, mentions, place)
    annotators.check_found(path)


def write(
    documents: Iterable[Document], path: Path, _: ExportOptions, losses: ConversionLosses
) -> None:
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


def _annotators(value: Json) -> list[str]:
    """Return the annotator of an annotation of an old export, which numbers users."""
    user = value.get("user") if isinstance(value, dict) else None
    return [str(user)] if type(user) in {int, str} else []


def _raw_span(value: Json, place: str, named_labels: Container[str]) -> RawSpan:
    if isinstance(value, dict):
        start, end, label = (
            require_field(value, name, place) for name in ("start_offset", "end_offset", "label")
        )
    else:
        start, end, label = require_triple(value, place)
    if type(label) is int:
        if (number := str(label)) not in named_labels:
            raise FormatError(
                f"{place}: its label is a number, whose name is in the labels of the project "
                "(label_config.json). Name all numbers in a file for --map, under [rename], as "
                f'"{display_name(number)}" = "LABEL".'
            )
        label = number
    fragment = require_int(start, place), require_int(end, place)
    return RawSpan((fragment,), require_label(label, place), None, place)
