"""Rows of CSV and TSV tables: every field is text, and stays as it is.

The standard library's `csv` does the parsing, because it guesses nothing: `0012`, `NA` and
the empty string remain what they are. This module adds a strict count of fields, exact places
of errors, encodings by name and byte order mark, and support for lone carriage returns (see
`_CarriageReturns`). Quotes may stand
around a field, doubled inside it. Blank lines between rows are skipped; a row of one empty
field is written `""`.
"""

from __future__ import annotations

import codecs
import csv
import io
import logging
import re
from itertools import chain
from typing import TYPE_CHECKING, cast

from annoseq.data.streams import UTF8_ADVICE, Utf8Lines
from annoseq.data.table_rows import TableRow
from annoseq.errors import OptionError, TableError, count_noun

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import IO

    from _typeshed import WriteableBuffer

    from annoseq.data.table_rows import ColumnSelection


_logger = logging.getLogger(__name__)
_BOMS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_ZEROES: dict[tuple[bool, ...], str] = {
    (False, True, False, True): "utf-16-le",
    (True, False, True, False): "utf-16-be",
}
"""Encodings of Latin letters without a byte order mark, by which bytes are zero."""
_CHARACTERS = 1 << 14


def check_encoding(encoding: str) -> None:
    """Check that an encoding is known.

    Raises:
        OptionError: it is not.
    """
    try:
        "a".encode(encoding).decode(encoding)
    except (LookupError, ValueError) as error:
        raise OptionError(
            "--encoding: found an unknown one. Give one such as utf-8, utf-16, cp1252 (Excel in "
            "Western Europe), cp1250, latin-1 or mac-roman."
        ) from error


def decoded_as_utf8(
    stream: io.BufferedReader, name: str, *, encoding: str | None
) -> io.BufferedReader:
    """Return a stream of UTF-8; without an `encoding`, only UTF-16 with a byte order mark is known.

    Raises:
        TableError: while the stream is read, if it is not of this encoding.
    """
    if encoding is None:
        if not hasattr(stream, "peek"):  # such as a standard input of another program's making
            stream = io.BufferedReader(stream)
        head = stream.peek(4)[:4]
        if head[:2] in _BOMS:
            encoding = "utf-16"
            _logger.info("%s: the table is UTF-16, as its byte order mark says", name)
        elif len(head) == 4 and (encoding := _ZEROES.get(tuple(byte == 0 for byte in head))):
            _logger.info("%s: the table is UTF-16, as every other byte is zero", name)
        else:
            return stream
    elif codecs.lookup(encoding).name in {"utf-8", "utf-8-sig"}:
        return stream
    raw = cast("io.RawIOBase", _Utf8Stream(stream, name, encoding))
    return io.BufferedReader(raw)


class _Utf8Stream(io.RawIOBase):
    """Bytes of UTF-8 for a stream in another encoding."""

    def __init__(self, stream: io.BufferedReader, name: str, encoding: str) -> None:
        self._stream = stream  # TextIOWrapper would close it
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._name = name
        self._encoding = encoding
        self._ready = b""
        self._offset = 0
        self._is_at_end = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        while not self._ready and not self._is_at_end:
            piece = self._stream.read1(_CHARACTERS)
            self._is_at_end = not piece
            try:
                self._ready = self._decoder.decode(piece, final=not piece).encode()
            except UnicodeError as error:
                raise TableError(
                    f"{self._name}: at or soon after byte {self._offset}, this is not "
                    f"{self._encoding} text. Name its encoding with --encoding, or save the table "
                    "as UTF-8."
                ) from error
            self._offset += len(piece)
        count = min(len(view), len(self._ready))
        view[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count


def read_csv(
    stream: io.BufferedReader,
    name: str,
    selection: ColumnSelection,
    *,
    delimiter: str | None = None,
) -> Iterator[TableRow | TableError]:
    """Read the selected columns, one row at a time.

    Without a `delimiter`, it is the comma, or what the header leaves no doubt about: the character
    of a first line such as `sep=;`, or the only one among semicolon, tab and bar that parts the
    header into the columns to read, or that occurs in it at all where no comma does.

    A row that is not UTF-8, or has too many or too few fields, is yielded as an error.

    Raises:
        TableError: the table is not well-formed, or a column is missing or doubled.
    """
    lines = Utf8Lines(stream, name, row=0, advice=UTF8_ADVICE)
    returns = _CarriageReturns(lines)
    text_lines, skipped = returns.lines(), 0
    if delimiter is None:
        delimiter, text_lines, skipped = _find_delimiter(text_lines, selection, name=name)
    records = _records(lines, returns, text_lines, delimiter=delimiter, skipped=skipped)
    _, header = next(records, (0, None))
    if header is None:
        return
    if error := lines.take_error():
        raise error
    header = [returns.restore(column) for column in header]
    returns.end_header()
    columns = [(c, header.index(c)) for c in selection.select(header, place=name)]
    kept = [(c, header.index(c)) for c in selection.select_kept(header)]
    selection.fill_header((c for c, _ in columns), {c: str for c, _ in kept})
    for first_line, fields in records:
        if error := lines.take_error():
            yield error
        elif len(fields) != len(header):
            yield TableError(
                f"{lines.place(first_line)}: found {count_noun(len(fields), 'field')} where the "
                f"header has {len(header)}. Put quotes around fields that hold delimiters or line "
                "breaks."
            )
        else:
            yield TableRow(
                lines.row,
                {c: returns.restore(fields[at]) for c, at in columns},
                {c: returns.restore(fields[at]) for c, at in kept},
            )


def write_csv(
    rows: Iterable[Sequence[str | int]],
    stream: IO[bytes],
    columns: Sequence[str],
    *,
    delimiter: str,
    bom: bool = False,
) -> None:
    """Write a header and rows that end in LF, every text in quotes.

    With `bom`, a byte order mark comes first, by which Excel knows UTF-8.

    Texts are quoted even where it seems needless: `csv.writer` before Python 3.13 leaves a
    lone carriage return bare, and some readers trim the spaces of a bare field.
    """
    text = io.TextIOWrapper(stream, encoding="utf-8", newline="")
    try:
        if bom:
            text.write("\ufeff")
        writer = csv.writer(
            text, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC
        )
        writer.writerow(columns)
        writer.writerows(rows)
    finally:
        text.detach()  # flushes, and leaves the closing to whoever opened the stream


def _records(
    lines: Utf8Lines,
    returns: _CarriageReturns,
    text_lines: Iterator[str],
    *,
    delimiter: str,
    skipped: int,
) -> Iterator[tuple[int, list[str]]]:
    """Yield the header and the rows, each with the line that it begins on; count in `lines.row`."""
    reader = csv.reader(text_lines, delimiter=delimiter, strict=True)
    while True:
        first_line = skipped + reader.line_num + 1
        returns.record_length = 0
        try:
            fields = next(reader, None)
        except csv.Error as error:
            if decoding_error := lines.take_error():
                raise decoding_error from error
            raise TableError(f"{lines.place(first_line)}: {_describe(error)}") from error
        if fields is None:
            return
        if fields:
            yield first_line, fields
            lines.row += 1


_SEPARATOR_LINE = re.compile(r"sep=(.)\r?\n?", re.IGNORECASE)
_OTHER_DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "bars"}


def _find_delimiter(
    lines: Iterator[str], selection: ColumnSelection, *, name: str
) -> tuple[str, Iterator[str], int]:
    """Return the delimiter, the lines from the header on, and the number of those before it."""
    first = next(lines, "")
    if match := _SEPARATOR_LINE.fullmatch(first):
        _logger.info("%s: its first line names the delimiter", name)
        return match[1], lines, 1
    delimiter = _guess_delimiter(first, {*selection.texts, *selection.keys, *selection.kept})
    if delimiter != ",":
        kind = _OTHER_DELIMITERS[delimiter]
        _logger.info("%s: fields are delimited by %s, as the header shows", name, kind)
    return delimiter, chain([first] if first else [], lines), 0


def _guess_delimiter(header: str, required: set[str]) -> str:
    def has_columns(delimiter: str) -> bool:
        return required <= {*next(csv.reader([header], delimiter=delimiter), [])}

    if required and has_columns(","):
        return ","
    fitting = [delimiter for delimiter in _OTHER_DELIMITERS if required and has_columns(delimiter)]
    if not fitting and "," not in header:
        fitting = [delimiter for delimiter in _OTHER_DELIMITERS if delimiter in header]
    return fitting[0] if len(fitting) == 1 else ","


def _describe(error: csv.Error) -> str:
    message = str(error)
    if "unexpected end of data" in message:
        return "found the end of the table inside a quoted field. Close the quote, or double it."
    if "expected after" in message:
        return (
            "found text after a closing quote. Double the quotes inside a quoted field, and end "
            "all rows as the header ends."
        )
    return f"{message}. Make it well-formed CSV."


def _lift_field_limit() -> None:
    """Let `csv` read fields of up to 2 GiB instead of 128 KiB.

    The limit is one for the whole process, so it is lifted only when a record is longer, and for
    good: putting it back could take it away from another table in the middle of a row.
    """
    csv.field_size_limit(2**31 - 1)  # the most that `csv` takes on every platform


class _CarriageReturns:
    r"""Hides from `csv` the carriage returns that are data, and restores them afterwards.

    `csv` ends a row at a carriage return outside quotes, yet pandas on Linux (with a Python
    before 3.13) writes fields that hold one without quotes. The header's own line end settles what
    they mean: where it is CR LF, a return before an LF belongs to the line end, and all
    others are data; where it is LF, all are data. Data is hidden as a lone surrogate, which strict
    UTF-8 decoding can never yield.
    """

    _HIDDEN = "\udc0d"

    def __init__(self, lines: Utf8Lines) -> None:
        self.record_length = 0  # characters of the record being read, zeroed by its reader
        self._lines = lines
        self._end_lines = True
        self._last_line_ends_in_one = False
        self._any_hidden = False

    def lines(self) -> Iterator[str]:
        """Yield the lines with their data's carriage returns hidden."""
        for line in self._lines:
            self.record_length += len(line)
            self._lines.check_length(self.record_length)
            if self.record_length > csv.field_size_limit():
                _lift_field_limit()
            self._last_line_ends_in_one = line.endswith("\r\n")
            if "\r" not in line:
                yield line
                continue
            if self._lines.number == 1 and not line.endswith("\n"):
                raise TableError(
                    f"{self._lines.place()}: the table has no line feeds (LF), only carriage "
                    "returns (CR), as on old Macs. Save it with LF or CR LF line ends."
                )
            ends = self._end_lines and self._last_line_ends_in_one
            body, end = (line[:-2], "\r\n") if ends else (line, "")
            self._any_hidden = self._any_hidden or "\r" in body
            yield body.replace("\r", self._HIDDEN) + end

    def end_header(self) -> None:
        """Let the line that was last read decide what a CR before an LF means from here on."""
        self._end_lines = self._last_line_ends_in_one

    def restore(self, field: str) -> str:
        """Return the field with its carriage returns."""
        return field.replace(self._HIDDEN, "\r") if self._any_hidden else field
