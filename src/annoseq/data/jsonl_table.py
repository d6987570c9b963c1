"""JSON Lines: one JSON value per line, read with the place of every error, and tables of them."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, NamedTuple

from annoseq.data.csv_table import decoded_as_utf8
from annoseq.data.streams import UTF8_ADVICE, Utf8Lines, open_source, source_name
from annoseq.data.table_rows import TableRow, describe_number, display_column, is_missing
from annoseq.errors import TableError

if TYPE_CHECKING:
    import io
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path
    from typing import IO

    from annoseq.data.table_rows import ColumnSelection

JSON_TYPE_NAMES = {
    str: "a text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    type(None): "null",
    list: "a list",
    dict: "an object",
    tuple: "an object",
}
"""Names of the types of JSON values in messages."""

_DECODER = json.JSONDecoder()
# Objects become tuples of (name, value), so that a name written twice can be seen.
_PAIRS_DECODER = json.JSONDecoder(object_pairs_hook=tuple)
_DEEPEST = 100
"""Levels of nesting in a value that is passed on: the limit of Python depends on the caller."""
_ADVICE = "Write one JSON object per line."


class JsonLine(NamedTuple):
    """A parsed line: the number of its row from 1, its place in messages, and its value."""

    row: int
    place: str
    value: Any


def read_json_lines(
    source: str | Path, *, limit: int | None = None, encoding: str | None = None
) -> Iterator[JsonLine]:
    """Read a JSONL file, or standard input for `-`, line by line. Blank lines are skipped.

    `limit` is the number of bytes that a line may have, by default that of a row; `encoding` is
    UTF-8 by default.

    Raises:
        TableError: the file cannot be read or is empty, or a line is too long, not UTF-8 or not
            JSON.
    """
    name = source_name(source)
    is_empty = True
    with open_source(source) as stream:
        decoded = decoded_as_utf8(stream, name, encoding=encoding) if encoding else stream
        for line in _json_lines(decoded, name, _DECODER, limit=limit):
            if isinstance(line, TableError):
                raise line
            is_empty = False
            yield line
    if is_empty:
        raise TableError(f"{name}: the file is empty. Give it at least one line of JSON.")


def parse_json(text: str, place: str, *, advice: str, decoder: json.JSONDecoder = _DECODER) -> Any:
    """Parse JSON. `place` and `advice` are the begin and the end of a message.

    Raises:
        TableError: it is not well-formed.
    """
    try:
        return decoder.decode(text)
    except json.JSONDecodeError as error:
        is_one_line = "\n" not in text.strip()
        character = (
            f"character {error.pos}"
            if is_one_line
            else f"line {error.lineno}, character {error.colno - 1}"
        )
        raise TableError(
            f"{place}: this is not valid JSON: the fault is at {character}. {advice}"
        ) from error
    except ValueError as error:  # Python's limit on the digits of a whole number
        raise TableError(
            f"{place}: a number has too many digits. Write it as text, in double quotes."
        ) from error
    except RecursionError as error:
        raise TableError(f"{place}: the JSON is nested too deeply. Flatten it.") from error


def read_jsonl(
    stream: io.BufferedReader, name: str, columns: ColumnSelection
) -> Iterator[TableRow | TableError]:
    """Read the selected columns, one row at a time.

    The first good row settles which of the optional columns the table has. A line that is not
    UTF-8 or not a JSON object, lacks or doubles a column, or has a value that is not a text is
    yielded as an error.
    """
    expected: list[str] | None = None
    for line in _json_lines(stream, name, _PAIRS_DECODER, advice=UTF8_ADVICE):
        if isinstance(line, TableError):
            yield line
            continue
        try:
            row, found = _row(line, columns, expected)
        except TableError as error:
            yield error
            continue
        if expected is None:
            columns.fill_header(found, dict.fromkeys(row.kept, str))
            expected = found
        yield row


def write_jsonl(
    rows: Iterable[Sequence[str | int]], stream: IO[bytes], columns: Sequence[str]
) -> None:
    """Write one JSON object per row, in UTF-8."""
    for row in rows:
        record = dict(zip(columns, row, strict=True))
        stream.write(json.dumps(record, ensure_ascii=False).encode() + b"\n")


def _json_lines(
    stream: io.BufferedReader,
    name: str,
    decoder: json.JSONDecoder,
    *,
    advice: str = "Save the file as UTF-8.",
    limit: int | None = None,
) -> Iterator[JsonLine | TableError]:
    """Yield the lines that are not blank; a line that cannot be parsed is yielded as an error."""
    lines = Utf8Lines(stream, name, row=1, advice=advice, limit=limit)
    for line in lines:
        if not line.strip(" \t\r\n"):
            continue
        place = lines.place()
        try:
            if error := lines.take_error():
                raise error
            value = parse_json(line, place, advice=_ADVICE, decoder=decoder)
        except TableError as error:
            yield error
        else:
            yield JsonLine(lines.row, place, value)
        lines.row += 1


def _row(
    line: JsonLine, selection: ColumnSelection, expected: list[str] | None
) -> tuple[TableRow, list[str]]:
    """Return a row and the columns read, which are the `expected` ones if there are any."""
    place, pairs = line.place, line.value
    if not isinstance(pairs, tuple):
        raise TableError(
            f"{place}: found {JSON_TYPE_NAMES[type(pairs)]} where a JSON object was expected. "
            f"{_ADVICE}"
        )
    columns = selection.select([column for column, _ in pairs], place=place)
    if expected is not None and columns != expected:
        odd = sorted(set(columns) ^ set(expected))[0]
        raise TableError(
            f"{place}: the column {odd!r} is in this row or in row 1, but not in both. "
            "Give it to every row or to none."
        )
    values = dict(pairs)
    kept = set(selection.select_kept([column for column, _ in pairs]))
    texts = {
        column: _text(values[column], column, selection, place)
        for column in columns
        if not (is_missing(values[column]) and selection.allows_null(column))
    }
    passed_on: dict[str, Any] = {}
    for position, (column, value) in enumerate(pairs, 1):
        if column in kept:
            _check_surrogates(column, f"{place}: the name of column {position}")
            shown = display_column(column, position=position)
            passed_on[column] = _plain_value(value, f"{place}: column {shown}")
    return TableRow(line.row, texts, passed_on), columns


def _plain_value(value: object, place: str, *, depth: int = 0) -> Any:
    """Return a JSON value as it would be without the search for doubled names.

    Raises:
        TableError: it holds a lone surrogate, a name twice, or a number that is not finite, as JSON
            has none, or is nested too deeply for those who read it.
    """
    if depth > _DEEPEST:
        raise TableError(f"{place} is nested more than {_DEEPEST} levels deep. Flatten it.")
    if isinstance(value, tuple):
        for name, _ in value:
            _check_surrogates(name, place)
        if len(dict(value)) < len(value):
            raise TableError(f"{place} holds an object with a name twice. Remove all but one.")
        return {name: _plain_value(item, place, depth=depth + 1) for name, item in value}
    if isinstance(value, list):
        return [_plain_value(item, place, depth=depth + 1) for item in value]
    if isinstance(value, str):
        _check_surrogates(value, place)
    if isinstance(value, float) and not math.isfinite(value):
        raise TableError(
            f"{place} holds {describe_number(value)} where one up to 1.8e308 was expected. Write "
            "null, or a text in double quotes."
        )
    return value


def _text(value: object, column: str, selection: ColumnSelection, place: str) -> str:
    if (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and (number := selection.number_text(value, column))
    ):
        return number
    if not isinstance(value, str):
        found = JSON_TYPE_NAMES[type(value)]
        if isinstance(value, float) and column not in selection.texts:
            found = describe_number(value)
        raise TableError(
            f"{place}: column {column!r} holds {found} where {selection.expected(column)} was "
            "expected. Write texts in double quotes."
        )
    _check_surrogates(value, f"{place}: column {column!r}")
    return value


def _check_surrogates(value: str, place: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise TableError(
            f"{place} holds a lone surrogate, which is half a character. Write the character whole."
        ) from error
