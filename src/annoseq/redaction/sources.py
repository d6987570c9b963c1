"""Documents to redact: files, or the rows of a table that belong together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from annoseq.annotator.inputs import is_text_input, read_texts
from annoseq.config import DOCUMENT_COLUMN
from annoseq.errors import TableError
from annoseq.pairs.sources import source_name
from annoseq.pairs.tables import read_rows
from annoseq.redaction.document import Document, Part

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from annoseq.annotator.inputs import InputFormat


def read_documents(
    source: Path, *, column: str, document: str | None, format_: InputFormat | None
) -> Iterator[Document]:
    """Read documents lazily, in the order given; a table without documents has one in each row.

    Raises:
        TableError: a row or a file cannot be read, or a document's rows are not side by side.
        OptionError: a folder without `.txt` files, or a name that does not tell what it is.
    """
    if is_text_input(source, format_):
        for text in read_texts(source, column=column, format_=format_):
            yield Document(text.id, (Part(text.id, text.text),))
        return
    rows: list[Part] = []
    last: str | None = None
    seen: set[str] = set()
    for part, name in _rows(source, column, document, format_):
        if rows and (name is None or name != last):
            yield Document(last or rows[0].id, tuple(rows), is_named=last is not None)
            rows = []
        if name is not None and name != last:
            if name in seen:
                raise TableError(
                    f"{source_name(source)}: row {part.id}: its document was there before, with "
                    "others in between. Sort the table, so that a document's rows follow each "
                    "other; they are redacted together."
                )
            seen.add(name)
        rows.append(part)
        last = name
    if rows:
        yield Document(last or rows[0].id, tuple(rows), is_named=last is not None)


def _rows(
    source: Path, column: str, document: str | None, format_: InputFormat | None
) -> Iterator[tuple[Part, str | None]]:
    table = None if format_ == "text" else format_
    name = document or (DOCUMENT_COLUMN if column != DOCUMENT_COLUMN else None)
    keys = [document] if document else []
    optional = [name] if name and not document else []
    for row in read_rows(source, columns=[column], keys=keys, optional=optional, format=table):
        belongs = row.values.get(name) if name else None
        yield Part(str(row.number), row.values[column]), belongs or None
