"""Documents to redact: the rows of a table, or files, with their patients."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from annoseq.config import DOCUMENT_COLUMN
from annoseq.data.patients import PatientRegister
from annoseq.data.streams import is_standard_input, source_name
from annoseq.data.table_rows import TableHeader, check_kept, display_column
from annoseq.data.tables import read_rows
from annoseq.data.text_inputs import is_text_input, read_texts
from annoseq.deid.redaction import DocumentPart, RedactionDocument
from annoseq.errors import PairsError, TableError, quote_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from annoseq.config import ColumnsConfig
    from annoseq.data.patients import PatientRule
    from annoseq.data.text_inputs import InputFormat
    from annoseq.deid.leak_check import GoldIdentifiers
    from annoseq.errors import AnnoseqError

_DESCRIPTOR = re.compile(r"/dev/(stdin|fd/[^/]+)|/proc/.+/fd/[^/]+")
"""Paths of open files: the shell makes `/dev/fd/63` of `<(...)`."""
_ANNOTATION_TEXTS = frozenset({"text", "annotated", "spans", "alternatives"})
"""Fields of an annotation that hold texts."""


def text_columns(columns: ColumnsConfig) -> frozenset[str]:
    """Return the columns that hold texts, in tables of pairs and of annotations."""
    return _ANNOTATION_TEXTS | {columns.source, columns.target}


@dataclass(frozen=True)
class DocumentSource:
    """A table, a file or a folder of texts, read as documents.

    `document` is the column of a row's document; without it, `doc_id` is used where the table has
    it. `keep` are the columns of a table that are passed on, None for all others. With `on_bad`, it
    is called with the error of a row or file that cannot be read or has no gold, which is left out.
    `patient` tells the patient of each document, if that is asked for. `header` has the columns of
    the table as soon as a document is read. `text_columns` are not passed on: where a table has
    them beside `column`, they hold what is redacted.
    """

    path: str | Path
    column: str
    document: str | None = None
    format: InputFormat | None = None
    delimiter: str | None = None
    encoding: str | None = None
    keep: Sequence[str] | None = ()
    gold: GoldIdentifiers | None = None
    on_bad: Callable[[AnnoseqError], None] | None = None
    patient: PatientRule | None = None
    header: TableHeader = field(default_factory=TableHeader)
    text_columns: frozenset[str] = frozenset()

    def read(self) -> Iterator[RedactionDocument]:
        """Yield documents lazily in input order; a row without a document id is a document.

        Such a row and the text of a pipe have no name of their own (`is_named`).

        Raises:
            TableError: a row or a file cannot be read, the rows of a document are not adjacent, or
                columns of texts would be kept.
            PairsError: there is no gold for a text, or it has another text.
            OptionError: a folder without `.txt` files, or a name that does not tell the format.
        """
        if is_text_input(Path(self.path), self.format):
            texts = read_texts(
                self.path, column=self.column, format_=self.format, on_bad=self.on_bad
            )
            files = (self._file_part(text.id, text.text) for text in texts)
            named = ((part, None) for part in files if part is not None)
            for part, _ in self._with_gold(named, is_table=False):
                yield RedactionDocument(part.id, (part,), is_named=not _is_pipe(self.path))
            return
        seen: set[str] = set()
        rows = self._with_gold(self._rows(), is_table=True)
        # Rows without a document id are grouped by their own: each is a group of one.
        for (name, _), group in groupby(rows, key=lambda row: (row[1], row[1] or row[0].id)):
            parts = tuple(part for part, _ in group)
            if name is None:
                yield RedactionDocument(parts[0].id, parts, is_named=False)
                continue
            if name in seen:
                raise TableError(
                    f"{source_name(self.path)}: row {parts[0].id}: its document was there before, "
                    "with others in between. Sort the table, so that a document's rows follow each "
                    "other; they are redacted together."
                )
            seen.add(name)
            yield RedactionDocument(name, parts)

    def _rows(self) -> Iterator[tuple[DocumentPart, str | None]]:
        """Yield the text of every row, and its document id if it has one."""
        name = self.document or (DOCUMENT_COLUMN if self.column != DOCUMENT_COLUMN else None)
        register = PatientRegister(self.patient) if self.patient else None
        column = self.patient.column if self.patient else None
        keys = [key for key in (self.document, column) if key is not None]
        is_checked = False
        for row in read_rows(
            self.path,
            columns=[self.column],
            keys=list(dict.fromkeys(keys)),
            optional=[name] if name and not self.document else [],
            keep=self.keep,
            format=None if self.format == "text" else self.format,
            delimiter=self.delimiter,
            encoding=self.encoding,
            on_bad=self.on_bad,
            header=self.header,
        ):
            if not is_checked:
                self._check_text_columns()
                is_checked = True
            document_id = row.values.get(name) if name else None
            patient = None
            try:
                check_kept(row, self.header.kept, name=source_name(self.path))
                if register:
                    patient = register.add(row, document_id or None, name=source_name(self.path))
            except TableError as error:
                self._leave_out(error, document_id)
                continue
            text = row.values[self.column]
            part = DocumentPart(str(row.number), text, kept=row.kept, patient=patient)
            yield part, document_id or None

    def _check_text_columns(self) -> None:
        """Check that no column of other texts is kept; the header has them from the first row on.

        Raises:
            TableError: one is.
        """
        for column in (*self.header.kept, *([self.document] if self.document else [])):
            if column in self.text_columns:
                raise TableError(
                    f"{source_name(self.path)}: the column {display_column(column)} is one of "
                    "texts, which hold what is redacted. Name others for --document, and the "
                    "columns to keep for --keep-columns."
                )

    def _file_part(self, name: str, text: str) -> DocumentPart | None:
        """Return the text of a file with its patient, None if it is left out for having none."""
        if self.patient is None:
            return DocumentPart(name, text)
        place = f"{source_name(self.path)}: {quote_name(name, kind='name')}"
        try:
            patient = self.patient.patient(cell=None, document=name, place=place)
        except TableError as error:
            self._leave_out(error, name)
            return None
        return DocumentPart(name, text, patient=patient)

    def _leave_out(self, error: TableError | PairsError, document: str | None) -> None:
        """Leave out a row or file of a document, or raise the error if that was not asked for."""
        if self.on_bad is None:
            raise error
        error.document = document
        self.on_bad(error)

    def _with_gold(
        self, parts: Iterator[tuple[DocumentPart, str | None]], *, is_table: bool
    ) -> Iterator[tuple[DocumentPart, str | None]]:
        """Add the gold spans to texts, and leave out those without gold if there is `on_bad`."""
        for part, name in parts:
            if self.gold is None:
                yield part, name
                continue
            try:
                gold = tuple(self.gold.spans(part, is_row=is_table))
            except PairsError as error:
                self._leave_out(error, name or (None if is_table else part.id))
            else:
                yield replace(part, gold=gold), name


def _is_pipe(source: str | Path) -> bool:
    """Return True if this is standard input or another stream, whose name is that of no text.

    Other files below `/dev` and `/proc` have names of their own: `/dev/shm` is a folder in memory.
    """
    if is_standard_input(source):
        return True
    path = Path(os.path.abspath(source))  # noqa: PTH100  # keeps links
    is_descriptor = _DESCRIPTOR.fullmatch(str(path)) is not None
    return path.is_fifo() or path.is_char_device() or (is_descriptor and not path.is_dir())
