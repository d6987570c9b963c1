"""Reader of annoseq's own output: JSONL or tables of predicted spans, validated row by row.

A row has an `id`, the `text`, and `spans` or the `annotated` text. JSONL holds spans as a list, as
`annoseq annotate` writes them; the cells of other tables hold them as JSON. Predictions of other
tools are read alike if they are written so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    ValidationError,
)
from pydantic_core import PydanticCustomError

from annoseq.config import DOCUMENT_COLUMN, OFFSET_COLUMN
from annoseq.data.jsonl_table import JSON_TYPE_NAMES, parse_json, read_json_lines
from annoseq.data.markup import Span, is_label, parse, strip_tags
from annoseq.data.streams import source_name
from annoseq.data.table_rows import DEFAULT_DIALECT, parse_offset
from annoseq.data.tables import check_dialect, read_rows, table_format
from annoseq.data.text_inputs import WellFormedText
from annoseq.errors import MarkupError, TableError, count_noun

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pydantic_core import ErrorDetails

    from annoseq.data.table_rows import TableFormat, TextDialect

# The first name is that of `annoseq annotate`, the second that of `annoseq evaluate --out`.
_ID, _TEXT, _ANNOTATED = ("id", "row"), ("text", "source"), ("annotated", "output")
_COLUMNS = (*_ID, *_TEXT, *_ANNOTATED, "spans", DOCUMENT_COLUMN, OFFSET_COLUMN)


def _check_label(label: str) -> str:
    if not is_label(label):
        raise PydanticCustomError("label", "a label that cannot stand in a tag")
    return label


class SpanRecord(BaseModel):
    """A span as it is written: characters, end excluded, its label, text and probability."""

    model_config = ConfigDict(strict=True)

    start: int
    end: int
    label: Annotated[WellFormedText, AfterValidator(_check_label)]
    text: str | None = None
    score: Annotated[FiniteFloat, Field(ge=0, le=1)] | None = None


class OutputRecord(BaseModel):
    """A row as it is written. `doc_id` and `start` are its document and its offset in that."""

    model_config = ConfigDict(strict=True)

    id: WellFormedText | int = Field(validation_alias=AliasChoices(*_ID))
    text: WellFormedText | None = Field(None, validation_alias=AliasChoices(*_TEXT), repr=False)
    annotated: WellFormedText | None = Field(
        None, validation_alias=AliasChoices(*_ANNOTATED), repr=False
    )
    spans: list[SpanRecord] | None = None
    # Checked by whoever joins rows to documents: other tools may use these names otherwise.
    doc_id: Any = None
    start: Any = None


@dataclass(frozen=True, slots=True)
class OutputRow:
    """A row that was read; `place` names it in messages.

    `text` is that of the annotated text if the row has none. `spans` is None if neither spans are
    given nor the annotated text is `text` plus well-nested tags.
    """

    place: str
    id: str
    text: str = field(repr=False)  # private
    spans: tuple[Span, ...] | None
    annotated: str | None = field(default=None, repr=False)
    has_text: bool = True
    document: Any = None
    start: Any = None


def read_output(
    path: Path, *, format_: TableFormat | None = None, dialect: TextDialect = DEFAULT_DIALECT
) -> Iterator[OutputRow]:
    """Read rows lazily.

    Raises:
        OptionError: the format has no such delimiter or encoding.
        TableError: the file cannot be read, or a row is not valid; it names row and field.
    """
    for place, fields in _records(path, table_format(path, format_), dialect):
        yield _output_row(fields, place)


def read_ids(
    path: Path, *, format_: TableFormat | None = None, dialect: TextDialect = DEFAULT_DIALECT
) -> Iterator[str | None]:
    """Read only the ids, None for a row without one."""
    for _, fields in _records(path, table_format(path, format_), dialect):
        values = (fields.get(name) for name in _ID)
        yield next((str(value) for value in values if type(value) in {str, int}), None)


def is_annoseq_output(path: Path, *, dialect: TextDialect = DEFAULT_DIALECT) -> bool:
    """Return True if the first row of a file has a text and spans, as `annoseq annotate` writes.

    Raises:
        OptionError: the format has no such delimiter or encoding.
        TableError: the file cannot be read.
    """
    if table_format(path) == "jsonl":
        check_dialect("jsonl", dialect)
        first = next(read_json_lines(path, encoding=dialect.encoding)).value
        return isinstance(first, dict) and "spans" in first and "text" in first
    rows = read_rows(
        path,
        columns=(),
        optional=("text", "spans"),
        delimiter=dialect.delimiter,
        encoding=dialect.encoding,
    )
    row = next(rows)
    return row.values.keys() >= {"text", "spans"}


def _records(
    path: Path, format_: TableFormat, dialect: TextDialect
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the place and the fields of each row."""
    if format_ == "jsonl":
        check_dialect(format_, dialect)
        for line in read_json_lines(path, encoding=dialect.encoding):
            if not isinstance(line.value, dict):
                raise TableError(
                    f"{line.place}: this is not a JSON object. Write one JSON object per line."
                )
            yield line.place, line.value
        return
    name = source_name(path)
    for row in read_rows(
        path,
        columns=(),
        optional=_COLUMNS,
        format=format_,
        delimiter=dialect.delimiter,
        encoding=dialect.encoding,
    ):
        place = f"{name}: row {row.number}"
        yield place, _parse_cells(row.values, place)


def _parse_cells(cells: Mapping[str, str], place: str) -> dict[str, Any]:
    """Parse the cells of a table that do not hold a text; an empty one is null."""
    fields: dict[str, Any] = dict(cells)
    if spans := fields.pop("spans", None):
        advice = "Write a list of objects with start, end and label."
        fields["spans"] = parse_json(spans, f"{place}: column 'spans'", advice=advice)
    elif spans is not None:
        fields["spans"] = None
    if start := fields.pop(OFFSET_COLUMN, None):
        offset = parse_offset(start)
        fields[OFFSET_COLUMN] = start if offset is None else offset
    return fields


def _output_row(fields: Mapping[str, Any], place: str) -> OutputRow:
    try:
        record = OutputRecord.model_validate(fields)
    except ValidationError as error:
        # The original error quotes the row, which is private.
        raise TableError(f"{place}: {_describe(error.errors(include_url=False)[0])}") from None
    text, annotated = record.text, record.annotated
    if annotated is None and (text is None or "spans" not in fields):
        raise TableError(
            f"{place}: found neither an annotated text nor a text with spans. "
            "Write `text` and `spans`, or `annotated`."
        )
    has_text = text is not None
    if text is None:
        text = strip_tags(annotated or "")
    spans: tuple[Span, ...] | None = None if record.spans is None else ()
    if record.spans:
        spans = tuple(
            _span(span, text, f"{place}: span {number}")
            for number, span in enumerate(record.spans, 1)
        )
    elif annotated is not None and (parsed := _parse_spans(annotated, text)) is not None:
        spans = parsed
    return OutputRow(
        place, str(record.id), text, spans, annotated, has_text, record.doc_id, record.start
    )


def _parse_spans(annotated: str, text: str) -> tuple[Span, ...] | None:
    try:
        written, spans = parse(annotated)
    except MarkupError:
        return None
    return tuple(spans) if written == text else None


def _span(record: SpanRecord, text: str, place: str) -> Span:
    start, end = record.start, record.end
    if not 0 <= start < end <= len(text):
        raise TableError(
            f"{place}: it is from {start} to {end}, and the text has "
            f"{count_noun(len(text), 'character')}. Count code points from 0, the end excluded."
        )
    if record.text is not None and record.text != text[start:end]:
        raise TableError(
            f"{place}: its own text is not the text from {start} to {end}. "
            "Count code points (not bytes or UTF-16 units) from 0, the end excluded."
        )
    return Span(start, end, record.label, record.score)


def _describe(error: ErrorDetails) -> str:
    """Describe an invalid field without quoting its value."""
    match error["loc"]:
        case ("spans",):
            return "'spans' is not a list. Write a list of objects."
        case ("spans", int(index), *names):
            return f"span {index + 1}: {_describe_span(error, names)}"
        case (name, *_) if error["type"] == "string_unicode":
            return f"the field {name!r} holds half a character. Write the character whole."
        case (name, *_) if name not in _ID:
            found = JSON_TYPE_NAMES.get(type(error["input"]), "a value")
            return f"the field {name!r} holds {found} where a text was expected. Write a text."
    return (
        "this row has no id. Give each the id of its text: the number of its row, counted from 1, "
        "or what the column of --id holds."
    )


def _describe_span(error: ErrorDetails, names: list[int | str]) -> str:
    if error["type"] == "label":
        return (
            "its label cannot stand in a tag. "
            "Use a label without white space, braces and backslashes."
        )
    if names[:1] == ["score"]:
        return "its score is not a probability. Give a number from 0 to 1."
    if names[:1] == ["text"]:
        return "its own text is no text. Write the text that it covers, or leave it out."
    return "expected an object with the whole numbers start and end and the text label."
