"""What somebody's tool predicted, read row by row and checked before it is scored.

A prediction is an `id`, the `text`, and `spans` or the `annotated` text. Lines of JSONL hold
spans as a list, as `annoseq annotate` writes them; the fields of other tables as JSON.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from annoseq.data.markup import Span, is_label, parse, strip_tags
from annoseq.data.streams import Utf8Lines, open_source, source_name
from annoseq.data.tables import read_rows, table_format
from annoseq.errors import MarkupError, TableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from annoseq.data.rows import TableFormat

_NAMES = {"id": ("id", "row"), "text": ("text", "source"), "annotated": ("annotated", "output")}
"""What `annoseq annotate` calls its columns, and what `annoseq evaluate --out` does."""


@dataclass(frozen=True, slots=True)
class Output:
    """A prediction; `place` says where it stands, for messages.

    `text` is that of the annotated text where none is given. Where an annotated text is malformed
    or is of another text, there are no spans.
    """

    place: str
    id: str
    text: str
    spans: tuple[Span, ...]
    annotated: str | None
    has_text: bool


def read_outputs(path: Path, *, format_: TableFormat | None = None) -> Iterator[Output]:
    """Read predictions lazily.

    Raises:
        TableError: the file cannot be read, or a row is not a prediction.
    """
    for place, fields in _rows(path, table_format(path, format_)):
        yield _output(place, fields)


def read_ids(path: Path, *, format_: TableFormat | None = None) -> Iterator[str | None]:
    """Read the ids alone."""
    for _, fields in _rows(path, table_format(path, format_)):
        yield _id(fields)


def _rows(path: Path, format_: TableFormat) -> Iterator[tuple[str, Mapping[str, Any]]]:
    name = source_name(path)
    if format_ != "jsonl":
        columns = [*(name for names in _NAMES.values() for name in names), "spans"]
        for row in read_rows(path, columns=[], optional=columns, format=format_):
            yield f"{name}: row {row.number}", row.values
        return
    with open_source(path) as stream:
        lines = Utf8Lines(stream, name, row=1)
        for line in lines:
            if line.strip(" \t\r\n"):
                if fault := lines.take_fault():
                    raise fault
                place = lines.place()
                yield place, _object(line, place)
                lines.row += 1


def _object(line: str, place: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise TableError(
            f"{place}: this is not valid JSON. Write one JSON object per line."
        ) from error
    if not isinstance(found, dict):
        raise TableError(f"{place}: this is not a JSON object. Write one JSON object per line.")
    return found


def _output(place: str, fields: Mapping[str, Any]) -> Output:
    id_, text, annotated = _id(fields), _text(fields, "text"), _text(fields, "annotated")
    if id_ is None:
        raise TableError(
            f"{place}: this prediction has no id. Give each the id of its row: the row's number, "
            "counted from 1, or what the column of --id holds."
        )
    spans = fields.get("spans") or None
    if isinstance(spans, str):
        spans = _parsed(spans, place)
    if annotated is None and (text is None or "spans" not in fields):
        raise TableError(
            f"{place}: found neither an annotated text nor a text with spans. "
            "Write `text` and `spans`, or `annotated`."
        )
    has_text = text is not None
    if text is None:
        text = strip_tags(annotated or "")
    if spans is not None:
        found = _spans(spans, text, place)
    else:
        found = () if annotated is None else _parse(annotated, text)
    return Output(place, id_, text, found, annotated, has_text)


def _id(fields: Mapping[str, Any]) -> str | None:
    for name in _NAMES["id"]:
        if isinstance(value := fields.get(name), str | int) and not isinstance(value, bool):
            return str(value)
    return None


def _text(fields: Mapping[str, Any], kind: str) -> str | None:
    for name in _NAMES[kind]:
        if isinstance(value := fields.get(name), str):
            return value
    return None


def _parsed(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise TableError(
            f"{place}: the column 'spans' does not hold JSON. Write a list of objects with "
            "start, end and label."
        ) from error


def _parse(annotated: str, text: str) -> tuple[Span, ...]:
    try:
        written, spans = parse(annotated)
    except MarkupError:
        return ()
    return tuple(spans) if written == text else ()


def _spans(found: Any, text: str, place: str) -> tuple[Span, ...]:
    if not isinstance(found, list):
        raise TableError(f"{place}: 'spans' is not a list. Write a list of objects.")
    return tuple(_span(one, text, f"{place}: span {i}") for i, one in enumerate(found, 1))


def _span(found: Any, text: str, place: str) -> Span:
    start, end, label, score = (
        (found.get(name) for name in ("start", "end", "label", "score"))
        if isinstance(found, dict)
        else (None,) * 4
    )
    if type(start) is not int or type(end) is not int or not isinstance(label, str):
        raise TableError(
            f"{place}: expected an object with the whole numbers start and end and the text label."
        )
    if not 0 <= start < end <= len(text):
        raise TableError(
            f"{place}: it is from {start} to {end}, and the text has {len(text)} characters. "
            "Count code points from 0, the end excluded."
        )
    if found.get("text") not in {None, text[start:end]}:
        raise TableError(
            f"{place}: its own text is not what stands from {start} to {end}. "
            "Count code points (not bytes or UTF-16 units) from 0, the end excluded."
        )
    if not is_label(label):
        raise TableError(
            f"{place}: its label cannot stand in a tag. "
            "Use a label without white space, braces and backslashes."
        )
    if score is not None and not (type(score) in {int, float} and 0 <= score <= 1):
        raise TableError(f"{place}: its score is not a probability. Give a number from 0 to 1.")
    return Span(start, end, label, score)
