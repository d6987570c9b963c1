"""What every format is read into and written from."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from annoseq.data.markup import Span

Fragment = tuple[int, int]
"""A piece of a text: start and end, half-open, in code points."""


@dataclass(frozen=True, slots=True)
class Mention:
    """A labelled piece of a text, or several pieces that belong together.

    Fragments are in the order of the text, do not overlap, and are not empty.
    """

    fragments: tuple[Fragment, ...]
    label: str
    score: float | None = None

    @property
    def start(self) -> int:
        """Where the first fragment begins."""
        return self.fragments[0][0]

    @property
    def end(self) -> int:
        """Where the last fragment ends."""
        return self.fragments[-1][1]

    def pieces(self) -> list[Mention]:
        """Return a mention for every fragment."""
        return [replace(self, fragments=(fragment,)) for fragment in self.fragments]

    def where(self) -> str:
        """Name the mention without quoting its text."""
        places = ", ".join(f"{start}-{end}" for start, end in self.fragments)
        return f"{self.label} at {places}"


@dataclass(frozen=True, slots=True)
class Document:
    """A whole text, what it is called, and the mentions in it, in the order they were given."""

    id: str
    text: str = field(repr=False)  # private
    mentions: tuple[Mention, ...] = ()


def mention(start: int, end: int, label: str, score: float | None = None) -> Mention:
    """Make a mention of one fragment."""
    return Mention(((start, end),), label, score)


def from_span(span: Span) -> Mention:
    """Make a mention of a span."""
    return mention(span.start, span.end, span.label, span.score)


def shifted(one: Mention, by: int) -> Mention:
    """Move a mention to where its text stands in a longer one."""
    return replace(one, fragments=tuple((start + by, end + by) for start, end in one.fragments))


def in_text_order(mentions: tuple[Mention, ...]) -> list[Mention]:
    """Sort mentions by their place, the longer first where they begin together."""
    return sorted(mentions, key=lambda one: (one.start, -one.end))


def outermost(
    mentions: tuple[Mention, ...], *, nested: bool
) -> tuple[list[Mention], list[Mention]]:
    """Part mentions of one fragment into those that fit together, in text order, and the others.

    Of two that cross, the one that begins first is kept. Those inside another are kept where
    `nested`.
    """
    kept: list[Mention] = []
    others: list[Mention] = []
    opened: list[Mention] = []
    for one in in_text_order(mentions):
        while opened and opened[-1].end <= one.start:
            opened.pop()
        if opened and (not nested or one.end > opened[-1].end):
            others.append(one)
            continue
        kept.append(one)
        opened.append(one)
    return kept, others
