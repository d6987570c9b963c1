"""Where a document is cut into the rows of a table: nowhere, at line ends, or between sentences."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from annoseq.formats.documents import Fragment

UnitName = Literal["document", "line", "sentence"]

_LINE = re.compile(r"[^\n]+")
# A rule of our own: of the libraries, pysbd is no longer kept, and sentencex 1.0.32 aborts on some
# line separators. Quotes and brackets may follow the mark, and what follows must not be lower case.
_STOP = re.compile(
    r"(?<![.!?…])[.!?…]++[\"'”’»)\]]*+\s++(?=\S)|(?<![。！？])[。！？]++[”’」』）]*+\s*+(?=\S)"
)
_ABBREVIATED = """
mr mrs ms dr drs prof st sr sra srta dra dña d no nr vs e.g i.e cf fig approx resp pt tel hr fr mme
mlle z.b u.a bzw ca ext dept rev hon gen lt col sgt capt av avda avd
"""
_ABBREVIATIONS = frozenset(_ABBREVIATED.split())


def cut(text: str, unit: UnitName, *, whole: Iterable[Fragment] = ()) -> Iterator[Fragment]:
    """Cut a text into units, tight around their text; white space between them is left out.

    What lies in `whole` is never cut: the units it crosses are joined. A document stays as it is,
    white space and all.

    >>> list(cut("One. Two.\\nThree.", "sentence"))
    [(0, 4), (5, 9), (10, 16)]
    """
    if unit == "document":
        yield 0, len(text)
        return
    begin = 0
    blocks = list(_joined(whole))[::-1]
    held: list[Fragment] = []  # blocks since `begin`
    for edge in _edges(text, unit):
        while blocks and blocks[-1][0] < edge:
            held.append(blocks.pop())
        if held and held[-1][1] > edge:
            continue
        if found := _tight(text, begin, edge, held):
            yield found
        begin, held = edge, []


def _edges(text: str, unit: UnitName) -> Iterator[int]:
    """Yield where each unit ends, in the order of the text; the last is the end of the text."""
    for line in _LINE.finditer(text):
        if unit == "sentence":
            yield from _sentence_edges(text, line.start(), line.end())
        yield line.end()
    yield len(text)


def _sentence_edges(text: str, start: int, end: int) -> Iterator[int]:
    for stop in _STOP.finditer(text, start, end):
        if text[stop.end()].islower() or _is_abbreviated(text, start, stop):
            continue
        yield stop.end()


def _is_abbreviated(text: str, start: int, stop: re.Match[str]) -> bool:
    """Tell whether a single full stop belongs to the word before it: `Dr.`, an initial, `12.`."""
    mark = stop.group().strip()
    if mark != ".":
        return False
    before = _word_before(text, start, stop.start())
    is_initial = len(before) == 1 and before.isalpha() and before.isupper()
    is_ordinal = before.isdigit() and len(before) <= 2
    return is_initial or is_ordinal or before.lower() in _ABBREVIATIONS


def _word_before(text: str, start: int, end: int) -> str:
    begin = end
    while begin > start and end - begin < 12 and not text[begin - 1].isspace():
        begin -= 1
    return text[begin:end].lstrip("(\"'“‘«[")


def _tight(text: str, start: int, end: int, held: list[Fragment]) -> Fragment | None:
    """Leave white space at both ends out, unless it is held."""
    first, last = (held[0][0], held[-1][1]) if held else (end, start)
    while start < min(end, first) and text[start].isspace():
        start += 1
    while end > max(start, last) and text[end - 1].isspace():
        end -= 1
    return (start, end) if start < end else None


def _joined(pieces: Iterable[Fragment]) -> Iterator[Fragment]:
    """Join pieces that overlap, in the order of the text."""
    current: Fragment | None = None
    for start, end in sorted(pieces):
        if current and start < current[1]:
            current = current[0], max(current[1], end)
            continue
        if current:
            yield current
        current = start, end
    if current:
        yield current
