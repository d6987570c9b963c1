"""JSONL with a text and a list of its annotations on each line: what such formats share."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from annoseq.errors import FormatError
from annoseq.formats.json_values import Json, a_list, a_text, an_object, entry, json_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from annoseq.formats.losses import Losses

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
