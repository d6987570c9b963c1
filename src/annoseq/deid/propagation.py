"""A value found once in a document, found everywhere in it.

Tokens are runs of letters, runs of digits and single symbols, compared without regard to case; a
value is found where its tokens stand in a row, whatever white space is between them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from annoseq.deid.redaction import Document, Find, Part

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from annoseq.deid.phi_types import Table

_TOKEN = re.compile(r"(?:[^\W\d_][\u0300-\u036f]*)+|\d+|[^\w\s]|_|\w")
_LEAST_LETTERS = {"name": 2}
_LEAST_DIGITS = 5


class Token(NamedTuple):
    """A token of a text, at `start`."""

    text: str
    start: int
    end: int


def cut(text: str, edges: Sequence[int] = ()) -> Iterator[Token]:
    """Cut a text into its tokens, none of which reaches across one of the sorted `edges`.

    >>> [token.text for token in cut("31yo, Mr O'Hara")]
    ['31', 'yo', ',', 'Mr', 'O', "'", 'Hara']
    """
    places = [0, *edges, len(text)]
    for begin, end in pairwise(places):
        for found in _TOKEN.finditer(text, begin, end):
            yield Token(found[0], found.start(), found.end())


class Value(NamedTuple):
    """What is looked for: tokens in lower case or, where they are `exact`, as they were found."""

    tokens: tuple[str, ...]
    label: str
    is_exact: bool

    def matches(self, tokens: Sequence[Token], folded: Sequence[str], at: int) -> bool:
        """Tell whether the value stands at a token of a text."""
        end = at + len(self.tokens)
        if not self.is_exact:
            return tuple(folded[at:end]) == self.tokens
        return tuple(token.text for token in tokens[at:end]) == self.tokens


class Values:
    """The values of a document that propagate."""

    def __init__(self, values: Iterable[Value]) -> None:
        self._by_first: defaultdict[str, list[Value]] = defaultdict(list)
        for value in dict.fromkeys(values):
            self._by_first[value.tokens[0].casefold()].append(value)

    @classmethod
    def of(cls, document: Document, table: Table) -> Values:
        """Collect what propagates."""
        return cls(
            value
            for part in document.parts
            for find in part.finds
            for value in values_of(part.text[find.start : find.end], find.label, table)
        )

    def occurrences(self, text: str, edges: Sequence[int] = ()) -> Iterator[Find]:
        """Find the values in a text, also where one overlaps another."""
        if not self._by_first:
            return
        tokens = list(cut(text, edges))
        folded = [token.text.casefold() for token in tokens]
        for at, first in enumerate(folded):
            for value in self._by_first.get(first, ()):
                if value.matches(tokens, folded, at):
                    end = tokens[at + len(value.tokens) - 1].end
                    yield Find(tokens[at].start, end, value.label, by="propagated")

    def are_in(self, text: str) -> bool:
        """Tell whether any of the values is in a text."""
        return next(self.occurrences(text), None) is not None


def values_of(text: str, label: str, table: Table) -> Iterator[Value]:
    """List what a found piece makes us look for: nothing, the whole, or also its words.

    >>> from annoseq.deid.phi_types import Table
    >>> [value.tokens for value in values_of("Dr. Ida Ames", "NAME:DOCTOR", Table.default())]
    [('dr', '.', 'ida', 'ames'), ('ida',), ('ames',)]
    """
    kind = table.kind(label)
    how = table.propagation[kind]
    tokens = [token.text for token in cut(text)]
    letters = sum(map(str.isalpha, text))
    digits = sum(map(str.isdigit, text))
    if how == "no" or not (letters >= _LEAST_LETTERS.get(kind, 3) or digits >= _LEAST_DIGITS):
        return
    if len(tokens) > 1:
        yield Value(tuple(token.casefold() for token in tokens), label, is_exact=False)
    for token in tokens if how == "parts" or len(tokens) == 1 else ():
        folded = token.casefold()
        is_word = token[0].isalpha() and len(token) > 1
        if folded in table.never or not (is_word or len(tokens) == 1):
            continue
        if len(token) == 2 or folded in table.common:
            yield Value((token,), label, is_exact=True)
        else:
            yield Value((folded,), label, is_exact=False)


def propagate(document: Document, table: Table) -> tuple[Document, Values]:
    """Add to every part the values that were found elsewhere in the document."""
    values = Values.of(document, table)
    parts = tuple(_spread(part, values) for part in document.parts)
    return replace(document, parts=parts), values


def _spread(part: Part, values: Values) -> Part:
    """Add the occurrences that nothing covers yet.

    A piece that is replaced no longer holds its neighbours together: of `Annex`, where `ex` goes,
    `Ann` stays, which may be a value. So the edges of what was found count, until there are no new.
    """
    finds = list(part.finds)
    while True:
        merged = outermost(finds)
        edges = sorted({place for find in merged for place in (find.start, find.end)})
        new = [
            found
            for found in values.occurrences(part.text, edges)
            if not any(one.start <= found.start and found.end <= one.end for one in merged)
        ]
        if not new:
            return replace(part, finds=tuple(finds))
        finds += new


def outermost(finds: Iterable[Find]) -> list[Find]:
    """Leave out the finds within others, and join those that cross.

    >>> [(find.start, find.end) for find in outermost([Find(0, 9, "A"), Find(2, 4, "B")])]
    [(0, 9)]
    """
    rank = {"model": 0, "pattern": 1, "propagated": 2}
    kept: list[Find] = []
    for find in sorted(finds, key=lambda one: (one.start, -one.end, rank[one.by])):
        last = kept[-1] if kept else None
        if last is None or find.start >= last.end:
            kept.append(find)
        elif find.end > last.end:
            better = min(last, find, key=lambda one: rank[one.by])
            kept[-1] = replace(better, start=last.start, end=find.end)
    return kept
