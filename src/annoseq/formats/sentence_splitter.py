"""Sentence splitter: cuts a document into lines or sentences, never inside a mention."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from annoseq.formats.documents import Fragment

RowUnit = Literal["document", "line", "sentence"]
"""The unit of text that becomes a row of a table."""

_LINE = re.compile(r"[^\n]+")
# Rules instead of a library: pysbd is no longer maintained, and sentencex 1.0.32 aborts on some
# line separators. Quotes and brackets may follow the mark, and the next character must not be
# lower case.
_SENTENCE_END = re.compile(
    r"(?<![.!?…])[.!?…]++[\"'”’»)\]]*+\s++(?=\S)|(?<![。！？])[。！？]++[”’」』）]*+\s*+(?=\S)"
)
_ABBREVIATION_LIST = """
mr mrs ms dr drs prof st sr sra srta dra dña d no nr vs e.g i.e cf fig approx resp pt tel hr fr mme
mlle z.b u.a bzw ca ext dept rev hon gen lt col sgt capt av avda avd
"""
_ABBREVIATIONS = frozenset(_ABBREVIATION_LIST.split())
_LONGEST_ABBREVIATION = 12  # characters


def split_text(
    text: str, unit: RowUnit, *, unbroken: Iterable[Fragment] = ()
) -> Iterator[Fragment]:
    """Yield the range of each unit of a text, without the white space around it.

    A range in `unbroken` is never cut: the units that it crosses are joined. A document keeps its
    white space.

    >>> list(split_text("One. Two.\\nThree.", "sentence"))
    [(0, 4), (5, 9), (10, 16)]
    """
    if unit == "document":
        yield 0, len(text)
        return
    start = 0
    upcoming = list(_merge_overlapping(unbroken))[::-1]
    current: list[Fragment] = []  # unbroken ranges that begin after `start`
    for boundary in _boundaries(text, unit):
        while upcoming and upcoming[-1][0] < boundary:
            current.append(upcoming.pop())
        if current and current[-1][1] > boundary:
            continue
        if stripped := _strip(text, start, boundary, current):
            yield stripped
        start, current = boundary, []


def _boundaries(text: str, unit: RowUnit) -> Iterator[int]:
    """Yield the end of each unit in text order; the last one is the end of the text."""
    for line in _LINE.finditer(text):
        if unit == "sentence":
            yield from _sentence_boundaries(text, line.start(), line.end())
        yield line.end()
    yield len(text)


def _sentence_boundaries(text: str, start: int, end: int) -> Iterator[int]:
    for match in _SENTENCE_END.finditer(text, start, end):
        if text[match.end()].islower() or _is_abbreviation(text, start, match):
            continue
        yield match.end()


def _is_abbreviation(text: str, start: int, match: re.Match[str]) -> bool:
    """Return True if a full stop belongs to the word before it: `Dr.`, an initial, `12.`."""
    if match.group().strip() != ".":
        return False
    word = _word_before(text, start, match.start())
    is_initial = len(word) == 1 and word.isalpha() and word.isupper()
    is_ordinal = word.isdigit() and len(word) <= 2
    return is_initial or is_ordinal or word.lower() in _ABBREVIATIONS


def _word_before(text: str, start: int, end: int) -> str:
    begin = end
    while begin > start and end - begin < _LONGEST_ABBREVIATION and not text[begin - 1].isspace():
        begin -= 1
    return text[begin:end].lstrip("(\"'“‘«[")


def _strip(text: str, start: int, end: int, unbroken: list[Fragment]) -> Fragment | None:
    """Strip white space at both ends, except what is unbroken."""
    first, last = (unbroken[0][0], unbroken[-1][1]) if unbroken else (end, start)
    while start < min(end, first) and text[start].isspace():
        start += 1
    while end > max(start, last) and text[end - 1].isspace():
        end -= 1
    return (start, end) if start < end else None


def _merge_overlapping(fragments: Iterable[Fragment]) -> Iterator[Fragment]:
    """Merge overlapping ranges, in text order."""
    current: Fragment | None = None
    for start, end in sorted(fragments):
        if current and start < current[1]:
            current = current[0], max(current[1], end)
            continue
        if current:
            yield current
        current = start, end
    if current:
        yield current
