"""Propagation: a value that is detected once in a document is detected everywhere in it.

The documents of a patient, where it is known, count as one document.

Texts are compared token by token without regard to case or Unicode form (NFC and NFD), in every
script: a value occurs where its tokens follow each other, with any white space between them. Tokens
are runs of letters, runs of digits and single symbols, each with its combining marks. They are
found in the text as it is, and folded one by one: no text is changed, so offsets are exact. A list
of words guards medical terms and common words: `Parkinson` is not replaced because a patient has
this name.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from annoseq.deid.redaction import DetectedSpan, DocumentPart, RedactionDocument
from annoseq.deid.unicode_words import TOKEN, compose, fold
from annoseq.deid.word_lists import word_lists

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from annoseq.deid.phi_types import PhiTypeTable

_MIN_LETTERS = {"name": 2}
_DEFAULT_MIN_LETTERS = 3
_MIN_DIGITS = 5


class Token(NamedTuple):
    """A token of a text: `text[start:end]`."""

    text: str
    start: int
    end: int


def tokenize(text: str, edges: Sequence[int] = ()) -> Iterator[Token]:
    """Split a text into tokens, none of which reaches across one of the sorted `edges`.

    >>> [token.text for token in tokenize("31yo, Mr O'Hara")]
    ['31', 'yo', ',', 'Mr', 'O', "'", 'Hara']
    """
    for begin, end in pairwise([0, *edges, len(text)]):
        for match in TOKEN.finditer(text, begin, end):
            yield Token(match[0], match.start(), match.end())


class PropagatedValue(NamedTuple):
    """Tokens to search for: in any case, or as they were written if `is_exact`.

    A guarded value is a word that is also a medical term or a common word: it is a name only where
    a title stands before it.
    """

    tokens: tuple[str, ...]
    label: str
    is_exact: bool
    is_guarded: bool = False


class PropagatedValues:
    """Index of the propagated values of a document, or of all documents of a patient.

    The values are hashed by first token and length, so that a search takes time linear in the
    number of tokens of the text, however many values there are.
    """

    def __init__(self, values: Iterable[PropagatedValue]) -> None:
        self._values: defaultdict[
            tuple[bool, tuple[str, ...]], list[tuple[int, PropagatedValue]]
        ] = defaultdict(list)
        lengths: defaultdict[str, set[int]] = defaultdict(set)
        for order, value in enumerate(dict.fromkeys(values)):
            tokens = tuple(map(compose if value.is_exact else fold, value.tokens))
            self._values[value.is_exact, tokens].append((order, value))
            lengths[fold(tokens[0])].add(len(tokens))
        self._lengths = {first: sorted(found) for first, found in lengths.items()}

    @classmethod
    def from_documents(
        cls, documents: Iterable[RedactionDocument], table: PhiTypeTable
    ) -> PropagatedValues:
        """Collect the propagated values of the detected spans of documents."""
        return cls(
            value
            for document in documents
            for part in document.parts
            for span in part.spans
            for value in propagated_values(part.text[span.start : span.end], span.label, table)
        )

    def find(self, text: str, edges: Sequence[int] = ()) -> Iterator[DetectedSpan]:
        """Yield every occurrence of a value that propagates, overlapping ones included."""
        return (span for span, is_left in self._occurrences(text, edges) if not is_left)

    def find_all(self, text: str) -> Iterator[DetectedSpan]:
        """Yield every occurrence of a value, those of guarded words, too."""
        return (span for span, _ in self._occurrences(text, ()))

    def find_guarded(self, text: str) -> Iterator[DetectedSpan]:
        """Yield every occurrence of a guarded word that is left alone: no title is before it."""
        return (span for span, is_left in self._occurrences(text, ()) if is_left)

    def _occurrences(self, text: str, edges: Sequence[int]) -> Iterator[tuple[DetectedSpan, bool]]:
        """Yield every occurrence, and True if the guard leaves it alone."""
        if not self._lengths:
            return
        tokens = list(tokenize(text, edges))
        folded = [fold(token.text) for token in tokens]
        for begin, first in enumerate(folded):
            for length in self._lengths.get(first, ()):
                end = begin + length
                if end > len(tokens):
                    break
                for value in self._at(tokens[begin:end], folded[begin:end]):
                    span = DetectedSpan(
                        tokens[begin].start, tokens[end - 1].end, value.label, source="propagated"
                    )
                    yield span, value.is_guarded and not _follows_title(folded, begin)

    def _at(self, tokens: Sequence[Token], folded: Sequence[str]) -> list[PropagatedValue]:
        """Return the values that equal some tokens, in the order in which they were detected."""
        written = tuple(compose(token.text) for token in tokens)
        values = [
            *self._values.get((False, tuple(folded)), ()),
            *self._values.get((True, written), ()),
        ]
        return [value for _, value in sorted(values)]

    def occur_in(self, text: str) -> bool:
        """Return True if any of the values occurs in a text, be it a guarded word."""
        return next(self.find_all(text), None) is not None


def _follows_title(tokens: Sequence[str], index: int) -> bool:
    """Return True if a title, with or without a full stop, is before a token."""
    before = [token for token in tokens[max(index - 2, 0) : index] if token != "."]
    return bool(before) and before[-1] in word_lists().titles


def propagated_values(text: str, label: str, table: PhiTypeTable) -> Iterator[PropagatedValue]:
    """Yield the values that a detected span propagates: none, all of it, or also its words.

    >>> from annoseq.deid.phi_types import PhiTypeTable
    >>> table = PhiTypeTable.default()
    >>> [value.tokens for value in propagated_values("Dr. Ida Ames", "NAME:DOCTOR", table)]
    [('dr', '.', 'ida', 'ames'), ('ida',), ('ames',)]
    """
    phi_type = table.phi_type(label)
    rule = table.propagation[phi_type]
    has_letters = sum(map(str.isalpha, compose(text))) >= _MIN_LETTERS.get(
        phi_type, _DEFAULT_MIN_LETTERS
    )
    has_digits = sum(map(str.isdigit, text)) >= _MIN_DIGITS
    if rule == "no" or not (has_letters or has_digits):
        return
    tokens = [compose(token.text) for token in tokenize(text)]
    if len(tokens) > 1:
        yield PropagatedValue(tuple(map(fold, tokens)), label, is_exact=False)
    if len(tokens) == 1 or rule == "parts":
        for token in tokens:
            if _propagates_alone(token, table, is_whole=len(tokens) == 1):
                yield from _single_token_values(token, label, table)


def _propagates_alone(token: str, table: PhiTypeTable, *, is_whole: bool) -> bool:
    is_word = token[0].isalpha() and len(token) > 1
    return fold(token) not in table.never and (is_word or is_whole)


def _single_token_values(token: str, label: str, table: PhiTypeTable) -> Iterator[PropagatedValue]:
    """Yield a token as it is looked for by itself.

    In other letters than these, a common word and one of two letters are guarded, so that what is
    left is counted.
    """
    folded = fold(token)
    is_guarded = folded in table.guarded
    if not is_guarded and (len(token) == 2 or folded in table.common):
        is_common_name = len(token) > 2 and token[0].isupper()
        forms = {token, token.upper(), token.capitalize()} if is_common_name else {token}
        for form in sorted(forms):
            yield PropagatedValue((form,), label, is_exact=True)
        is_guarded = True
    yield PropagatedValue((folded,), label, is_exact=False, is_guarded=is_guarded)


def propagate(document: RedactionDocument, values: PropagatedValues) -> RedactionDocument:
    """Add the occurrences of values to the spans of every part."""
    parts = tuple(_add_occurrences(part, values) for part in document.parts)
    return replace(document, parts=parts)


def count_guarded(part: DocumentPart, values: PropagatedValues) -> int:
    """Count the guarded words of a part that lie in none of its spans."""
    merged = merge_overlapping(part.spans)
    starts = [span.start for span in merged]
    left = {
        (word.start, word.end)
        for word in values.find_guarded(part.text)
        if not _is_covered(word, merged, starts)
    }
    return len(left)


def _is_covered(
    occurrence: DetectedSpan, merged: Sequence[DetectedSpan], starts: Sequence[int]
) -> bool:
    """Return True if an occurrence lies in one of some sorted spans with these starts."""
    before = bisect_right(starts, occurrence.start) - 1
    return before >= 0 and merged[before].end >= occurrence.end


def _add_occurrences(part: DocumentPart, values: PropagatedValues) -> DocumentPart:
    """Add the occurrences that no span covers yet.

    A replaced span no longer joins its neighbours: where `ex` of `Annex` is replaced, `Ann` stays,
    which may be a value. So the edges of spans count as token boundaries, until no occurrence is
    new.
    """
    spans = list(part.spans)
    while True:
        merged = merge_overlapping(spans)
        edges = sorted({edge for span in merged for edge in (span.start, span.end)})
        starts = [span.start for span in merged]
        occurrences = [
            occurrence
            for occurrence in values.find(part.text, edges)
            if not _is_covered(occurrence, merged, starts)
        ]
        if not occurrences:
            return replace(part, spans=tuple(spans))
        spans += occurrences


def merge_overlapping(spans: Iterable[DetectedSpan]) -> list[DetectedSpan]:
    """Drop the spans within others, and merge those that cross; the result is in text order.

    Where spans cross, the label is that of the model's span before that of a pattern's, and that
    of a propagated one last.

    >>> spans = merge_overlapping([DetectedSpan(0, 9, "A"), DetectedSpan(2, 4, "B")])
    >>> [(span.start, span.end) for span in spans]
    [(0, 9)]
    """
    rank = {"model": 0, "pattern": 1, "propagated": 2}
    merged: list[DetectedSpan] = []
    for span in sorted(spans, key=lambda span: (span.start, -span.end, rank[span.source])):
        last = merged[-1] if merged else None
        if last is None or span.start >= last.end:
            merged.append(span)
        elif span.end > last.end:
            preferred = min(last, span, key=lambda span: rank[span.source])
            merged[-1] = replace(preferred, start=last.start, end=span.end)
    return merged
