"""Validated access to values of other programs' JSON and JSONL."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from annoseq.data.jsonl_table import JSON_TYPE_NAMES, JsonLine, parse_json, read_json_lines
from annoseq.data.streams import LARGEST_CORPUS, read_text
from annoseq.errors import FormatError, TableError, count_noun, display_name, quote_name

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence
    from pathlib import Path

    from annoseq.formats.capabilities import ConversionLosses


Json = Any
"""A JSON value: a dict, a list, a str, an int, a float, a bool or None."""

_UNREAD_LISTS = ("relations", "Comments", "cats")
_LISTS_OF_FORMATS = {
    "spans": "spacy-jsonl",
    "entities": "spacy-jsonl",
    "label": "doccano",
    "labels": "doccano",
    "annotations": "label-studio or doccano",
}


def read_json_values(path: Path) -> Iterator[JsonLine]:
    """Read the values of a JSONL file, or the values of the one list that a JSON file holds.

    Raises:
        TableError: the file cannot be read, or is neither.
    """
    lines = read_json_lines(path, limit=LARGEST_CORPUS)  # one line may be the whole list
    try:
        first = next(lines)
    except TableError:
        document = _parse_whole(path)
        if document is None:
            raise
        first = JsonLine(1, str(path), document)
    if not _is_list_of_records(first.value):
        yield first
        yield from lines
        return
    for number, value in enumerate(first.value, 1):
        yield JsonLine(number, f"{path}: item {number}", value)
    if line := next(lines, None):
        raise TableError(f"{line.place}: found a second JSON value. Write one list in a file.")


def _parse_whole(path: Path) -> Json | None:
    """Parse a JSON file of several lines; return None if it is not one."""
    try:
        text = read_text(path, limit=LARGEST_CORPUS)
    except FormatError:
        return None
    if "\n" not in text.strip() or text.lstrip()[:1] not in {"[", "{"}:
        return None
    is_list = text.lstrip().startswith("[")
    try:
        return parse_json(text, str(path), advice="Correct it; the file may be cut off.")
    except TableError:
        if is_list:
            raise
        return None


def _is_list_of_records(value: Json) -> bool:
    """Tell a list of records from a record that is a list: of a text and an object."""
    return isinstance(value, list) and not (value and isinstance(value[0], str | int | float))


def read_fields(path: Path) -> Iterator[tuple[int, str, dict[str, Json]]]:
    """Read records: yield the row, the place and the fields of each.

    A record may also be a list of the text and an object with the other fields.

    Raises:
        TableError: the file cannot be read, or is not JSON.
        FormatError: there is none, or a record is neither.
    """
    is_empty = True
    for row, place, value in read_json_values(path):
        is_empty = False
        if isinstance(value, list) and len(value) == 2:
            yield row, place, {"text": value[0], **require_object(value[1], place)}
        else:
            yield row, place, require_object(value, place)
    if is_empty:
        raise FormatError(f"{path}: the list is empty. Give it at least one document.")


def require_annotations(
    fields: dict[str, Json], *, lists: Sequence[str], place: str, losses: ConversionLosses
) -> list[Json]:
    """Return the first of `lists` that is present; count lists of what is no span as losses.

    Raises:
        FormatError: there is none, or it is no list.
    """
    list_name = next((name for name in lists if name in fields), None)
    if list_name is None:
        other = next((name for name in _LISTS_OF_FORMATS if name in fields), None)
        hint = f"Or is the format {_LISTS_OF_FORMATS[other]}? There is {other!r}. " if other else ""
        raise FormatError(
            f"{place}: there is no list of annotations. {hint}Add one, empty where there is none: "
            f'"{lists[0]}": [].'
        )
    for unread in _UNREAD_LISTS:
        if fields.get(unread):
            losses.add("list", f"of {unread!r}, left out: only spans are read", where=place)
    return require_list(fields[list_name], place)


class AnnotatorChoice:
    """Choice of the annotations of one annotator, where several annotated the same text.

    Without `name`, the first annotator of each text is taken; annotations of others are counted.
    """

    def __init__(self, name: str | None, losses: ConversionLosses) -> None:
        self._name = name
        self._losses = losses
        self._first: dict[Hashable, str] = {}
        self._known: set[str] = set()
        self._is_found = False

    @property
    def is_chosen(self) -> bool:
        """True if an annotator was named."""
        return self._name is not None

    def accepts(self, names: Sequence[str], *, key: Hashable, place: str) -> bool:
        """Return True if an annotation is taken, which is by `names` and of the text `key`."""
        self._known.update(names)
        if self._name is not None:
            is_accepted = self._name in names
            self._is_found |= is_accepted
            kind = "of another annotator than --annotator, left out"
        else:
            first = self._first.setdefault(key, names[0] if names else "")
            is_accepted = not names or first == names[0]
            kind = "of further annotators, left out: --annotator chooses"
        if not is_accepted:
            self._losses.note("annotation", kind, where=place)
        return is_accepted

    def check_found(self, path: Path) -> None:
        """Raise `FormatError` if nothing is by the chosen annotator."""
        if self._name is None or self._is_found:
            return
        known = [name for name in sorted(self._known) if display_name(name) == name]
        listed = f"There are {', '.join(known[:20])}." if known else "The file names none."
        raise FormatError(f"{path}: no annotation is by the annotator of --annotator. {listed}")


def require_field(record: dict[str, Json], name: str, place: str) -> Json:
    """Return the value of an object's field, or raise if it is missing."""
    if name not in record:
        known = ", ".join(quote_name(key, kind="key") for key in list(record)[:10]) or "nothing"
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
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _type_error(value, "a number", place)
    try:
        score = float(value)
    except OverflowError:
        score = math.inf
    if not math.isfinite(score):
        raise FormatError(f"{place}: found a score that is not finite. Give a number from 0 to 1.")
    return score


def require_id(value: Json, place: str) -> str:
    """Return a value that is a text or a whole number as text, or raise."""
    return str(value) if type(value) is int else require_text(value, place)


def require_triple(value: Json, place: str) -> tuple[Json, Json, Json]:
    """Return a value that is a list of start, end and label, or raise."""
    if len(require_list(value, place)) != 3:
        raise FormatError(
            f"{place}: found a list of {count_noun(len(value), 'value')} where start, end and "
            "label were expected. Write three."
        )
    return value[0], value[1], value[2]


def _type_error(value: Json, expected: str, place: str) -> FormatError:
    return FormatError(
        f"{place}: found {JSON_TYPE_NAMES[type(value)]} where {expected} was expected. "
        "Correct the file."
    )
