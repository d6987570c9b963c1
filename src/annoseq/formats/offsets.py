"""Offsets that count characters, UTF-16 units or bytes, all to characters (code points).

Python counts code points, JavaScript and Java count UTF-16 units, and some tools count bytes. The
formats do not say which; but most repeat the text of each annotation, and that decides.
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

Unit = Literal["characters", "utf-16", "bytes"]
Offsets = Literal["auto", "characters", "utf-16", "bytes"]

_UNITS: tuple[Unit, ...] = get_args(Unit)
_WIDTHS = {"utf-16": ("utf-16-le", 2), "bytes": ("utf-8", 1)}


class Claim(NamedTuple):
    """An annotation as its file has it: offsets in some unit, and the text they should cover.

    `place` names it in messages: the file and the line or the annotation's id.
    """

    fragments: tuple[Fragment, ...]
    label: str
    covered: str | None
    place: str
    score: float | None = None


class Ruler:
    """Converts the offsets of one text, which count `unit`, to characters and back."""

    def __init__(self, text: str, unit: Unit) -> None:
        # A text of ASCII, or without astral characters, needs no table.
        widest = max(text, default="")
        self._length = len(text)
        is_same = unit == "characters" or widest < ("\U00010000" if unit == "utf-16" else "\x80")
        self._edges = None if is_same else _edges(text, unit)

    def characters(self, offset: int) -> int | None:
        """Return the character at an offset, or None past the end or within a character."""
        if self._edges is None:
            return offset if 0 <= offset <= self._length else None
        at = bisect_left(self._edges, offset)
        return at if at < len(self._edges) and self._edges[at] == offset else None

    def units(self, character: int) -> int:
        """Return the offset of a character."""
        return character if self._edges is None else self._edges[character]


def locate(
    texts: Sequence[str], claims: Sequence[Claim], *, offsets: Offsets
) -> tuple[str, tuple[Mention, ...]]:
    """Return the text that a document's annotations were made on, and the annotations in it.

    `texts` are the readings of the text that are possible (with its entities as they are, or
    resolved), the likeliest first. With `auto` offsets, all units are tried, and the first with
    which all annotations cover what they say they cover is it.

    Raises:
        FormatError: an annotation does not fit, whichever way it is read; the first is named.
    """
    units = _UNITS if offsets == "auto" else (offsets,)
    if offsets == "auto" and all(claim.covered is None for claim in claims):
        units = ("characters",)
    first: FormatError | None = None
    for text in texts:
        for unit in units:
            try:
                return text, _located(text, claims, unit)
            except FormatError as error:
                first = first or error
    assert first is not None
    raise first


def _located(text: str, claims: Sequence[Claim], unit: Unit) -> tuple[Mention, ...]:
    ruler = Ruler(text, unit)
    return tuple(_mention(text, claim, ruler, unit) for claim in claims)


def _mention(text: str, claim: Claim, ruler: Ruler, unit: Unit) -> Mention:
    fragments: list[Fragment] = []
    for begin, stop in sorted(claim.fragments):
        start, end = ruler.characters(begin), ruler.characters(stop)
        if start is None or end is None or start >= end:
            raise FormatError(
                f"{claim.place}: found the offsets {begin} to {stop}, which are empty or do not "
                f"lie in the text, whose length is {ruler.units(len(text))} {_named(unit)}. "
                "Count from 0, the end excluded."
            )
        if fragments and start < fragments[-1][1]:
            raise FormatError(
                f"{claim.place}: its fragments overlap at offset {begin}. Join or part them."
            )
        fragments.append((start, end))
    if claim.covered is not None and not _agree([text[s:e] for s, e in fragments], claim.covered):
        raise FormatError(
            f"{claim.place}: the text at its offsets is not the text that it gives. Correct one "
            "of them; the file's text may have been changed after it was annotated."
        )
    return Mention(tuple(fragments), claim.label, claim.score)


def _agree(pieces: list[str], covered: str) -> bool:
    """Tell whether pieces are what an annotation says, but for white space and entities."""
    if len(pieces) == 1 and pieces[0] == covered:
        return True
    found, said = _bare(" ".join(pieces)), _bare(covered)
    return found == said or found == _resolved(said) or _resolved(found) == said


def _bare(text: str) -> str:
    return " ".join(text.split())


def _resolved(text: str) -> str:
    """Resolve the entities of a text that was escaped once more than its file's format asks."""
    return _bare(html.unescape(text)) if "&" in text else text


def _edges(text: str, unit: Unit) -> list[int]:
    encoding, width = _WIDTHS[unit]
    sizes = (len(c.encode(encoding, "surrogatepass")) // width for c in text)
    return [0, *accumulate(sizes)]


def _named(unit: Unit) -> str:
    return "UTF-16 units" if unit == "utf-16" else unit
