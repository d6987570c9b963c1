"""Documents to pairs: cut into units, and put into markup as far as markup can hold them."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from annoseq.data.markup import Span, is_label, render
from annoseq.data.pairs import Pair
from annoseq.formats.documents import outermost
from annoseq.formats.sentence_splitter import cut

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from annoseq.formats.capabilities import Losses
    from annoseq.formats.documents import Document, Mention
    from annoseq.formats.sentence_splitter import UnitName

_NO_LABEL = re.compile(r"[\s\x1c-\x1f{}\\]+")


def to_pairs(documents: Iterable[Document], *, unit: UnitName, losses: Losses) -> Iterator[Pair]:
    """Make a pair of every unit of every document.

    Markup holds what is nested. A mention of several fragments becomes one span for each, and of
    two that cross the one that begins first is kept; both are counted in `losses`. A unit in which
    a mention ends that began in another is joined with it.
    """
    row = 0
    for document in documents:
        mentions = _fitting(document, losses)
        pieces = [fragment for one in mentions for fragment in one.fragments]
        waiting = [Span(one.start, one.end, one.label) for one in mentions][::-1]
        before = row
        for start, end in cut(document.text, unit, whole=pieces):
            inside: list[Span] = []
            while waiting and waiting[-1].start < end:
                span = waiting.pop()
                inside.append(replace(span, start=span.start - start, end=span.end - start))
            row += 1
            text = document.text[start:end]
            yield Pair(text, render(text, inside), row, document.id, start)
        if row == before:
            losses.add("documents without text, which have no row", where=document.id)


def _fitting(document: Document, losses: Losses) -> list[Mention]:
    """Return mentions of one fragment that nest, in the order in which their tags open."""
    single: list[Mention] = []
    for one in document.mentions:
        named = _labelled(one, document, losses)
        if len(one.fragments) > 1:
            losses.add(
                "discontinuous annotations became one span for each of their fragments",
                where=f"{document.id}: {one.where()}",
            )
        single.extend(named.pieces())
    kept, crossing = outermost(tuple(single), nested=True)
    for one in crossing:
        losses.add(
            "annotations were left out, because they cross others and tags cannot",
            where=f"{document.id}: {one.where()}",
        )
    return kept


def _labelled(one: Mention, document: Document, losses: Losses) -> Mention:
    """Give a mention a label that can stand in a tag."""
    if is_label(one.label):
        return one
    label = _NO_LABEL.sub("_", one.label.strip()).lstrip("/") or "_"
    losses.add(
        f"labels {one.label!r} are written {label}, because of what a tag can hold",
        where=f"{document.id}: {one.where()}",
    )
    return replace(one, label=label)
