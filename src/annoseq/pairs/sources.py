"""Opening a file or standard input as a stream of bytes, decompressed, with errors explained."""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

from annoseq.errors import TableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed import WriteableBuffer

_GZIP_MAGIC = b"\x1f\x8b"  # no UTF-8 text and no Parquet file begins with these
_BUFFER = 1 << 16


def is_standard_input(source: str | Path) -> bool:
    """Tell whether `source` is `-`."""
    return str(source) == "-"


def source_name(source: str | Path) -> str:
    """Name `source` as messages name it."""
    return "standard input" if is_standard_input(source) else str(source)


@contextmanager
def open_source(source: str | Path) -> Iterator[io.BufferedReader]:
    """Open a file, or standard input for `-`, and decompress it if it is gzip.

    Errors while the stream is read inside the block are explained too.

    Raises:
        TableError: the file is missing, unreadable, a folder, or damaged.
    """
    name = source_name(source)
    try:
        if is_standard_input(source):
            yield _decompressed(cast("io.BufferedReader", sys.stdin.buffer))
        else:
            with Path(source).open("rb") as stream:
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
    """Look at the first bytes, put them back, and unpack if they say gzip."""
    if stream.seekable():
        start = stream.tell()
        head = stream.read(len(_GZIP_MAGIC))
        stream.seek(start)
    else:
        head = stream.read(len(_GZIP_MAGIC))
        rejoined = cast("io.RawIOBase", _Rejoined(head, stream))
        stream = io.BufferedReader(rejoined, _BUFFER)
    if head != _GZIP_MAGIC:
        return stream
    unpacked = cast("io.RawIOBase", gzip.GzipFile(fileobj=stream))
    return io.BufferedReader(unpacked, _BUFFER)


class _Rejoined(io.RawIOBase):
    """A stream that cannot go back, with bytes that were read from it put back in front."""

    def __init__(self, head: bytes, rest: io.BufferedReader) -> None:
        self._head = head
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        # read1: whatever a pipe has now, so that its first rows need not wait for its last.
        piece = self._head[: len(view)] or self._rest.read1(len(view))
        self._head = self._head[len(view) :]
        view[: len(piece)] = piece
        return len(piece)
