"""Document model of all formats: a text and the labelled mentions in it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Self

from annoseq.errors import display_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from annoseq.data.markup import Span

Fragment = tuple[int, int]
"""A contiguous range of a text: start and end, half-open, in code points."""


@dataclass(frozen=True, slots=True)
class Mention:
    """A labelled range of a text, or several ranges that belong together (discontinuous).

    Fragments are in text order, do not overlap, and are not empty. `score` is the probability
    that a model gave the mention, None for a reference annotation.
    """

    fragments: tuple[Fragment, ...]
    label: str
    score: float | None = None

    @classmethod
    def contiguous(cls, start: int, end: int, label: str, score: float | None = None) -> Self:
        """Make a mention of one fragment."""
        return cls(((start, end),), label, score)

    @classmethod
    def from_span(cls, span: Span) -> Self:
        """Make a mention of a span."""
        return cls(((span.start, span.end),), span.label, span.score)

    @property
    def start(self) -> int:
        """Start of the first fragment."""
        return self.fragments[0][0]

    @property
    def end(self) -> int:
        """End of the last fragment."""
        return self.fragments[-1][1]

    def split_fragments(self) -> list[Mention]:
        """Return a mention for every fragment."""
        return [replace(self, fragments=(fragment,)) for fragment in self.fragments]

    def shifted(self, offset: int) -> Mention:
        """Move a mention by a number of characters."""
        fragments = tuple((start + offset, end + offset) for start, end in self.fragments)
        return replace(self, fragments=fragments)

    def location(self) -> str:
        """Return the label and the offsets, for messages, which never quote the text."""
        ranges = ", ".join(f"{start}-{end}" for start, end in self.fragments)
        return f"{display_name(self.label, kind='label')} at {ranges}"


@dataclass(frozen=True, slots=True)
class Document:
    """A text with its id and its mentions, in the order in which a file gives them.

    `place` is the file, and the row or line in it, that the document was read from.
    """

    id: str
    text: str = field(repr=False)  # private
    mentions: tuple[Mention, ...] = ()
    place: str = field(default="", repr=False, compare=False)

    @property
    def name(self) -> str:
        """The id for messages, or the place of a document whose id may be a text."""
        name = display_name(self.id, kind="document's id")
        return name if name == self.id else self.place or name


_TOKEN = re.compile(r"\w+|[^\w\s]|\s+")


def tokenize(document: Document) -> Iterator[Fragment]:
    """Yield the words, marks and white space of a text, cut at every end of a mention as well."""
    boundaries = {end for mention in document.mentions for end in (mention.start, mention.end)}
    for match in _TOKEN.finditer(document.text):
        cuts = (at for at in range(match.start() + 1, match.end()) if at in boundaries)
        yield from pairwise([match.start(), *cuts, match.end()])


def remove_duplicates(document: Document) -> tuple[Document, int]:
    """Return a document whose mentions have each range and label once, and the number left out.

    The first of equal mentions is kept.
    """
    unique: dict[tuple[tuple[Fragment, ...], str], Mention] = {}
    for mention in document.mentions:
        unique.setdefault((mention.fragments, mention.label), mention)
    if len(unique) == len(document.mentions):
        return document, 0
    return replace(document, mentions=tuple(unique.values())), len(document.mentions) - len(unique)


def remove_crossing(
    mentions: tuple[Mention, ...], *, keep_nested: bool
) -> tuple[list[Mention], list[Mention]]:
    """Split contiguous mentions into a non-crossing set, in text order, and those left out.

    Of two mentions that cross, the first to begin is kept. Mentions inside another one are kept
    if `keep_nested`.
    """
    kept: list[Mention] = []
    removed: list[Mention] = []
    opened: list[Mention] = []
    for mention in sorted(mentions, key=lambda mention: (mention.start, -mention.end)):
        while opened and opened[-1].end <= mention.start:
            opened.pop()
        if opened and (not keep_nested or mention.end > opened[-1].end):
            removed.append(mention)
            continue
        kept.append(mention)
        opened.append(mention)
    return kept, removed
