"""What a format can hold of a document, and what remains of it: a writer asks before it writes."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from annoseq.formats.document import outermost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from annoseq.formats.document import Document, Mention
    from annoseq.formats.losses import Losses


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
