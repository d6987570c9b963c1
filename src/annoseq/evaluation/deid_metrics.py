"""How much of what should be marked is marked: characters, tokens, documents, merged spans, leaks.

These do not ask for the label: in de-identification, what is hidden is hidden. Merged spans and
the leak score are those of MEDDOCAN (Marimon et al. 2019, "Automatic De-identification of Medical
Texts in Spanish: the MEDDOCAN Track"), checked against the definitions of its evaluation script.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, Protocol

from annoseq.evaluation.counts import Counts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from annoseq.data.markup import Span
    from annoseq.evaluation.counts import SpanComparison

_TOKEN = re.compile(r"\w+|[^\w\s]")
"""Tokens that belong to no model, so that everybody's outputs are scored by the same."""
_SENTENCE_END = re.compile(r"[.!?…。！？]+[\"'»”)\]]*(?=\s|$)|\n+")
_BLANK_LINES = 2
"""Characters between two rows of a document that are taken for line ends."""


class TextRange(Protocol):
    """A range of a text, `text[start:end]`, such as a span."""

    @property
    def start(self) -> int:
        """Offset of the first character."""
        ...

    @property
    def end(self) -> int:
        """Offset after the last character."""
        ...


class CharacterRange(NamedTuple):
    """A piece of a text, its label left out."""

    start: int
    end: int


def count_characters(text: str, gold: Sequence[Span], predicted: Sequence[Span]) -> Counts:
    """Count marked characters, white space left out, and the tokens they lie in."""
    golds = covered_characters(text, gold)
    found = golds if gold == predicted else covered_characters(text, predicted)
    if not golds and not found:
        return Counts()
    return Counts(
        _compared("character", golds, found) | _compared("token", *_tokens(text, golds, found))
    )


def count_sentences(text: str) -> int:
    """Count sentences: pieces that a line end, or a full stop and white space, closes.

    >>> count_sentences("Dr. Ames. Seen on 2.5.2020.")
    3
    """
    return sum(1 for piece in _SENTENCE_END.split(text) if piece.strip())


def count_merged(rows: Sequence[SpanComparison]) -> Counts:
    """Count the merged spans of a document, as MEDDOCAN's second track does.

    Spans are merged where no letter or digit lies between them. What is found merged is correct,
    and single spans within it are neither missed nor spurious.
    """
    text, shifts = _joined(rows)
    gold = _extents([row.gold for row in rows], shifts)
    predicted = _extents([row.predicted for row in rows], shifts)
    common = (gold & predicted) | (_merge(text, gold) & _merge(text, predicted))
    spurious = sum(not _within(one, common) for one in predicted - gold)
    missed = sum(not _within(one, common) for one in gold - predicted)
    return Counts(
        {
            "merged.correct": len(common),
            "merged.predicted": len(common) + spurious,
            "merged.gold": len(common) + missed,
        }
    )


def count_document(rows: Sequence[SpanComparison]) -> Counts:
    """Count a document that has spans, and whether all their characters are marked."""
    if not any(row.gold for row in rows):
        return Counts()
    is_whole = all(
        row.gold == row.predicted
        or covered_characters(row.text, row.gold) <= covered_characters(row.text, row.predicted)
        for row in rows
        if row.gold
    )
    return Counts({"document.gold": 1, "document.correct": int(is_whole)})


def _compared(name: str, gold: set[int], predicted: set[int]) -> dict[str, int]:
    return {
        f"{name}.correct": len(gold & predicted),
        f"{name}.predicted": len(predicted),
        f"{name}.gold": len(gold),
    }


def covered_characters(text: str, spans: Iterable[TextRange]) -> set[int]:
    """Return the offsets of the characters in any of some spans, white space left out."""
    return {
        offset
        for span in spans
        for offset in range(span.start, span.end)
        if not text[offset].isspace()
    }


def _tokens(text: str, gold: set[int], predicted: set[int]) -> tuple[set[int], set[int]]:
    """Return for both sets of characters the tokens that they touch, by where they begin."""
    start_of = [0] * len(text)
    for token in _TOKEN.finditer(text):
        start, end = token.span()
        start_of[start:end] = [start] * (end - start)
    golds = {start_of[place] for place in gold}
    return golds, golds if gold is predicted else {start_of[place] for place in predicted}


def _joined(rows: Sequence[SpanComparison]) -> tuple[str, list[int]]:
    """Join the rows of a document; a letter stands where they are not known to be neighbours."""
    pieces: list[str] = []
    shifts: list[int] = []
    length = 0
    for index, row in enumerate(rows):
        if index:
            pieces.append("\n" if _are_neighbours(rows[index - 1], row) else "\nx\n")
            length += len(pieces[-1])
        shifts.append(length)
        pieces.append(row.text)
        length += len(row.text)
    return "".join(pieces), shifts


def _are_neighbours(row: SpanComparison, following: SpanComparison) -> bool:
    if row.start is None or following.start is None:
        return False
    return 0 <= following.start - row.start - len(row.text) <= _BLANK_LINES


def _extents(rows: Sequence[Iterable[Span]], shifts: Sequence[int]) -> set[CharacterRange]:
    return {
        CharacterRange(shift + span.start, shift + span.end)
        for spans, shift in zip(rows, shifts, strict=True)
        for span in spans
    }


def _merge(text: str, extents: Iterable[CharacterRange]) -> set[CharacterRange]:
    merged: list[CharacterRange] = []
    for one in sorted(extents):
        last = merged[-1] if merged else None
        if last and not any(character.isalnum() for character in text[last.end : one.start]):
            merged[-1] = CharacterRange(last.start, max(last.end, one.end))
        else:
            merged.append(one)
    return set(merged)


def _within(one: CharacterRange, others: Iterable[CharacterRange]) -> bool:
    return any(other.start <= one.start and one.end <= other.end for other in others)
