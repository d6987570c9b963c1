"""De-identification metrics: characters, tokens, merged spans, whole documents, leaks, i2b2 2014.

All but those of i2b2 ignore labels: it matters only that text is hidden. Merged spans and the
leak score are those of MEDDOCAN (Marimon et al. 2019, "Automatic De-identification of Medical
Texts in Spanish: the MEDDOCAN Track"), checked against the definitions of its evaluation script.
The relaxed and token scores are those of the i2b2 2014 challenge, whose script compares sets,
document by document (Stubbs, Kotfila and Uzuner 2015, "Automated systems for the de-identification
of longitudinal clinical narratives").
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, NamedTuple, Protocol

from annoseq.evaluation.counts import Counts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from annoseq.data.markup import Span
    from annoseq.evaluation.counts import SpanComparison


TOKEN = re.compile(r"\w+|[^\w\s]")
"""Tokens independent of any model, so that all outputs are scored by the same."""
_SENTENCE_END = re.compile(r"[.!?…。！？]+[\"'»”)\]]*(?=\s|$)|\n+")
_BLANK_LINES = 2
"""Most characters between two rows of a document that count as line ends."""


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
    """Range of characters of a text, without a label."""

    start: int
    end: int


def is_identifying(text: str) -> bool:
    """Return True if a text has a letter, a digit or a symbol: the rest identifies nobody.

    Characters that only format a text, such as the soft hyphen, are part of the rest.

    >>> is_identifying(", \u00ad"), is_identifying("D.")
    (False, True)
    """
    return any(
        character.isalnum()
        or not (character.isspace() or unicodedata.category(character).startswith(("P", "Cf")))
        for character in text
    )


def count_characters(text: str, gold: Sequence[Span], predicted: Sequence[Span]) -> Counts:
    """Count marked characters without white space, and the tokens that they are in."""
    gold_set = covered_characters(text, gold)
    predicted_set = gold_set if gold == predicted else covered_characters(text, predicted)
    if not gold_set and not predicted_set:
        return Counts()
    tokens = _tokens(text, gold_set, predicted_set)
    return Counts(_compared("character", gold_set, predicted_set) | _compared("token", *tokens))


def count_tokens(text: str) -> int:
    """Count the tokens of a text.

    >>> count_tokens("Dr. Ames, 31")
    5
    """
    return len(TOKEN.findall(text))


def count_sentences(text: str) -> int:
    """Count sentences, which end at a line end, or at a full stop and white space.

    >>> count_sentences("Dr. Ames. Seen on 2.5.2020.")
    3
    """
    return sum(1 for piece in _SENTENCE_END.split(text) if piece.strip())


def count_merged(rows: Sequence[SpanComparison]) -> Counts:
    """Count the merged spans of a document, as MEDDOCAN's second track does.

    Spans are merged where no letter or digit lies between them. Correct merged spans also make the
    spans within them neither missed nor spurious.
    """
    text, shifts = _joined(rows)
    gold = _ranges([row.gold for row in rows], shifts)
    predicted = _ranges([row.predicted for row in rows], shifts)
    common = (gold & predicted) | (_merge(text, gold) & _merge(text, predicted))
    spurious = sum(not _is_within(range_, common) for range_ in predicted - gold)
    missed = sum(not _is_within(range_, common) for range_ in gold - predicted)
    return Counts(
        {
            "merged.correct": len(common),
            "merged.predicted": len(common) + spurious,
            "merged.gold": len(common) + missed,
        }
    )


def count_document(rows: Sequence[SpanComparison]) -> Counts:
    """Count a document that has spans, and 1 if all their characters are marked."""
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


def identifying_characters(text: str, spans: Iterable[TextRange]) -> set[int]:
    """Return the offsets of the letters, digits and symbols in any of some spans."""
    return {offset for offset in covered_characters(text, spans) if is_identifying(text[offset])}


def _tokens(text: str, gold: set[int], predicted: set[int]) -> tuple[set[int], set[int]]:
    """Return the tokens that each set of characters touches, by their start offsets."""
    start_of = [0] * len(text)
    for token in TOKEN.finditer(text):
        start, end = token.span()
        start_of[start:end] = [start] * (end - start)
    gold_tokens = {start_of[offset] for offset in gold}
    if gold is predicted:
        return gold_tokens, gold_tokens
    return gold_tokens, {start_of[offset] for offset in predicted}


def _joined(rows: Sequence[SpanComparison]) -> tuple[str, list[int]]:
    """Join the rows of a document, with a letter between rows that may not be adjacent."""
    pieces: list[str] = []
    shifts: list[int] = []
    length = 0
    for index, row in enumerate(rows):
        if index:
            pieces.append("\n" if _are_adjacent(rows[index - 1], row) else "\nx\n")
            length += len(pieces[-1])
        shifts.append(length)
        pieces.append(row.text)
        length += len(row.text)
    return "".join(pieces), shifts


def _are_adjacent(row: SpanComparison, following: SpanComparison) -> bool:
    if row.start is None or following.start is None:
        return False
    return 0 <= following.start - row.start - len(row.text) <= _BLANK_LINES


def _ranges(rows: Sequence[Iterable[Span]], shifts: Sequence[int]) -> set[CharacterRange]:
    return {
        CharacterRange(shift + span.start, shift + span.end)
        for spans, shift in zip(rows, shifts, strict=True)
        for span in spans
    }


def _merge(text: str, ranges: Iterable[CharacterRange]) -> set[CharacterRange]:
    merged: list[CharacterRange] = []
    for range_ in sorted(ranges):
        last = merged[-1] if merged else None
        if last and not any(character.isalnum() for character in text[last.end : range_.start]):
            merged[-1] = CharacterRange(last.start, max(last.end, range_.end))
        else:
            merged.append(range_)
    return set(merged)


def _is_within(inner: CharacterRange, ranges: Iterable[CharacterRange]) -> bool:
    return any(outer.start <= inner.start and inner.end <= outer.end for outer in ranges)


_END_TOLERANCE = 2
"""Characters by which the ends of two equal spans may differ, if start and label agree."""
_TOKEN = re.compile("[a-zA-Z0-9]+")


class _Place(NamedTuple):
    """Row, offset and label: what relaxed equality compares exactly."""

    row: int
    start: int
    label: str


def count_i2b2(rows: Sequence[SpanComparison]) -> Counts:
    """Count the spans and the tokens of a document under both evaluations."""
    gold, predicted = ([row.gold for row in rows], [row.predicted for row in rows])
    counts = _count_relaxed(_ends_by_place(gold), _ends_by_place(predicted))
    gold_tokens, predicted_tokens = (
        set(_i2b2_tokens(rows, gold)),
        set(_i2b2_tokens(rows, predicted)),
    )
    return Counts(
        counts
        | {
            "i2b2_token.correct": len(gold_tokens & predicted_tokens),
            "i2b2_token.predicted": len(predicted_tokens),
            "i2b2_token.gold": len(gold_tokens),
        }
    )


def _count_relaxed(
    gold: dict[_Place, list[int]], predicted: dict[_Place, list[int]]
) -> dict[str, int]:
    gold_matched, predicted_matched = _matched(gold, predicted), _matched(predicted, gold)
    gold_size, predicted_size = (sum(map(len, side.values())) for side in (gold, predicted))
    # Two spans may equal the same one; Python intersects sets by looking up the smaller one's.
    correct = predicted_matched if predicted_size <= gold_size else gold_matched
    return {
        "i2b2_relaxed.correct": correct,
        "i2b2_relaxed.predicted": correct + predicted_size - predicted_matched,
        "i2b2_relaxed.gold": correct + gold_size - gold_matched,
    }


def _ends_by_place(rows: Sequence[Iterable[Span]]) -> dict[_Place, list[int]]:
    """Return the ends of the spans of each place; of equal spans the one that ends first."""
    ends: dict[_Place, list[int]] = {}
    for row, spans in enumerate(rows):
        for span in sorted(spans):
            kept = ends.setdefault(_Place(row, span.start, span.label), [])
            if not kept or span.end - kept[-1] > _END_TOLERANCE:
                kept.append(span.end)
    return ends


def _matched(side: dict[_Place, list[int]], other: dict[_Place, list[int]]) -> int:
    """Count the spans of a side that equal a span of the other."""
    return sum(
        any(abs(end - other_end) <= _END_TOLERANCE for other_end in other.get(place, ()))
        for place, ends in side.items()
        for end in ends
    )


def _i2b2_tokens(
    rows: Sequence[SpanComparison], spans: Sequence[Iterable[Span]]
) -> Iterator[tuple[int, int, int, str]]:
    """Yield row, start, end and label of the runs of ASCII letters and digits in each span.

    A span without any has an empty token at its end, as in the script.
    """
    for number, (row, row_spans) in enumerate(zip(rows, spans, strict=True)):
        for span in row_spans:
            is_empty = True
            for token in _TOKEN.finditer(row.text, span.start, span.end):
                is_empty = False
                yield number, token.start(), token.end(), span.label
            if is_empty:
                yield number, span.end, span.end, span.label
