"""Documents from rows: the rows of annoseq's output, or of a table of pairs, are joined again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from annoseq.config import SOURCE_COLUMN, TARGET_COLUMN
from annoseq.data.examples import parse_pairs
from annoseq.data.pairs import read_pairs
from annoseq.data.table_rows import DEFAULT_DIALECT
from annoseq.errors import FormatError, count_noun
from annoseq.formats.annoseq_output import is_annoseq_output, read_output
from annoseq.formats.documents import Document, Mention
from annoseq.formats.json_values import require_id, require_offset

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from annoseq.data.table_rows import TableFormat, TextDialect
    from annoseq.formats.capabilities import ConversionLosses

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
