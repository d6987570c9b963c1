"""Byte and text streams: files, gzip, standard input, UTF-8 lines with the place of a bad byte."""

from __future__ import annotations

import codecs
import gzip
import io
import sys
import zlib
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, cast

from annoseq.data.filesystems import open_input
from annoseq.errors import FormatError, OptionError, TableError, quote_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed import WriteableBuffer


_GZIP_MAGIC = b"\x1f\x8b"  # no UTF-8 text and no Parquet file begins with these
_BUFFER = 1 << 16

LARGEST_TEXT = 100 << 20
"""Bytes of one text, decompressed: a text is annotated as a whole, in memory."""
LARGEST_ROW = 256 << 20
"""Bytes of one row of a text table, decompressed: a source and a target, with room for escapes."""
LARGEST_CORPUS = 2 << 30
"""Bytes of a file of many texts that is read as a whole, decompressed."""


def is_standard_input(source: str | Path) -> bool:
    """Return True if `source` is `-`."""
    return str(source) == "-"


def source_name(source: str | Path) -> str:
    """Return the name of `source` in messages."""
    return "standard input" if is_standard_input(source) else str(source)


@contextmanager
def open_source(source: str | Path) -> Iterator[io.BufferedReader]:
    """Open a file, local or remote, or standard input for `-`, and decompress it if it is gzip.

    Errors while the stream is read inside the block are explained too.

    Raises:
        TableError: the file is missing, unreadable, a folder, or damaged.
    """
    name = source_name(source)
    try:
        if is_standard_input(source):
            if sys.stdin is None:
                raise TableError("standard input is closed. Name a file, or give it an input.")
            yield _decompressed(cast("io.BufferedReader", sys.stdin.buffer))
        else:
            with open_input(str(source)) as stream:
                yield _decompressed(stream)
    except FileNotFoundError as error:
        raise TableError(f"{name}: there is no such file. Check its name and folder.") from error
    except IsADirectoryError as error:
        raise TableError(f"{name}: this is a folder. Name one file in it.") from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise TableError(
            f"{name}: the gzip compression is damaged or cut off. Copy or compress the file again."
        ) from error
    except OSError as error:
        reason = error.strerror or "the system gives no reason"
        raise TableError(
            f"{name}: cannot be read: {reason}. Name a file that can be read."
        ) from error


def _decompressed(stream: io.BufferedReader) -> io.BufferedReader:
    """Return the stream, decompressed if it begins as gzip does."""
    if stream.seekable():
        start = stream.tell()
        head = stream.read(len(_GZIP_MAGIC))
        stream.seek(start)
    else:
        head = stream.read(len(_GZIP_MAGIC))
        prefixed = cast("io.RawIOBase", _PrefixedStream(head, stream))
        stream = io.BufferedReader(prefixed, _BUFFER)
    if head != _GZIP_MAGIC:
        return stream
    unpacked = cast("io.RawIOBase", gzip.GzipFile(fileobj=stream))
    return io.BufferedReader(unpacked, _BUFFER)


class _PrefixedStream(io.RawIOBase):
    """An unseekable stream with the bytes that were read from it in front again."""

    def __init__(self, head: bytes, stream: io.BufferedReader) -> None:
        self._head = head
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        # read1: whatever a pipe has now, so that its first rows need not wait for its last.
        piece = self._head[: len(view)] or self._stream.read1(len(view))
        self._head = self._head[len(view) :]
        view[: len(piece)] = piece
        return len(piece)


_UTF16_BOMS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


UTF8_ADVICE = (
    "Save the table as UTF-8, or name its encoding, such as --encoding cp1252 (Excel in Western "
    "Europe)."
)


class Utf8Lines:
    r"""Iterator over UTF-8 lines that end in LF; a byte order mark is dropped.

    Only LF ends a line: no UTF-8 character holds that byte, and carriage returns may be data.
    Each line is decoded by itself, so that the offset of a bad byte is exact.
    `row` is set by the reader of the table: the row being read, counted from 1, 0 for the header.
    `number` is the number of lines read. A line that is not UTF-8 is yielded with its bad bytes as
    lone surrogates; `take_error` then returns the error. A line of more than `limit` bytes, by
    default those of a row, is a `TableError`, and is not read to its end.
    """

    def __init__(
        self,
        stream: io.BufferedReader,
        name: str,
        *,
        row: int,
        advice: str = "Save the file as UTF-8.",
        limit: int | None = None,
    ) -> None:
        self._stream = stream
        self._name = name
        self.row = row
        self._advice = advice
        self._limit = limit or LARGEST_ROW
        self.number = 0
        self._error: TableError | None = None

    def __iter__(self) -> Iterator[str]:
        offset = 0
        while line := self._stream.readline(self._limit + 1):
            self.number += 1
            self.check_length(len(line))
            try:
                text = line.decode()
            except UnicodeDecodeError as error:
                self._error = self._error or self._not_utf8(line, error.start, offset)
                text = line.decode(errors="surrogateescape")
            offset += len(line)
            yield text.removeprefix("\ufeff") if self.number == 1 else text

    def check_length(self, length: int) -> None:
        """Raise `TableError` if the row being read, of `length` so far, is over the limit."""
        if length > self._limit:
            raise TableError(
                f"{self.place()}: the row has more than {self._limit >> 20:,} MiB (decompressed, "
                "if it is compressed), which is the limit for one row. End each row with a line "
                "feed (LF), close quotes, and split longer texts."
            )

    def take_error(self) -> TableError | None:
        """Return the first error of the lines read since the last call, or None."""
        error, self._error = self._error, None
        return error

    def place(self, line: int | None = None) -> str:
        """Return the place for a message: table, row and `line` (by default the last one read)."""
        row = f"row {self.row}" if self.row else "the header"
        return f"{self._name}: {row} (line {line or self.number})"

    def _not_utf8(self, line: bytes, start: int, offset: int) -> TableError:
        return TableError(
            f"{self.place()}: found the byte 0x{line[start]:02X} at offset {offset + start} "
            f"(uncompressed, counted from 0), which is not UTF-8 text. {self._advice}"
        )


_ZIP = b"PK\x03\x04"
_LONGEST_NAME = (
    200  # bytes; file systems take 255, of which a suffix and a temporary name need some
)


def read_bytes(path: str | Path, *, limit: int = LARGEST_CORPUS) -> bytes:
    """Read a file, decompressed if it is gzip.

    Raises:
        FormatError: it is missing, damaged, a folder or a zip archive, or has more than `limit`
            bytes, decompressed.
    """
    try:
        with open_source(path) as stream:
            data = stream.read(limit + 1)
    except TableError as error:
        raise FormatError(str(error)) from error
    if len(data) > limit:
        is_text = limit <= LARGEST_TEXT
        raise FormatError(
            f"{source_name(path)}: it has more than {limit >> 20:,} MiB (decompressed, if it is "
            f"compressed), which is the limit for {'one text' if is_text else 'one file'}. "
            f"Split it into several {'texts' if is_text else 'files'}."
        )
    if data.startswith(_ZIP):
        raise FormatError(f"{path}: this is a zip archive. Unpack it, and name what is in it.")
    return data


def read_text(
    path: str | Path, *, keep_bom: bool = False, allow_nul: bool = False, limit: int = LARGEST_TEXT
) -> str:
    """Read a whole text with its line ends, without a byte order mark unless `keep_bom`.

    `path` may be `-` for standard input.

    Raises:
        FormatError: it cannot be read, is not UTF-8, has more than `limit` bytes, or holds a NUL
            character without `allow_nul`.
    """
    name = source_name(path)
    data = read_bytes(path, limit=limit)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        hint = "It begins like UTF-16: save" if data.startswith(_UTF16_BOMS) else "Save"
        raise FormatError(
            f"{name}: line {data.count(10, 0, error.start) + 1}: found the byte "
            f"0x{data[error.start]:02X} at offset {error.start}, which is not UTF-8 text. "
            f"{hint} the file as UTF-8."
        ) from error
    if not allow_nul and (at := text.find("\x00")) >= 0:
        raise FormatError(
            f"{name}: line {text.count(chr(10), 0, at) + 1}: found a NUL character at character "
            f"{at}, which no text has. Name a file of text, or remove it."
        )
    return text if keep_bom else text.removeprefix("\ufeff")


def read_lines(path: Path) -> list[str]:
    r"""Read the lines of a file without their ends.

    Only LF ends a line, or CR LF if all lines end so: a carriage return may be data.

    Raises:
        FormatError: as `read_text`.
    """
    *lines, tail = read_text(path, limit=LARGEST_CORPUS).split("\n")
    if lines and all(line.endswith("\r") for line in lines):
        lines = [line[:-1] for line in lines]
        tail = tail.removesuffix("\r")
    return [*lines, tail] if tail else lines


def read_toml(path: Path, *, option: str) -> dict[str, Any]:
    """Read a TOML file, which `option` names on the command line.

    Raises:
        OptionError: it cannot be read, or is not TOML.
    """
    import tomllib

    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise OptionError(
            f"{option} {path} cannot be read: {error.strerror}. Name a file that can be read."
        ) from error
    except UnicodeDecodeError as error:
        raise OptionError(f"{option} {path}: this is not UTF-8 text. Save it as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        raise OptionError(f"{option} {path}: this is not TOML: {error}.") from error
    except RecursionError as error:
        raise OptionError(
            f"{option} {path}: its values are nested too deeply. Flatten them."
        ) from error
    except ValueError as error:  # Python's limit on the digits of a whole number
        raise OptionError(f"{option} {path}: a number has too many digits. Shorten it.") from error


def find_files(source: Path, suffix: str) -> dict[str, Path]:
    """Return the files with a suffix in a folder and below it, by the id of their document.

    The id is the path within the folder without the suffix; the files are in its order. If `source`
    is a file, it is the only one.

    Raises:
        FormatError: there is no such file or folder, or no such file in it, or a name that is not
            UTF-8.
    """
    if source.is_file():
        return {_document_id(source.name, suffix): source}
    if not source.is_dir():
        raise FormatError(f"{source}: there is no such file or folder. Check its name.")
    paths = (p for p in source.rglob(f"*{suffix}") if p.is_file() and p.name[0] != ".")
    files = {_document_id(p.relative_to(source).as_posix(), suffix): p for p in sorted(paths)}
    if not files:
        raise FormatError(f"{source}: there is no {suffix} file in this folder or below it.")
    return files


def _document_id(name: str, suffix: str) -> str:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise FormatError(f"{name!r}: this file's name is not UTF-8. Rename the file.") from error
    return name.removesuffix(suffix)


def write_text(path: Path, text: str) -> None:
    """Write a text as UTF-8, and make the folders of its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())


def document_path(folder: Path, document: str, suffix: str) -> Path:
    """Return the path of a document's file below a folder.

    Raises:
        FormatError: the id cannot be a file name, or its path would leave the folder.
    """
    if not _is_file_name(document):
        raise FormatError(
            f"a document has the id {quote_name(document, kind='text')}, which cannot be a "
            "file's name. "
            "Give it an id of letters, digits, dots and dashes."
        )
    return folder / f"{document}{suffix}"


def _is_file_name(name: str) -> bool:
    parts = name.split("/")
    is_plain = PurePosixPath(name).as_posix() == name and not name.startswith("/")
    return (
        is_plain
        and not any(part in {"", ".", ".."} or part[0] == "." for part in parts)
        and all(len(part.encode("utf-8", "replace")) <= _LONGEST_NAME for part in parts)
        and not any(character in "\\\0" or not character.isprintable() for character in name)
    )
