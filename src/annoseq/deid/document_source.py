"""Documents to redact: the rows of a table, or files, with their patients."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING

import regex

from annoseq.config import DOCUMENT_COLUMN
from annoseq.data.streams import source_name
from annoseq.data.table_rows import display_column
from annoseq.data.tables import read_rows
from annoseq.data.text_inputs import is_text_input, read_texts
from annoseq.deid.redaction import DocumentPart, RedactionDocument
from annoseq.errors import OptionError, PairsError, TableError, count_noun, quote_name
from annoseq.tokenization.gazetteer import SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from annoseq.data.text_inputs import InputFormat
    from annoseq.deid.leak_check import GoldIdentifiers
    from annoseq.errors import AnnoseqError


@dataclass(frozen=True)
class PatientColumn:
    """The column of a table that has the patient of each row."""

    name: str


@dataclass(frozen=True)
class PatientPattern:
    """A regular expression that finds the patient in the id of a document.

    The patient is its first group, or its whole match if it has none.
    """

    expression: regex.Pattern[str]

    @classmethod
    def compile(cls, pattern: str) -> PatientPattern:
        """Compile the expression of `--patient-from`.

        Raises:
            OptionError: it is not a regular expression.
        """
        try:
            return cls(regex.compile(pattern))
        except (regex.error, RecursionError, MemoryError) as error:
            raise OptionError(
                f"--patient-from: this is not a regular expression: {error}. Write one whose first "
                "group is the patient, such as '^([^_]+)_'."
            ) from error

    def find(self, document: RedactionDocument, *, where: str) -> str:
        """Return the patient of a document, which error messages call `where`.

        Raises:
            TableError: the expression finds none.
            OptionError: it takes too long.
        """
        try:
            match = self.expression.search(document.id, timeout=SECONDS)
        except TimeoutError as error:
            raise OptionError(
                f"--patient-from takes more than {SECONDS:g} seconds on one id. Such expressions "
                "repeat what repeats, as (a+)+ does: write it without."
            ) from error
        patient = match[1 if self.expression.groups else 0] if match and document.is_named else None
        if not patient:
            raise TableError(
                f"{where}: --patient-from finds no patient in its id. Write an expression that "
                "finds one in every id, or leave such documents out with --skip-bad."
            )
        return patient


@dataclass(frozen=True)
class DocumentSource:
    """A table, a file or a folder of texts, read as documents.

    `document` is the column of a row's document; without it, `doc_id` is used where the table has
    it. `keep` are the columns of a table that are passed on, None for all others. With `on_bad`, it
    is called with the error of a row or file that cannot be read or has no gold, which is left out.
    `patient` tells the patient of each document, if that is asked for.
    """

    path: Path
    column: str
    document: str | None = None
    format: InputFormat | None = None
    delimiter: str | None = None
    encoding: str | None = None
    keep: Sequence[str] | None = ()
    gold: GoldIdentifiers | None = None
    on_bad: Callable[[AnnoseqError], None] | None = None
    patient: PatientColumn | PatientPattern | None = None

    def read(self) -> Iterator[RedactionDocument]:
        """Yield documents lazily in input order; a row without a document id is a document.

        Raises:
            TableError: a row or a file cannot be read, or the rows of a document are not adjacent.
            PairsError: there is no gold for a text, or it has another text.
            OptionError: a folder without `.txt` files, or a name that does not tell the format.
        """
        for document in self._documents():
            try:
                yield self._with_patient(document)
            except TableError as error:
                if self.on_bad is None:
                    raise
                self.on_bad(error)

    def _documents(self) -> Iterator[RedactionDocument]:
        if is_text_input(self.path, self.format):
            texts = read_texts(
                self.path, column=self.column, format_=self.format, on_bad=self.on_bad
            )
            files = ((DocumentPart(text.id, text.text), None) for text in texts)
            for part, _ in self._with_gold(files, is_table=False):
                yield RedactionDocument(part.id, (part,))
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
        column = self.patient.name if isinstance(self.patient, PatientColumn) else None
        keys = [key for key in (self.document, column) if key is not None]
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
        ):
            document_id = row.values.get(name) if name else None
            yield (
                DocumentPart(
                    str(row.number),
                    row.values[self.column],
                    kept=row.kept,
                    patient=row.values.get(column) if column else None,
                ),
                document_id or None,
            )

    def _with_patient(self, document: RedactionDocument) -> RedactionDocument:
        """Tell the patient of a document.

        Raises:
            TableError: it has none, or several.
        """
        if self.patient is None:
            return document
        where = f"{source_name(self.path)}: {_place(document)}"
        if isinstance(self.patient, PatientPattern):
            patient = self.patient.find(document, where=where)
            parts = tuple(replace(part, patient=patient) for part in document.parts)
            return replace(document, parts=parts)
        patients = {part.patient for part in document.parts}
        if patients & {None, ""}:
            raise TableError(
                f"{where}: the column {display_column(self.patient.name)} of the patient is empty. "
                "Fill it, or leave such rows out with --skip-bad."
            )
        if len(patients) > 1:
            raise TableError(
                f"{where}: its rows are of {count_noun(len(patients), 'patient')}. Give every "
                "document one, or leave it out with --skip-bad."
            )
        return document

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
                if self.on_bad is None:
                    raise
                self.on_bad(error)
            else:
                yield replace(part, gold=gold), name


def _place(document: RedactionDocument) -> str:
    """Name a document in a message: by its id, or by its row if it has none."""
    if not document.is_named:
        return f"row {document.id}"
    return f"document {quote_name(document.id, kind='document id')}"
