"""Character offsets from offsets in characters, UTF-16 code units or bytes.

Python counts code points, JavaScript and Java count UTF-16 code units, and some tools count bytes.
The formats do not say which; most repeat the text of each annotation, which decides.
"""

from __future__ import annotations

import html
from bisect import bisect_left
from itertools import accumulate
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from annoseq.errors import FormatError
from annoseq.formats.documents import Mention

if TYPE_CHECKING:
    from collections.abc import Sequence

    from annoseq.formats.documents import Fragment

OffsetUnit = Literal["characters", "utf-16", "bytes"]
OffsetUnitOption = Literal["auto", "characters", "utf-16", "bytes"]

_UNITS: tuple[OffsetUnit, ...] = get_args(OffsetUnit)
_ENCODINGS = {"utf-16": ("utf-16-le", 2), "bytes": ("utf-8", 1)}  # and bytes for each unit


class RawSpan(NamedTuple):
    """An annotation as its file gives it: offsets in some unit, and the text it should cover.

    `place` names the annotation in messages: the file, and the line or the annotation's number.
    """

    fragments: tuple[Fragment, ...]
    label: str
    covered: str | None
    place: str
    score: float | None = None


class OffsetMapper:
    """Maps offsets in `unit` of one text to characters (code points) and back."""

    def __init__(self, text: str, unit: OffsetUnit) -> None:
        # A text of ASCII, or without astral characters, needs no table.
        widest = max(text, default="")
        self._length = len(text)
        is_same = unit == "characters" or widest < ("\U00010000" if unit == "utf-16" else "\x80")
        self._boundaries = None if is_same else _character_boundaries(text, unit)

    def to_character(self, offset: int) -> int | None:
        """Return the character at an offset, or None past the end or within a character."""
        if self._boundaries is None:
            return offset if 0 <= offset <= self._length else None
        index = bisect_left(self._boundaries, offset)
        is_boundary = index < len(self._boundaries) and self._boundaries[index] == offset
        return index if is_boundary else None

    def to_offset(self, character: int) -> int:
        """Return the offset of a character."""
        return character if self._boundaries is None else self._boundaries[character]


def resolve_spans(
    texts: Sequence[str], raw_spans: Sequence[RawSpan], *, unit: OffsetUnitOption
) -> tuple[str, tuple[Mention, ...]]:
    """Return the text that a document's annotations were made on, and its mentions in characters.

    `texts` are the candidate texts (such as with XML entities escaped and resolved), the likeliest
    first. With `auto`, all units are tried; the first text and unit for which every annotation
    covers the text that it should cover are chosen.

    Raises:
        FormatError: an annotation fits no candidate text in any unit; the first one is named.
    """
    units = _UNITS if unit == "auto" else (unit,)
    if unit == "auto" and all(raw_span.covered is None for raw_span in raw_spans):
        units = ("characters",)
    first_error: FormatError | None = None
    for text in texts:
        for candidate in units:
            mapper = OffsetMapper(text, candidate)
            try:
                return text, tuple(_mention(text, span, mapper, candidate) for span in raw_spans)
            except FormatError as error:
                first_error = first_error or error
    assert first_error is not None
    raise first_error


def _mention(text: str, raw_span: RawSpan, mapper: OffsetMapper, unit: OffsetUnit) -> Mention:
    fragments: list[Fragment] = []
    for begin, stop in sorted(raw_span.fragments):
        start, end = mapper.to_character(begin), mapper.to_character(stop)
        if start is None or end is None or start >= end:
            length = mapper.to_offset(len(text))
            raise FormatError(
                f"{raw_span.place}: found the offsets {begin} to {stop}, which are empty or do not "
                f"lie in the text, whose length is {length} {_UNIT_NAMES[unit]}. "
                "Count from 0, the end excluded."
            )
        if fragments and start < fragments[-1][1]:
            raise FormatError(
                f"{raw_span.place}: its fragments overlap at offset {begin}. Join or split them."
            )
        fragments.append((start, end))
    pieces = [text[start:end] for start, end in fragments]
    if raw_span.covered is not None and not _is_same_text(pieces, raw_span.covered):
        raise FormatError(
            f"{raw_span.place}: the text at its offsets is not the text that it gives. Correct one "
            "of them; the file's text may have been changed after it was annotated."
        )
    return Mention(tuple(fragments), raw_span.label, raw_span.score)


def _is_same_text(pieces: list[str], covered: str) -> bool:
    """Compare text up to white space and XML entities."""
    if len(pieces) == 1 and pieces[0] == covered:
        return True
    actual, expected = _normalize_space(" ".join(pieces)), _normalize_space(covered)
    return (
        actual == expected
        or actual == _resolve_entities(expected)
        or _resolve_entities(actual) == expected
    )


def _normalize_space(text: str) -> str:
    return " ".join(text.split())


def _resolve_entities(text: str) -> str:
    """Resolve the entities of a text that was escaped once more than its file's format asks."""
    return _normalize_space(html.unescape(text)) if "&" in text else text


def _character_boundaries(text: str, unit: OffsetUnit) -> list[int]:
    encoding, width = _ENCODINGS[unit]
    sizes = (len(character.encode(encoding, "surrogatepass")) // width for character in text)
    return [0, *accumulate(sizes)]


_UNIT_NAMES = {"characters": "characters", "utf-16": "UTF-16 units", "bytes": "bytes"}
