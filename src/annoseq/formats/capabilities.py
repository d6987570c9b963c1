"""Capabilities of a format, and the count of what a conversion drops."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from annoseq.errors import FormatError
from annoseq.formats.documents import outermost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from annoseq.formats.documents import Document, Mention


class Losses:
    """Counts what is lost, by kind, with the first place of each.

    Where `format_name` is given, a loss is an error that says so: the format cannot hold what is
    to be written, and nobody has agreed to lose it.
    """

    def __init__(self, *, format_name: str | None = None) -> None:
        self._format_name = format_name
        self._found: dict[str, tuple[int, str]] = {}

    def add(self, kind: str, *, where: str, count: int = 1) -> None:
        """Count a loss. `kind` reads after a number: "scores left out".

        Raises:
            FormatError: losses were not agreed to.
        """
        if self._format_name:
            raise FormatError(
                f"{where}: {self._format_name} cannot hold this: {kind}. Choose a format that can, "
                "or add --lossy to accept such losses and count them."
            )
        before, first = self._found.get(kind, (0, where))
        self._found[kind] = before + count, first

    def __len__(self) -> int:
        return sum(count for count, _ in self._found.values())

    def lines(self) -> list[str]:
        """Say how many of each kind there were, and where the first was."""
        return [
            f"{count:,} {kind} (first: {where})" for kind, (count, where) in self._found.items()
        ]


_WORD = re.compile(r"[^\s\x1c-\x1f\x00]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Holds:
    """What a format can hold, beside mentions that lie apart."""

    scores: bool = False
    discontinuous: bool = False
    crossing: bool = False
    nested: bool = False
    labels: Callable[[str], bool]
    """Whether it can hold a label."""
    texts: Callable[[str], bool]
    """Whether it can hold a text."""


def any_label(_: str) -> bool:
    """Hold every label."""
    return True


def one_word(label: str) -> bool:
    """Hold labels without white space."""
    return _WORD.fullmatch(label) is not None


def any_text(_: str) -> bool:
    """Hold every text."""
    return True


def without_nul(text: str) -> bool:
    """Hold texts without a NUL character, which files of text do not have."""
    return "\x00" not in text


def holdable(documents: Iterable[Document], holds: Holds, losses: Losses) -> Iterator[Document]:
    """Pass documents on with what the format can hold; what it cannot is counted, or an error.

    Raises:
        FormatError: something is lost, and losses were not agreed to.
    """
    for document in documents:
        if not holds.texts(document.text):
            losses.add("documents with characters that it cannot hold, left out", where=document.id)
            continue
        mentions = [
            kept for one in document.mentions for kept in _whole(one, document, holds, losses)
        ]
        yield replace(document, mentions=tuple(_apart(mentions, document, holds, losses)))


def _whole(one: Mention, document: Document, holds: Holds, losses: Losses) -> list[Mention]:
    where = f"{document.id}: {one.where()}"
    if not holds.labels(one.label):
        losses.add("annotations with labels that it cannot hold, left out", where=where)
        return []
    if one.score is not None and not holds.scores:
        losses.add("scores, left out", where=where)
        one = replace(one, score=None)
    if len(one.fragments) > 1 and not holds.discontinuous:
        losses.add("discontinuous annotations, parted into their fragments", where=where)
        return one.pieces()
    return [one]


def _apart(
    mentions: list[Mention], document: Document, holds: Holds, losses: Losses
) -> list[Mention]:
    """Leave out mentions that cross others, or lie in them, where the format has no place."""
    if holds.crossing:
        return mentions
    kept, others = outermost(tuple(mentions), nested=holds.nested)
    what = "crossing" if holds.nested else "overlapping or nested"
    for one in others:
        losses.add(f"{what} annotations, left out", where=f"{document.id}: {one.where()}")
    return kept
