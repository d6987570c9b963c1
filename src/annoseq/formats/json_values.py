"""Validated access to the JSON and JSONL records of other programs."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, NamedTuple

from annoseq.data.jsonl_table import JSON_KINDS
from annoseq.data.streams import Lines, open_source
from annoseq.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from annoseq.formats.capabilities import Losses


Json = Any
"""What JSON can hold: a dict, a list, a str, an int, a float, a bool or None."""


def json_lines(path: Path) -> Iterator[tuple[str, Json]]:
    """Read JSONL: yield the place of each line that is not blank, for messages, and its value.

    Raises:
        TableError: the file cannot be read, or a line is not UTF-8.
        FormatError: a line is not JSON, or the file has none.
    """
    is_empty = True
    with open_source(path) as stream:
        lines = Lines(stream, str(path), row=1)
        for line in lines:
            if fault := lines.take_fault():
                raise fault
            if line.strip(" \t\r\n"):
                is_empty = False
                place = f"{path}: line {lines.number}"
                yield place, parsed(line, place)
                lines.row += 1
    if is_empty:
        raise FormatError(f"{path}: the file is empty. Give it at least one line of JSON.")


def parsed(text: str, place: str) -> Json:
    """Parse JSON.

    Raises:
        FormatError: it is not well-formed.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line = f"line {error.lineno}, " if "\n" in text.strip() else ""
        raise FormatError(
            f"{place}: this is not valid JSON: the fault is at {line}character {error.colno - 1}. "
            "Mend it; the file may be cut off, or not be JSON."
        ) from error
    except ValueError as error:  # Python's limit on the digits of a whole number
        raise FormatError(f"{place}: a number has too many digits. Write it as text.") from error
    except RecursionError as error:
        raise FormatError(f"{place}: the JSON is nested too deeply. Flatten it.") from error


def an_object(value: Json, place: str) -> dict[str, Json]:
    """Check that a value is an object."""
    if not isinstance(value, dict):
        raise _wrong(value, "an object", place)
    return value


def a_list(value: Json, place: str) -> list[Json]:
    """Check that a value is a list."""
    if not isinstance(value, list):
        raise _wrong(value, "a list", place)
    return value


def a_text(value: Json, place: str) -> str:
    """Check that a value is a text of whole characters."""
    if not isinstance(value, str):
        raise _wrong(value, "a text", place)
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise FormatError(
            f"{place}: found a lone surrogate, which is half a character. Write it whole."
        ) from error
    return value


def a_label(value: Json, place: str) -> str:
    """Check that a value is a text, and not an empty one."""
    label = a_text(value, place)
    if not label.strip():
        raise FormatError(f"{place}: found an empty label. Name it.")
    return label


def a_whole_number(value: Json, place: str) -> int:
    """Check that a value is a whole number; some programs write 3.0."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if type(value) is not int:
        raise _wrong(value, "a whole number", place)
    return value


def a_place(value: Json, place: str) -> int:
    """Check that a value is a whole number from 0."""
    if (found := a_whole_number(value, place)) < 0:
        raise FormatError(f"{place}: found a place before the text's begin. Count from 0.")
    return found


def a_score(value: Json, place: str) -> float | None:
    """Check that a value is a number, or null."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _wrong(value, "a number", place)
    return float(value)


def an_id(value: Json, place: str) -> str:
    """Check that a value is a text or a whole number, and return it as text."""
    return str(value) if type(value) is int else a_text(value, place)


def a_triple(value: Json, place: str) -> tuple[Json, Json, Json]:
    """Check that a value is a list of three: start, end and label."""
    if len(a_list(value, place)) != 3:
        raise FormatError(
            f"{place}: found a list of {len(value)} values where start, end and label were "
            "expected. Write three."
        )
    return value[0], value[1], value[2]


def entry(record: dict[str, Json], name: str, place: str) -> Json:
    """Return what an object has under a name."""
    if name not in record:
        known = ", ".join(map(repr, list(record)[:10])) or "nothing"
        raise FormatError(f"{place}: there is no {name!r}; there is {known}. Add it.")
    return record[name]


def _wrong(value: Json, expected: str, place: str) -> FormatError:
    return FormatError(
        f"{place}: found {JSON_KINDS[type(value)]} where {expected} was expected. Correct the file."
    )


_OTHERS = ("relations", "Comments", "cats")


class Record(NamedTuple):
    """A line: its number, its place in messages, all its fields, its text, its annotations."""

    number: int
    place: str
    fields: dict[str, Json]
    text: str
    annotations: list[Json]


def records(path: Path, *, lists: Sequence[str], losses: Losses) -> Iterator[Record]:
    """Read lines whose annotations are in the first of `lists` that is there.

    A line may also be a list of the text and an object with the rest. What else is annotated in
    it is counted.

    Raises:
        FormatError: a value is of another type than expected, or missing.
    """
    for number, (place, value) in enumerate(json_lines(path), 1):
        if isinstance(value, list) and len(value) == 2:
            fields = {"text": value[0], **an_object(value[1], place)}
        else:
            fields = an_object(value, place)
        text = a_text(entry(fields, "text", place), place)
        name = next((one for one in lists if one in fields), None)
        if name is None:
            raise FormatError(
                f"{place}: there is no list of annotations. Add one, empty where there is none: "
                f'"{lists[0]}": [].'
            )
        for other in _OTHERS:
            if fields.get(other):
                losses.add(f"lists of {other!r}, left out: only spans are read", where=place)
        yield Record(number, place, fields, text, a_list(fields[name], place))
