"""A table with a row for each annotation: `doc_id`, `text`, `start`, `end`, `label`, `score`.

`text` is the document's whole text, in its first row at least. A document without annotations has
one row, whose `start`, `end` and `label` are empty. For a table without the column `text`, the
texts are the `.txt` files of a folder, named by `doc_id`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from annoseq.data.jsonl_table import parse_json
from annoseq.data.streams import find_files, read_text
from annoseq.data.table_rows import parse_offset
from annoseq.data.tables import read_rows, write_rows
from annoseq.errors import FormatError, display_name
from annoseq.formats.capabilities import FormatCapabilities, drop_unsupported
from annoseq.formats.documents import Document
from annoseq.formats.json_values import require_score
from annoseq.formats.offsets import RawSpan, resolve_spans

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from annoseq.data.table_rows import TableRow
    from annoseq.formats.capabilities import ConversionLosses
    from annoseq.formats.conversion_options import ExportOptions, ImportOptions

_SPAN_COLUMNS = ("start", "end", "label")
_COLUMNS = ("doc_id", "text", "start", "end", "label", "score")


CAPABILITIES = FormatCapabilities(scores=True, crossing=True, nested=True, supports_label=bool)


@dataclass
class _SpansDocument:
    """A document while its rows are read."""

    text: str | None = None
    raw_spans: list[RawSpan] = field(default_factory=list)
    place: str = ""


def read(path: Path, options: ImportOptions, _: ConversionLosses) -> Iterator[Document]:
    """Read a table (CSV, TSV, JSONL or Parquet), and its texts from a folder if one is given.

    Raises:
        OptionError: the format has no such delimiter or encoding.
        TableError: the table cannot be read, or lacks a column.
        FormatError: a document has no text or two, or an annotation does not fit.
    """
    documents: dict[str, _SpansDocument] = {}
    for row in read_rows(
        path,
        columns=(),
        keys=("doc_id",),
        nullable=_SPAN_COLUMNS,
        optional=("text", "score", "covered"),
        fractions=(*_SPAN_COLUMNS, "score"),
        delimiter=options.dialect.delimiter,
        encoding=options.dialect.encoding,
    ):
        place = f"{path}: row {row.number}"
        document = documents.setdefault(row.values["doc_id"], _SpansDocument(place=place))
        text = row.values.get("text", "")
        if not document.text:
            document.text = row.values.get("text", document.text)
        elif text not in {"", document.text}:
            raise FormatError(f"{place}: its document has another text above. Give it one text.")
        if any(row.values.get(name) for name in _SPAN_COLUMNS):
            document.raw_spans.append(_raw_span(row, place))
    texts = options.texts
    files = None if texts is None else find_files(texts, ".txt")
    for name, document in documents.items():
        if files is not None:
            if name not in files:
                raise FormatError(
                    f"{document.place}: there is no {display_name(name, kind='text')}.txt in "
                    f"{texts}. Add it."
                )
            document.text = read_text(files[name], keep_bom=True)
        if document.text is None:
            raise FormatError(
                f"{path}: there is no column 'text'. Add the texts of the documents, or name the "
                "folder of their files with --texts."
            )
        mentions = resolve_spans([document.text], document.raw_spans, unit=options.offset_unit)[1]
        yield Document(name, document.text, mentions, document.place)


def write(
    documents: Iterable[Document], path: Path, options: ExportOptions, losses: ConversionLosses
) -> None:
    """Write a table in the format of the suffix of `path`, with texts in the first rows only.

    With the option `span_text`, the column `covered` holds the text of each annotation; with `bom`,
    CSV begins with a byte order mark.

    Raises:
        OptionError: the format has no byte order mark.
    """
    supported = drop_unsupported(documents, CAPABILITIES, losses)
    columns = (*_COLUMNS, "covered") if options.span_text else _COLUMNS
    rows = (row[: len(columns)] for document in supported for row in _rows(document))
    write_rows(rows, path, columns=dict.fromkeys(columns, str), overwrite=False, bom=options.bom)


def _raw_span(row: TableRow, place: str) -> RawSpan:
    start, end = (_offset(row.values.get(name, ""), name, place) for name in ("start", "end"))
    label = row.values.get("label", "")
    if not label.strip():
        raise FormatError(f"{place}: the label is empty. Name it.")
    cell = row.values.get("score", "")
    value = parse_json(cell, place, advice="Write a number.") if cell else None
    score = require_score(value, place)
    return RawSpan(((start, end),), label, row.values.get("covered"), place, score)


def _offset(cell: str, name: str, place: str) -> int:
    if (offset := parse_offset(cell)) is not None:
        return offset
    raise FormatError(
        f"{place}: column {name!r} does not hold a whole number from 0. "
        "Give the offset in the document's text."
    )


def _rows(document: Document) -> Iterator[list[str]]:
    """Yield the rows of a document, with the covered text last."""
    text = document.text
    if not document.mentions:
        yield [document.id, text, "", "", "", "", ""]
    for mention in document.mentions:
        score = "" if mention.score is None else repr(mention.score)
        place = [str(mention.start), str(mention.end)]
        covered = document.text[mention.start : mention.end]
        yield [document.id, text, *place, mention.label, score, covered]
        text = ""
