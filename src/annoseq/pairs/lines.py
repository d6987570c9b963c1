"""The lines of a UTF-8 stream, and where in it the reader is."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

from annoseq.errors import TableError

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator

_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class Lines:
    r"""Iterates over lines that end in LF, decoded one by one; a byte order mark is dropped.

    Only LF ends a line: no UTF-8 character holds that byte, and carriage returns may be data.
    Each line is decoded by itself, so an error's place is exact however far into the file it is.
    `row` is kept by the table's reader: the row being read from 1, 0 for the header.
    `number` is how many lines were read. A line that is not UTF-8 is passed on with its bad bytes
    as lone surrogates, and waits as a fault for the reader to `take`.
    """

    def __init__(self, stream: io.BufferedReader, name: str, *, row: int) -> None:
        self._stream = stream
        self._name = name
        self.row = row
        self.number = 0
        self._fault: TableError | None = None

    def __iter__(self) -> Iterator[str]:
        offset = 0
        for line in self._stream:
            self.number += 1
            try:
                text = line.decode()
            except UnicodeDecodeError as error:
                self._fault = self._fault or self._not_utf8(line, error.start, offset)
                text = line.decode(errors="surrogateescape")
            offset += len(line)
            yield text.removeprefix("\ufeff") if self.number == 1 else text

    def take_fault(self) -> TableError | None:
        """Return what is wrong with the lines read since the last call, if anything."""
        fault, self._fault = self._fault, None
        return fault

    def place(self, line: int | None = None) -> str:
        """Name the table, the row being read, and `line` (the last one read if not given)."""
        row = f"row {self.row}" if self.row else "the header"
        return f"{self._name}: {row} (line {line or self.number})"

    def _not_utf8(self, line: bytes, start: int, offset: int) -> TableError:
        is_utf16 = offset == 0 and line.startswith(_UTF16_MARKS)
        hint = "It begins like UTF-16: save" if is_utf16 else "Save"
        return TableError(
            f"{self.place()}: found the byte 0x{line[start]:02X} at offset {offset + start} "
            f"(uncompressed, counted from 0), which is not UTF-8 text. {hint} the table as UTF-8."
        )
