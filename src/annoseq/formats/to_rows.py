"""Rows from documents: each document is cut into units, and its mentions become inline tags."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from annoseq.data.markup import Span, is_label, render
from annoseq.data.pairs import Pair
from annoseq.errors import display_name
from annoseq.formats.documents import remove_crossing
from annoseq.formats.sentence_splitter import split_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from annoseq.formats.capabilities import ConversionLosses
    from annoseq.formats.documents import Document, Mention
    from annoseq.formats.sentence_splitter import RowUnit

_NOT_IN_LABEL = re.compile(r"[\s\x1c-\x1f{}\\]+")


def to_pairs(
    documents: Iterable[Document], *, unit: RowUnit, losses: ConversionLosses
) -> Iterator[Pair]:
    """Yield a pair for every unit of every document.

    Markup can nest, but not cross: a mention of several fragments becomes a span for each, and of
    two mentions that cross the first to begin is kept; both are counted in `losses`. Units that
    share a mention are joined.
    """
    row = 0
    for document in documents:
        mentions = _renderable_mentions(document, losses)
        fragments = [fragment for mention in mentions for fragment in mention.fragments]
        upcoming = [Span(m.start, m.end, m.label) for m in mentions][::-1]
        first_row = row
        for start, end in split_text(document.text, unit, unbroken=fragments):
            spans: list[Span] = []
            while upcoming and upcoming[-1].start < end:
                span = upcoming.pop()
                spans.append(replace(span, start=span.start - start, end=span.end - start))
            row += 1
            text = document.text[start:end]
            yield Pair(text, render(text, spans), row, document.id, start)
        if row == first_row:
            losses.add("document", "without text and so without a row", where=document.name)


def render_document(document: Document, losses: ConversionLosses) -> str:
    """Return the text of a document with its mentions as tags, as `to_pairs` writes a unit."""
    mentions = _renderable_mentions(document, losses)
    return render(document.text, [Span(m.start, m.end, m.label) for m in mentions])


def _renderable_mentions(document: Document, losses: ConversionLosses) -> list[Mention]:
    """Return contiguous, non-crossing mentions in the order in which their tags open."""
    contiguous: list[Mention] = []
    for mention in document.mentions:
        where = f"{document.name}: {mention.location()}"
        label = _tag_label(mention.label, where, losses)
        if mention.score is not None:
            losses.note("score", "of a model, left out: a table of pairs has no place", where=where)
        if len(mention.fragments) > 1:
            losses.add(
                "discontinuous annotation",
                "split into one span for each fragment",
                where=where,
            )
        contiguous.extend(replace(mention, label=label).split_fragments())
    kept, crossing = remove_crossing(tuple(contiguous), keep_nested=True)
    for mention in crossing:
        losses.add(
            "annotation",
            "left out, because tags cannot cross",
            where=f"{document.name}: {mention.location()}",
        )
    return kept


def _tag_label(label: str, where: str, losses: ConversionLosses) -> str:
    """Return the label, rewritten if it cannot stand in a tag."""
    if is_label(label):
        return label
    rewritten = _NOT_IN_LABEL.sub("_", label.strip()).lstrip("/") or "_"
    losses.add(
        "label",
        f"written {display_name(rewritten, kind='label')}, because of what a tag can hold",
        where=where,
    )
    return rewritten
