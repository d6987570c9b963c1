"""Rows from documents, cut into units with inline tags, and documents joined again from rows."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from annoseq.config import SOURCE_COLUMN, TARGET_COLUMN
from annoseq.data.examples import parse_pairs
from annoseq.data.markup import Span, is_label, render
from annoseq.data.pairs import Pair, read_pairs
from annoseq.data.table_rows import DEFAULT_DIALECT
from annoseq.errors import FormatError, count_noun, display_name
from annoseq.formats.annoseq_output import is_annoseq_output, read_output
from annoseq.formats.documents import Document, Mention, remove_crossing
from annoseq.formats.json_values import require_id, require_offset
from annoseq.formats.sentence_splitter import split_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from annoseq.data.table_rows import TableFormat, TextDialect
    from annoseq.formats.capabilities import ConversionLosses
    from annoseq.formats.sentence_splitter import RowUnit


_LARGEST_FILL = 10_000_000
"""Characters between the rows of a document: if more, the offsets are something else."""
_LARGEST_TOTAL_FILL = 100_000_000
"""Characters between the rows of all documents."""


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """A row: the id of its document, its offset in that, its text and its mentions.

    Without `document`, the row is a document whose id is `id`. `place` names the row in messages.
    """

    place: str
    id: str
    text: str = field(repr=False)  # private
    mentions: tuple[Mention, ...]
    document: str | None = None
    start: int | None = None


def read_documents(
    path: Path,
    *,
    losses: ConversionLosses,
    notes: ConversionLosses,
    source: str = SOURCE_COLUMN,
    target: str = TARGET_COLUMN,
    dialect: TextDialect = DEFAULT_DIALECT,
) -> Iterator[Document]:
    """Read annoseq's output, or else pairs whose columns are `source` and `target`.

    Outputs that are not their text plus tags are `losses`. `notes` counts as in `join_rows`.

    Raises:
        OptionError: the format has no such delimiter or encoding.
        TableError: the table cannot be read, or annotations do not fit their text.
        PairsError: a pair's annotated text is not its original plus tags.
        FormatError: rows of a document overlap.
    """
    if is_annoseq_output(path, dialect=dialect):
        yield from read_output_documents(path, losses=losses, notes=notes, dialect=dialect)
    else:
        yield from join_rows(_pair_rows(path, source, target, dialect), notes=notes)


def read_output_documents(
    path: Path,
    *,
    losses: ConversionLosses,
    notes: ConversionLosses,
    format_: TableFormat | None = None,
    dialect: TextDialect = DEFAULT_DIALECT,
) -> Iterator[Document]:
    """Read annoseq's output, as `read_documents` does; `format_` overrides the file's suffix."""
    return join_rows(_output_rows(path, losses, format_, dialect), notes=notes)


def join_rows(rows: Iterable[DocumentRow], *, notes: ConversionLosses) -> Iterator[Document]:
    """Yield rows that are documents, then documents of several rows, in the order of their `start`.

    The text between rows is not in a table: it becomes line ends, which `notes` counts. Rows of
    documents are held in memory, because they may be in any order.

    Raises:
        FormatError: rows of a document overlap.
    """
    documents: dict[str, list[DocumentRow]] = {}
    for row in rows:
        if row.document:
            documents.setdefault(_document_id(row.document), []).append(row)
        else:
            yield Document(_document_id(row.id), row.text, row.mentions, row.place)
    _check_gaps(documents)
    for name, document_rows in documents.items():
        yield _join(name, document_rows, notes)


def _check_gaps(documents: Mapping[str, Sequence[DocumentRow]]) -> None:
    """Raise before any text is made if the gaps between rows would need too much memory."""
    total = 0
    for rows in documents.values():
        ends = [row.start + len(row.text) for row in rows if row.start is not None]
        gaps = max(ends, default=0) - sum(len(row.text) for row in rows if row.start is not None)
        total += max(gaps, 0)
        if gaps > _LARGEST_FILL or total > _LARGEST_TOTAL_FILL:
            scope = "its document" if gaps > _LARGEST_FILL else "all documents"
            filled = gaps if gaps > _LARGEST_FILL else total
            limit = _LARGEST_FILL if gaps > _LARGEST_FILL else _LARGEST_TOTAL_FILL
            last = max(rows, key=lambda row: row.start or 0)
            raise FormatError(
                f"{last.place}: the rows of {scope} leave gaps of "
                f"{count_noun(filled, 'character')} in all, more than {limit:,}. Check the column "
                "of offsets: it says where a row begins in its document."
            )


def _output_rows(
    path: Path, losses: ConversionLosses, format_: TableFormat | None, dialect: TextDialect
) -> Iterator[DocumentRow]:
    for row in read_output(path, format_=format_, dialect=dialect):
        if row.spans is None:
            losses.add("output", "other than a text plus tags, left out", where=row.place)
            continue
        mentions = tuple(map(Mention.from_span, row.spans))
        document = start = None
        if row.document:
            document = require_id(row.document, row.place)
            start = None if row.start is None else require_offset(row.start, row.place)
        yield DocumentRow(row.place, row.id, row.text, mentions, document, start)


def _pair_rows(path: Path, source: str, target: str, dialect: TextDialect) -> Iterator[DocumentRow]:
    pairs = read_pairs(
        path,
        source=source,
        target=target,
        delimiter=dialect.delimiter,
        encoding=dialect.encoding,
    )
    for example in parse_pairs(pairs, task="annotate", name=pairs.name).examples:
        yield DocumentRow(
            f"{pairs.name}: row {example.row}",
            str(example.row),
            example.source,
            tuple(map(Mention.from_span, example.spans or ())),
            example.document,
            example.start,
        )


def _document_id(name: str) -> str:
    return name.removesuffix(".txt")


def _join(name: str, rows: list[DocumentRow], notes: ConversionLosses) -> Document:
    texts: list[str] = []
    mentions: list[Mention] = []
    end = 0
    for row in sorted(rows, key=lambda row: row.start or 0):
        start = (end + 1 if texts else 0) if row.start is None else row.start
        if start < end:
            raise FormatError(
                f"{row.place}: it begins before the end of another row of its document. "
                "Give each row its own offset."
            )
        if start > end:
            notes.add(
                "gap",
                "between rows filled with line ends, for the table does not hold what stood "
                "there (`annoseq import --unit document` keeps whole texts)",
                where=row.place,
            )
        texts += ["\n" * (start - end), row.text]
        mentions += [mention.shifted(start) for mention in row.mentions]
        end = start + len(row.text)
    return Document(name, "".join(texts), tuple(mentions), rows[0].place)


_NOT_IN_LABEL = re.compile(r"[\s\x1c-\x1f{}\\]+")


def to_pairs(
    documents: Iterable[Document], *, unit: RowUnit, losses: ConversionLosses
) -> Iterator[Pair]:
    """Yield a pair for every unit of every document.

    Markup can nest, but not cross: a mention of several fragments becomes a span for each, and of
    two mentions that cross the first to begin is kept. Mentions of white space alone are left out.
    All these are counted in `losses`. Units that share a mention are joined.
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
    """Return contiguous, non-crossing mentions of some text, in the order of their tags."""
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
        for part in replace(mention, label=label).split_fragments():
            if document.text[part.start : part.end].strip():
                contiguous.append(part)
            else:
                losses.add("annotation", "of white space alone, left out", where=where)
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
