"""Character offsets from offsets in characters, UTF-16 code units, bytes or graphemes.

Python counts code points, JavaScript and Java count UTF-16 code units, some tools count bytes, and
doccano can count graphemes. Tools that open a file with universal newlines count CR LF as one.
The formats do not say which; most repeat the text of each annotation, which decides.
"""

from __future__ import annotations

import html
from bisect import bisect_left
from itertools import accumulate, product
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from annoseq.errors import FormatError
from annoseq.formats.documents import Mention

if TYPE_CHECKING:
    from collections.abc import Sequence

    from annoseq.formats.documents import Fragment

OffsetUnit = Literal["characters", "utf-16", "bytes", "graphemes"]
OffsetUnitOption = Literal["auto", "characters", "utf-16", "bytes", "graphemes"]
Newlines = Literal["as written", "universal", "crlf"]
"""Count of line ends: as they are, CR LF as one character, or LF as the two of CR LF."""

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

    def __init__(self, text: str, unit: OffsetUnit, newlines: Newlines = "as written") -> None:
        self._length = len(text)
        is_same = _counts_characters(text, unit) and not _changes_count(text, newlines)
        # A text of ASCII, or without astral characters, needs no table.
        self._boundaries = None if is_same else _character_boundaries(text, unit, newlines)

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
    texts: Sequence[str],
    raw_spans: Sequence[RawSpan],
    *,
    unit: OffsetUnitOption,
    newlines: Sequence[Newlines] = ("as written", "universal", "crlf"),
) -> tuple[str, tuple[Mention, ...]]:
    """Return the text that a document's annotations were made on, and its mentions in characters.

    `texts` are the candidate texts (such as with XML entities escaped and resolved), and `newlines`
    the candidate counts of line ends, the likeliest first. With `auto`, all units are tried; the
    first text, unit and count for which every annotation covers the text that it should cover are
    chosen.

    Raises:
        FormatError: an annotation fits no candidate text in any unit; the first one is named.
    """
    units = _UNITS if unit == "auto" else (unit,)
    if all(raw_span.covered is None for raw_span in raw_spans):
        units = ("characters",) if unit == "auto" else units
        newlines = newlines[:1]
    first_error: FormatError | None = None
    readings = [
        (text, count, candidate)
        for text in texts
        for count, candidate in product(_distinct_counts(text, newlines), units)
    ]
    for text, count, candidate in readings:
        mapper = OffsetMapper(text, candidate, count)
        try:
            return text, tuple(_mention(text, span, mapper, candidate) for span in raw_spans)
        except FormatError as error:
            first_error = first_error or error
    assert first_error is not None
    raise first_error


def find_ambiguity(text: str, raw_spans: Sequence[RawSpan], unit: OffsetUnit) -> str | None:
    """Return a description of units other than `unit` in which the offsets mean another place.

    Without the texts of the annotations nothing tells such units apart.

    Raises:
        FormatError: in `unit`, offsets cut a grapheme, and in another unit none does.
    """
    if _counts_characters(text, unit) and _counts_characters(text, "graphemes"):
        return None
    readings = {name: _whole_graphemes(text, raw_spans, name) for name in _AMBIGUOUS_UNITS}
    chosen = readings[unit]
    rivals = [name for name, spans in readings.items() if spans is not None and spans != chosen]
    if not rivals:
        return None
    others = " or ".join(_UNIT_NAMES[name] for name in rivals)
    if chosen is None:
        raise FormatError(
            f"{raw_spans[0].place}: the offsets of its text, counted in {_UNIT_NAMES[unit]}, cut "
            f"a character in two; counted in {others} they do not. Name what they count: "
            f"--offsets {rivals[0]}."
        )
    return others


_AMBIGUOUS_UNITS: tuple[OffsetUnit, ...] = ("utf-16", "graphemes", "characters")


def _whole_graphemes(
    text: str, raw_spans: Sequence[RawSpan], unit: OffsetUnit
) -> list[tuple[int, int]] | None:
    """Return the ranges of annotations in characters, or None if one cuts a grapheme."""
    mapper, graphemes = OffsetMapper(text, unit), OffsetMapper(text, "graphemes")
    ranges: list[tuple[int, int]] = []
    for fragment in (fragment for raw_span in raw_spans for fragment in raw_span.fragments):
        start, end = map(mapper.to_character, fragment)
        if start is None or end is None or start >= end:
            return None
        if any(graphemes.to_character(graphemes.to_offset(edge)) != edge for edge in (start, end)):
            return None
        ranges.append((start, end))
    return ranges


def _mention(text: str, raw_span: RawSpan, mapper: OffsetMapper, unit: OffsetUnit) -> Mention:
    fragments: list[Fragment] = []
    for begin, stop in sorted(raw_span.fragments):
        start, end = mapper.to_character(begin), mapper.to_character(stop)
        if start is None or end is None or start >= end:
            length = mapper.to_offset(len(text))
            raise FormatError(
                f"{raw_span.place}: found the offsets {_digits(begin)} to {_digits(stop)}, which "
                "are empty or do not lie in the text, whose length is "
                f"{length} {_UNIT_NAMES[unit]}. Count from 0, the end excluded."
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


def _digits(offset: int) -> str:
    """Return an offset for a message: Python refuses to write numbers of thousands of digits."""
    return str(offset) if abs(offset) < 10**18 else "(a number of more than 18 digits)"


def _is_same_text(pieces: list[str], covered: str) -> bool:
    """Compare text up to white space, XML entities and line ends escaped as backslash and n."""
    if len(pieces) == 1 and pieces[0] == covered:
        return True
    actual, expected = _normalize_space(" ".join(pieces)), _normalize_space(covered)
    if actual == expected:
        return True
    unescaped = covered.replace("\\r", "\r").replace("\\n", "\n").replace("\\t", "\t")
    return (
        actual in {_resolve_entities(expected), _normalize_space(unescaped)}
        or _resolve_entities(actual) == expected
        # Old versions of brat joined fragments without a space.
        or (len(pieces) > 1 and "".join(actual.split()) == "".join(expected.split()))
    )


def _normalize_space(text: str) -> str:
    return " ".join(text.split())


def _resolve_entities(text: str) -> str:
    """Resolve the entities of a text that was escaped once more than its file's format asks."""
    return _normalize_space(html.unescape(text)) if "&" in text else text


def _counts_characters(text: str, unit: OffsetUnit) -> bool:
    """Return True if the unit counts the characters of a text."""
    widest = max(text, default="")
    if unit == "graphemes":  # the first combining character is U+0300
        return widest < "\u0300" and "\r\n" not in text
    return unit == "characters" or widest < ("\U00010000" if unit == "utf-16" else "\x80")


def _distinct_counts(text: str, newlines: Sequence[Newlines]) -> list[Newlines]:
    """Return the counts of line ends that differ in a text."""
    counts: list[Newlines] = [
        count if _changes_count(text, count) else "as written" for count in newlines
    ]
    return list(dict.fromkeys(counts))


def _changes_count(text: str, newlines: Newlines) -> bool:
    """Return True if a text has line ends that are not counted as they are written."""
    if newlines == "crlf":
        return "\n" in text and "\r" not in text
    return newlines == "universal" and "\r\n" in text


def _character_boundaries(text: str, unit: OffsetUnit, newlines: Newlines) -> list[int]:
    """Return the offset of every character and of the end.

    The last character of a grapheme, and the LF of CR LF counted as one, count for the whole.
    """
    if unit == "graphemes":
        sizes = _grapheme_sizes(text)
    elif unit == "characters":
        sizes = [1] * len(text)
    else:
        encoding, width = _ENCODINGS[unit]
        sizes = [len(character.encode(encoding, "surrogatepass")) // width for character in text]
    if newlines != "as written" and _changes_count(text, newlines):
        for index, character in enumerate(text):
            if character == "\n" and newlines == "crlf":
                sizes[index] += 1
            elif text.startswith("\r\n", index):
                sizes[index] = 0
    return [0, *accumulate(sizes)]


def _grapheme_sizes(text: str) -> list[int]:
    import regex

    sizes: list[int] = []
    for match in regex.finditer(r"\X", text):
        sizes += [0] * (match.end() - match.start() - 1) + [1]
    return sizes


_UNIT_NAMES = {
    "characters": "characters",
    "utf-16": "UTF-16 units",
    "bytes": "bytes",
    "graphemes": "graphemes",
}
