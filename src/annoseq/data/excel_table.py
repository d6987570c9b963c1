"""Reader and writer of Excel workbooks (.xlsx) by openpyxl: the first sheet, all cells text."""

from __future__ import annotations

import io
import lzma
import re
import struct
import warnings
import zipfile
import zlib
from contextlib import contextmanager
from math import isfinite
from typing import TYPE_CHECKING, Any

from annoseq.data.table_rows import TableRow, describe_number
from annoseq.errors import OptionError, TableError, count_noun

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import IO

    from annoseq.data.table_rows import ColumnSelection

_ESCAPE = re.compile("_x([0-9A-Fa-f]{4})_")
"""Excel's escape of characters that XML cannot hold."""
_TO_ESCAPE = re.compile("_(?=x[0-9A-Fa-f]{4}_)|[\x00-\x08\x0b-\x1f\ufffe\uffff]")
_LONGEST_CELL = 32_767  # UTF-16 units
_MOST_ROWS, _MOST_COLUMNS = 1_048_576, 16_384
_LEAST_INEXACT = 10**15
"""Excel keeps 15 digits of a number."""
_LARGEST_CONTENT = 2 << 30  # bytes, unpacked
_DAMAGE = (
    AttributeError,
    EOFError,
    LookupError,  # no such part of the archive, no such style or shared string
    OSError,
    OverflowError,
    RuntimeError,  # an archive with a password, or of a later version
    SyntaxError,  # what `xml` and `lxml` raise
    TypeError,
    ValueError,
    lzma.LZMAError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
"""Errors of openpyxl and `zipfile` for damaged workbooks, as 80,000 of them showed."""
_TYPES = {"b": "true or false", "d": "a date", "e": "an error", "f": "a formula", "n": "a number"}
"""openpyxl's types of cells that are no text."""


def read_excel(
    stream: io.BufferedReader, name: str, selection: ColumnSelection
) -> Iterator[TableRow | TableError]:
    """Read the selected columns of the first sheet, one row at a time.

    Empty cells are empty texts, and rows of empty cells alone are skipped. A row with a number, a
    date or a formula in a selected column is yielded as an error (numbers in keys are text).

    Raises:
        OptionError: openpyxl is not installed.
        TableError: this is no readable workbook, or a column is missing or doubled.
    """
    openpyxl = import_openpyxl()
    data = stream if stream.seekable() else io.BytesIO(stream.read())
    try:
        _check_size(data, name)
        with _hidden_warnings():
            workbook = openpyxl.load_workbook(data, read_only=True, keep_links=False)
        rows = _rows_of(workbook.worksheets[0])
        header = [_unescape(str(cell.value or "")) for cell in next(rows, ())]
        while header and not header[-1]:  # Excel keeps cells that were filled once
            header.pop()
        if not header:
            return
        columns = [(c, header.index(c)) for c in selection.select(header, place=name)]
        kept = [(c, header.index(c)) for c in selection.select_kept(header)]
        for column, at in kept:
            _well_formed(column, at=at, place=f"{name}: the header")
        selection.fill_header((c for c, _ in columns), {c: int for c, _ in kept})
        number = 0
        for cells in rows:
            if all(cell.value is None for cell in cells):
                continue
            number += 1
            place = (
                f"{name}: row {number} (row {cells[0].row} of the sheet)"
                if hasattr(cells[0], "row")
                else f"{name}: row {number}"
            )
            yield _row(cells, number, columns, kept, selection, place=place)
    except TableError:
        raise
    except _DAMAGE as error:
        raise TableError(
            f"{name}: this is not an Excel workbook (.xlsx), or it is damaged. Save it again in "
            "Excel, or as CSV UTF-8."
        ) from error


def write_excel(
    rows: Iterable[Sequence[str | float]],
    stream: IO[bytes],
    columns: Sequence[str],
    *,
    name: str,
    sheet: str = "pairs",
) -> None:
    """Write a header and rows to a sheet, every text as text: no formula, no date, no number.

    Raises:
        OptionError: openpyxl is not installed.
        TableError: a text is longer than a cell, or there are more rows than a sheet holds.
    """
    openpyxl = import_openpyxl()
    workbook = openpyxl.Workbook(write_only=True)
    cells = workbook.create_sheet(sheet)
    try:
        cells.append([_cell(cells, column, place=f"{name}: the header") for column in columns])
        for number, row in enumerate(rows, 1):
            check_row_count(number, name=name)
            cells.append([_cell(cells, value, place=f"{name}: row {number}") for value in row])
        workbook.save(stream)
    except BaseException:
        if not cells.closed:
            workbook.save(io.BytesIO())  # which removes its temporary file
        raise


def check_cells(cells: Sequence[str | float], *, place: str) -> None:
    """Check that a row fits into a sheet, and each text into a cell.

    Raises:
        TableError: one does not.
    """
    if len(cells) > _MOST_COLUMNS:
        raise TableError(
            f"{place}: found {len(cells):,} columns where a sheet of Excel holds "
            f"{_MOST_COLUMNS:,}. Keep fewer, or write CSV or JSONL."
        )
    for cell in cells:
        if isinstance(cell, str):
            _escaped(cell, place=place)


def check_row_count(rows: int, *, name: str | None = None) -> None:
    """Check that a sheet holds a number of rows below its header.

    Raises:
        TableError: it does not.
    """
    if rows >= _MOST_ROWS:
        raise TableError(
            f"{name + ': ' if name else ''}a sheet of Excel holds {_MOST_ROWS:,} rows, the header "
            "among them. Write CSV or JSONL."
        )


def import_openpyxl() -> Any:
    """Return openpyxl.

    Raises:
        OptionError: it is not installed.
    """
    try:
        import openpyxl
    except ImportError as error:
        raise OptionError(
            "Excel workbooks need openpyxl, which is not installed. "
            "Run: pip install 'annoseq[excel]'"
        ) from error
    return openpyxl


@contextmanager
def _hidden_warnings() -> Iterator[None]:
    """Hide the warnings of openpyxl, which quote cells."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _rows_of(sheet: Any) -> Iterator[Sequence[Any]]:
    rows = sheet.iter_rows()
    while True:
        with _hidden_warnings():
            row = next(rows, None)
        if row is None:
            return
        yield row


def _check_size(data: IO[bytes], name: str) -> None:
    with zipfile.ZipFile(data) as archive:
        size = sum(part.file_size for part in archive.infolist())
    data.seek(0)
    if size > _LARGEST_CONTENT:
        raise TableError(
            f"{name}: the workbook unpacks to {size / 1e9:,.1f} GB. Save it as CSV UTF-8."
        )


def _row(
    cells: Sequence[Any],
    number: int,
    columns: Sequence[tuple[str, int]],
    kept: Sequence[tuple[str, int]],
    selection: ColumnSelection,
    *,
    place: str,
) -> TableRow | TableError:
    def cell(at: int) -> Any:
        return cells[at] if at < len(cells) else None

    try:
        return TableRow(
            number,
            {
                column: _text(cell(at), column, selection, at=at, place=place)
                for column, at in columns
            },
            {column: _kept(cell(at), at=at, place=place) for column, at in kept},
        )
    except TableError as error:
        return error


def _text(cell: Any, column: str, selection: ColumnSelection, *, at: int, place: str) -> str:
    value = None if cell is None else cell.value
    if value is None:
        return ""
    if isinstance(value, str) and cell.data_type != "f":
        return _well_formed(_unescape(value), at=at, place=place)
    if type(value) in {int, float} and (number := selection.number_text(value, column)):
        return number
    kind = _TYPES.get(cell.data_type, "a value of another type")
    if isinstance(value, float) and column not in selection.texts:
        kind = describe_number(value)
    raise TableError(
        f"{place}: column {at + 1} holds {kind} where {selection.expected(column)} was expected. "
        "Format the column as text in Excel, and enter the value again."
    )


def _kept(cell: Any, *, at: int, place: str) -> str | float:
    """Return a cell as a value of JSON, what is none (a date) as text."""
    value = None if cell is None else cell.value
    if isinstance(value, int) or (isinstance(value, float) and isfinite(value)):
        return value
    return "" if value is None else _well_formed(_unescape(str(value)), at=at, place=place)


def _well_formed(text: str, *, at: int, place: str) -> str:
    """Return a text that is UTF-8.

    Raises:
        TableError: it is not, as Excel's escapes may have half a character.
    """
    if text.isascii() or text.encode("utf-8", "ignore").decode() == text:
        return text
    raise TableError(
        f"{place}: column {at + 1} holds a lone surrogate, which is half a character. "
        "Write the character whole."
    )


def _cell(sheet: Any, value: str | float | None, *, place: str) -> Any:
    from openpyxl.cell import WriteOnlyCell

    if value is None or (not isinstance(value, str) and abs(value) < _LEAST_INEXACT):
        return WriteOnlyCell(sheet, value)
    value = str(value)
    cell = WriteOnlyCell(sheet, _escaped(value, place=place))
    cell.data_type = "s"  # a text that begins with = is no formula
    return cell


def _escaped(text: str, *, place: str) -> str:
    """Return a text as a cell holds it.

    Raises:
        TableError: it is longer than a cell.
    """
    escaped = _TO_ESCAPE.sub(_escape, text)
    if len(escaped.encode("utf-16-le")) > 2 * _LONGEST_CELL:
        raise TableError(
            f"{place}: a text of {count_noun(len(text), 'character')} is too long for Excel, whose "
            f"cells hold {_LONGEST_CELL:,} (emoji count twice). Write CSV or JSONL."
        )
    return escaped


def _escape(match: re.Match[str]) -> str:
    return f"_x{ord(match[0]):04X}_"


def _unescape(text: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text) if "_x" in text else text
