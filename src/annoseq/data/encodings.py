"""Character encodings of text tables: UTF-16 by its byte order mark, and others by name."""

from __future__ import annotations

import codecs
import io
import logging
from typing import TYPE_CHECKING, cast

from annoseq.errors import OptionError, TableError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

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
