"""Output of a redaction run: redacted texts, their annotations, and the report of counts."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from io import TextIOWrapper
from itertools import chain
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from annoseq.data.csv_table import write_csv
from annoseq.data.jsonl_table import write_jsonl
from annoseq.data.streams import is_standard_input
from annoseq.data.tables import check_bom, table_format, write_rows
from annoseq.deid.redaction import RedactedDocument
from annoseq.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path
    from typing import IO, TextIO

    from annoseq.data.table_rows import TableFormat, TableHeader
    from annoseq.data.text_inputs import InputFormat
    from annoseq.deid.redaction import RedactedText, Replacement

ANNOTATIONS_FILE, REPORT_FILE, CONFIG_FILE = "annotations.jsonl", "report.json", "config.json"
_RESERVED = {ANNOTATIONS_FILE, REPORT_FILE, CONFIG_FILE}
_JOURNAL = TypeAdapter(RedactedDocument)


@dataclass(frozen=True)
class OutputLayout:
    """Layout of the redacted texts: a folder of files, a file, or a table with its columns.

    Without a `name`, every text is a file named by its id; without a `column`, there is one file.
    """

    name: str | None
    column: str | None = None
    document: str | None = None
    format: InputFormat | None = None

    @property
    def table_format(self) -> TableFormat:
        """Format of the table."""
        assert self.name is not None
        return table_format(self.name, None if self.format == "text" else self.format)

    def check_bom(self) -> None:
        """Check that the output is a table that can begin with a byte order mark.

        Raises:
            OptionError: it is not.
        """
        if self.column is None:
            raise OptionError("--bom is for CSV, and the input is text. Leave it off.")
        check_bom(self.table_format, bom=True)

    @classmethod
    def of(
        cls,
        source: Path,
        *,
        is_text: bool,
        column: str,
        document: str | None,
        format_: InputFormat | None,
    ) -> OutputLayout:
        """Return the layout for an input.

        Raises:
            OptionError: a file of the output would have the name of another.
        """
        if is_text and source.is_dir():
            for reserved in sorted(_RESERVED):
                if (source / reserved).is_dir():
                    raise OptionError(
                        f"{source / reserved}: the redacted copy of this folder would have the "
                        "name of a file that the run writes. Rename the folder."
                    )
            return cls(None)
        name = source.name
        if is_standard_input(source):
            name = "standard-input.txt" if is_text else f"standard-input.{format_ or 'csv'}"
        if name in _RESERVED:
            raise OptionError(
                f"{source}: its redacted copy would have the name of {name}, which the run writes. "
                "Rename the input."
            )
        return cls(name) if is_text else cls(name, column, document, format_)


def write_redacted(
    folder: Path,
    layout: OutputLayout,
    documents: Iterable[RedactedDocument],
    header: TableHeader,
    *,
    bom: bool = False,
) -> None:
    """Write redacted texts and their annotations into an empty folder.

    `header` is that of the table that was read, of which a document may still have to be taken.
    With `bom`, a CSV table begins with a byte order mark, for Excel.
    """
    with (folder / ANNOTATIONS_FILE).open("w", encoding="utf-8", newline="") as annotations:
        recorded = _record(documents, annotations)
        if layout.column is None:
            _write_files(folder, layout, recorded)
        else:
            _write_table(folder, layout, recorded, header, bom=bom)


def stream_redacted(
    stream: IO[bytes],
    layout: OutputLayout,
    documents: Iterable[RedactedDocument],
    header: TableHeader,
    *,
    bom: bool = False,
    annotations: IO[bytes] | None = None,
) -> None:
    """Write redacted texts alone: a table with its header, or the text of one file.

    `header` and `bom` are as for `write_redacted`. `annotations` gets those of the texts, if it is
    given.
    """
    if annotations is not None:
        text = TextIOWrapper(annotations, encoding="utf-8", newline="")
        stream_redacted(stream, layout, _record(documents, text), header, bom=bom)
        text.detach()  # flushes, and leaves the stream open
        return
    if layout.column is None:
        for document in documents:
            stream.write(document.texts[0].text.encode())
        return
    table = _Table.of(layout, iter(documents), header)
    if layout.table_format == "parquet":
        from annoseq.data.parquet_table import write_parquet

        write_parquet(table.rows, stream, table.columns)
    elif layout.table_format == "jsonl":
        write_jsonl(table.rows, stream, list(table.columns))
    else:
        delimiter = "\t" if layout.table_format == "tsv" else ","
        write_csv(table.rows, stream, list(table.columns), delimiter=delimiter, bom=bom)


def _write_files(folder: Path, layout: OutputLayout, documents: Iterable[RedactedDocument]) -> None:
    for document in documents:
        path = folder / (layout.name or document.id)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(document.texts[0].text.encode())


def _write_table(
    folder: Path,
    layout: OutputLayout,
    documents: Iterator[RedactedDocument],
    header: TableHeader,
    *,
    bom: bool,
) -> None:
    assert layout.name is not None
    table = _Table.of(layout, documents, header)
    write_rows(
        table.rows,
        folder / layout.name,
        columns=table.columns,
        overwrite=False,
        format=None if layout.format == "text" else layout.format,
        bom=bom,
    )


@dataclass(frozen=True)
class _Table:
    """Rows of the text column, the document column if there is one, and the kept columns."""

    columns: Mapping[str, type[str] | type[int]]
    rows: Iterator[list[Any]]

    @classmethod
    def of(
        cls, layout: OutputLayout, documents: Iterator[RedactedDocument], header: TableHeader
    ) -> _Table:
        """Take the columns from the header, which is known when the first document is."""
        assert layout.column is not None
        first = next(documents, None)
        columns: dict[str, type[str] | type[int]] = {}
        if layout.document in header.columns and layout.document != layout.column:
            columns[layout.document] = str
        is_named = bool(columns)
        columns |= {layout.column: str, **header.kept}
        rows = (
            [
                *([document.id if document.is_named else ""] if is_named else []),
                text.text,
                *_kept_values(text, header, layout.table_format),
            ]
            for document in chain([first] if first else [], documents)
            for text in document.texts
        )
        return cls(columns, rows)


def _kept_values(text: RedactedText, header: TableHeader, format_: TableFormat) -> Iterator[Any]:
    """Yield the kept columns of a row: as they are in JSONL, and else as text or a number."""
    for name, kept_type in header.kept.items():
        value = text.kept.get(name)
        is_whole = kept_type is int and type(value) is int
        if format_ == "jsonl" or isinstance(value, str) or is_whole:
            yield value
        elif value is None:
            yield None if format_ == "parquet" else ""
        else:
            yield json.dumps(value, ensure_ascii=False)


def _record(
    documents: Iterable[RedactedDocument], annotations: TextIO
) -> Iterator[RedactedDocument]:
    """Pass documents on, and write their annotations on the way."""
    for document in documents:
        for text in document.texts:
            annotations.write(_json_line(annotation_record(document, text)))
        yield document


def record_mapping(
    documents: Iterable[RedactedDocument], mapping: TextIO | None
) -> Iterator[RedactedDocument]:
    """Pass documents on; `mapping` gets the original and the replacement of every span as JSONL."""
    if mapping is None:
        yield from documents
        return
    for document in documents:
        for text in document.texts:
            for replacement in text.replacements:
                mapping.write(_json_line(_mapping_record(document, text, replacement)))
        yield document


def journal_line(document: RedactedDocument, *, keeps_originals: bool) -> str:
    """Return a redacted document as a line of JSON, without the replaced texts if not needed."""
    record = asdict(document)
    if not keeps_originals:
        for text in record["texts"]:
            for replacement in text["replacements"]:
                replacement["original"] = ""
    return _json_line(record)


def read_journal(path: Path) -> Iterator[RedactedDocument]:
    """Read the redacted documents of a journal."""
    with path.open(encoding="utf-8", newline="\n") as lines:
        for line in lines:
            yield _JOURNAL.validate_json(line)


def annotation_record(document: RedactedDocument, text: RedactedText) -> dict[str, Any]:
    """Return a redacted text with its replacements, as a line of the annotations file.

    What was removed stands nowhere in the text, and has no span.
    """
    return {
        "id": text.id,
        "document": document.id,
        "text": text.text,
        "spans": [
            {
                "start": replacement.start,
                "end": replacement.end,
                "label": replacement.span.label,
                "text": replacement.text,
                "score": _rounded(replacement.span.score),
                "by": replacement.span.source,
                "action": replacement.action,
            }
            for replacement in text.replacements
            if replacement.text
        ],
    }


def _mapping_record(
    document: RedactedDocument, text: RedactedText, replacement: Replacement
) -> dict[str, Any]:
    return {
        "id": text.id,
        "document": document.id,
        "label": replacement.span.label,
        "start": replacement.span.start,
        "end": replacement.span.end,
        "action": replacement.action,
        "original": replacement.original,
        "replacement": replacement.text,
    }


def _rounded(score: float | None) -> float | None:
    return None if score is None else round(score, 6)


def _json_line(record: Mapping[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False) + "\n"


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write indented JSON."""
    text = json.dumps(content, indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
