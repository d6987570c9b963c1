"""Rows of JSONL tables: one JSON object per line. Blank lines are skipped."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from annoseq.data.rows import TableRow
from annoseq.data.streams import Utf8Lines
from annoseq.errors import TableError

if TYPE_CHECKING:
    import io
    from collections.abc import Iterable, Iterator, Sequence
    from typing import IO

    from annoseq.data.rows import ColumnSelection

JSON_KINDS = {
    str: "a text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    type(None): "null",
    list: "a list",
    dict: "an object",
    tuple: "an object",
}
"""What messages call a value that was read from JSON."""

# Objects become tuples of (name, value), so that a name written twice can be seen.
_decoder = json.JSONDecoder(object_pairs_hook=tuple)


def read_jsonl(
    stream: io.BufferedReader, name: str, wanted: ColumnSelection
) -> Iterator[TableRow | TableError]:
    """Read the wanted columns, one row at a time.

    The first good row settles which of the optional columns the table has. A line that is not
    UTF-8 or not a JSON object, lacks or doubles a column, or has a value that is not a text is
    yielded as an error.
    """
    lines = Utf8Lines(stream, name, row=1)
    expected: list[str] | None = None
    for line in lines:
        if not line.strip(" \t\r\n"):
            continue
        try:
            if fault := lines.take_fault():
                raise fault
            row = _row(line, lines, wanted, expected)
        except TableError as error:
            yield error
        else:
            expected = list(row.values)
            yield row
        lines.row += 1


def _row(
    line: str, lines: Utf8Lines, wanted: ColumnSelection, expected: list[str] | None
) -> TableRow:
    place = lines.place()
    pairs = _parsed(line, place)
    columns = wanted.found_in([column for column, _ in pairs], place=place)
    if expected is not None and columns != expected:
        odd = sorted(set(columns) ^ set(expected))[0]
        raise TableError(
            f"{place}: the column {odd!r} is in this row or in row 1, but not in both. "
            "Give it to every row or to none."
        )
    values = dict(pairs)
    return TableRow(lines.row, {c: _text(values[c], c, wanted, place=place) for c in columns})


def write_jsonl(
    rows: Iterable[Sequence[str | int]], stream: IO[bytes], columns: Sequence[str]
) -> None:
    """Write one JSON object per row, in UTF-8."""
    for row in rows:
        record = dict(zip(columns, row, strict=True))
        stream.write(json.dumps(record, ensure_ascii=False).encode() + b"\n")


def _parsed(line: str, place: str) -> tuple[tuple[str, object], ...]:
    try:
        found = _decoder.decode(line)
    except json.JSONDecodeError as error:
        raise TableError(
            f"{place}: this is not valid JSON: the fault is at character {error.pos}. "
            "Write one JSON object per line."
        ) from error
    except ValueError as error:  # Python's limit on the digits of a whole number
        raise TableError(
            f"{place}: a number has too many digits. Write it as text, in double quotes."
        ) from error
    except RecursionError as error:
        raise TableError(f"{place}: the JSON is nested too deeply. Flatten it.") from error
    if not isinstance(found, tuple):
        raise TableError(
            f"{place}: found {JSON_KINDS[type(found)]} where a JSON object was expected. "
            "Write one JSON object per line."
        )
    return found


def _text(value: object, column: str, wanted: ColumnSelection, *, place: str) -> str:
    is_text = column in wanted.texts
    if type(value) is int and not is_text:
        return str(value)
    if not isinstance(value, str):
        expected = "a text" if is_text else "a text or a whole number"
        raise TableError(
            f"{place}: column {column!r} holds {JSON_KINDS[type(value)]} where {expected} was "
            "expected. Write texts in double quotes."
        )
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise TableError(
            f"{place}: column {column!r} holds a lone surrogate, which is half a character. "
            "Write the character whole."
        ) from error
    return value
