"""Validated access to values of other programs' JSON and JSONL."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from annoseq.data.jsonl_table import JSON_TYPE_NAMES, read_json_lines
from annoseq.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from annoseq.formats.capabilities import ConversionLosses


Json = Any
"""A JSON value: a dict, a list, a str, an int, a float, a bool or None."""

_UNREAD_LISTS = ("relations", "Comments", "cats")


class JsonlRecord(NamedTuple):
    """A line of annotations: its row from 1, its place in messages, and its fields."""

    row: int
    place: str
    fields: dict[str, Json]
    text: str
    annotations: list[Json]


def read_records(
    path: Path, *, lists: Sequence[str], losses: ConversionLosses
) -> Iterator[JsonlRecord]:
    """Read lines whose annotations are in the first of `lists` that is present.

    A line may also be a list of the text and an object with the other fields. Annotations that
    are not spans are counted as losses.

    Raises:
        TableError: the file cannot be read, or a line is not JSON.
        FormatError: a value is of another type than expected, or missing.
    """
    for row, place, value in read_json_lines(path):
        if isinstance(value, list) and len(value) == 2:
            fields = {"text": value[0], **require_object(value[1], place)}
        else:
            fields = require_object(value, place)
        text = require_text(require_field(fields, "text", place), place)
        list_name = next((name for name in lists if name in fields), None)
        if list_name is None:
            raise FormatError(
                f"{place}: there is no list of annotations. Add one, empty where there is none: "
                f'"{lists[0]}": [].'
            )
        for unread in _UNREAD_LISTS:
            if fields.get(unread):
                losses.add(f"lists of {unread!r}, left out: only spans are read", where=place)
        yield JsonlRecord(row, place, fields, text, require_list(fields[list_name], place))


def require_field(record: dict[str, Json], name: str, place: str) -> Json:
    """Return the value of an object's field, or raise if it is missing."""
    if name not in record:
        known = ", ".join(map(repr, list(record)[:10])) or "nothing"
        raise FormatError(f"{place}: there is no {name!r}; there is {known}. Add it.")
    return record[name]


def require_object(value: Json, place: str) -> dict[str, Json]:
    """Return a value that is an object, or raise."""
    if not isinstance(value, dict):
        raise _type_error(value, "an object", place)
    return value


def require_list(value: Json, place: str) -> list[Json]:
    """Return a value that is a list, or raise."""
    if not isinstance(value, list):
        raise _type_error(value, "a list", place)
    return value


def require_text(value: Json, place: str) -> str:
    """Return a value that is a text without lone surrogates, or raise."""
    if not isinstance(value, str):
        raise _type_error(value, "a text", place)
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise FormatError(
            f"{place}: found a lone surrogate, which is half a character. Write it whole."
        ) from error
    return value


def require_label(value: Json, place: str) -> str:
    """Return a value that is a text of more than white space, or raise."""
    label = require_text(value, place)
    if not label.strip():
        raise FormatError(f"{place}: found an empty label. Name it.")
    return label


def require_int(value: Json, place: str) -> int:
    """Return a value that is a whole number, or raise; some programs write 3.0."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if type(value) is not int:
        raise _type_error(value, "a whole number", place)
    return value


def require_offset(value: Json, place: str) -> int:
    """Return a value that is a whole number from 0, or raise."""
    if (offset := require_int(value, place)) < 0:
        raise FormatError(f"{place}: found an offset below 0. Count from the text's begin, at 0.")
    return offset


def require_score(value: Json, place: str) -> float | None:
    """Return a value that is a finite number or null, or raise."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _type_error(value, "a number", place)
    return float(value)


def require_id(value: Json, place: str) -> str:
    """Return a value that is a text or a whole number as text, or raise."""
    return str(value) if type(value) is int else require_text(value, place)


def require_triple(value: Json, place: str) -> tuple[Json, Json, Json]:
    """Return a value that is a list of start, end and label, or raise."""
    if len(require_list(value, place)) != 3:
        raise FormatError(
            f"{place}: found a list of {len(value)} values where start, end and label were "
            "expected. Write three."
        )
    return value[0], value[1], value[2]


def _type_error(value: Json, expected: str, place: str) -> FormatError:
    return FormatError(
        f"{place}: found {JSON_TYPE_NAMES[type(value)]} where {expected} was expected. "
        "Correct the file."
    )
