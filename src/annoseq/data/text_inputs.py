"""Texts to annotate, one after the other: from a table, a file, a folder or standard input."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, NamedTuple

from annoseq.config import DOCUMENT_COLUMN, OFFSET_COLUMN
from annoseq.data.streams import is_standard_input, open_source, source_name
from annoseq.data.tables import read_rows, table_format
from annoseq.errors import OptionError, TableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from annoseq.data.rows import TableFormat, TableRow

InputFormat = Literal["text", "csv", "tsv", "jsonl", "parquet"]

_OFFSET = re.compile("[0-9]{1,18}")


class InputText(NamedTuple):
    """A text and what it is called: its row's number, or its file's path in the folder.

    A row may also say which document it is from, and where it begins in it, in code points.
    """

    id: str
    text: str
    document: str | None = None
    start: int | None = None


def is_text_input(source: Path, format_: InputFormat | None) -> bool:
    """Tell whether `source` is whole texts (a .txt file, a folder of them, a pipe), not a table.

    Raises:
        TableError: there is no such file or folder.
        OptionError: neither `format_` nor the file's name tells.
    """
    if format_ is not None:
        return format_ == "text"
    if is_standard_input(source) or source.is_dir() or source.suffix.lower() == ".txt":
        return True
    try:
        table_format(source)
    except TableError as error:
        if not source.exists():
            raise TableError(
                f"{source}: there is no such file or folder. Check its name."
            ) from error
        raise OptionError(f"{error} If it is one whole text, add --input-format text.") from error
    return False


def read_texts(
    source: Path,
    *,
    column: str,
    format_: InputFormat | None = None,
    on_bad: Callable[[TableError], None] | None = None,
) -> Iterator[InputText]:
    """Read texts lazily.

    A folder's `.txt` files come in the order of their paths. With `on_bad`, a row or file that
    cannot be read is told to it and left out.

    Raises:
        TableError: a row or a file cannot be read.
        OptionError: a folder without `.txt` files, or a name that does not tell what it is.
    """
    if not is_text_input(source, format_):
        kept = [name for name in (DOCUMENT_COLUMN, OFFSET_COLUMN) if name != column]
        table = _table_format(format_)
        for row in read_rows(source, columns=[column], optional=kept, format=table, on_bad=on_bad):
            yield _of_row(row, column)
        return
    for path, name in _text_files(source):
        try:
            yield InputText(_checked(name), _read_text(path))
        except TableError as error:
            if on_bad is None:
                raise
            on_bad(error)


def count_texts(source: Path, *, column: str, format_: InputFormat | None = None) -> int | None:
    """Count the texts of a source that can be read twice, for a progress bar."""
    if is_standard_input(source):
        return None
    if is_text_input(source, format_):
        return len(_text_files(source))
    table = _table_format(format_)
    rows = read_rows(source, columns=[column], format=table, on_bad=lambda _: None)
    return sum(1 for _ in rows)


def _of_row(row: TableRow, column: str) -> InputText:
    text = InputText(str(row.number), row.values[column])
    if column == DOCUMENT_COLUMN or not (document := row.values.get(DOCUMENT_COLUMN)):
        return text
    start = "" if column == OFFSET_COLUMN else row.values.get(OFFSET_COLUMN, "")
    # A column of this name may hold something else: a place is a whole number.
    place = int(start) if _OFFSET.fullmatch(start) else None
    return text._replace(document=document, start=place)


def _table_format(format_: InputFormat | None) -> TableFormat | None:
    return None if format_ == "text" else format_


def _text_files(source: Path) -> list[tuple[Path, str]]:
    if not source.is_dir():
        return [(source, source_name(source))]
    found = sorted(
        path for path in source.rglob("*") if path.suffix.lower() == ".txt" and path.is_file()
    )
    if not found:
        raise OptionError(f"{source}: there is no .txt file in this folder or below it.")
    return [(path, path.relative_to(source).as_posix()) for path in found]


def _checked(name: str) -> str:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise TableError(f"{name!r}: this file's name is not UTF-8. Rename the file.") from error
    return name


def _read_text(path: Path) -> str:
    """Read a whole text as it is: line ends and a byte order mark are part of it."""
    name = source_name(path)
    with open_source(path) as stream:
        data = stream.read()
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise TableError(
            f"{name}: found the byte 0x{data[error.start]:02X} at offset {error.start}, which is "
            "not UTF-8 text. Save the text as UTF-8."
        ) from error
