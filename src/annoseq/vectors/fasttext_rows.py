"""Random access to the rows of fastText's files: header, matrix prefaces, word index, fingerprint.

Files are read in pieces and not memory-mapped: a page fault also reads the neighbouring pages, and
all of them count as resident memory, so that a few thousand rows of a 7 GB file take gigabytes.
All numbers of a `.bin` file are little-endian, laid out by fastText's `FastText::saveModel`:

    magic number, version           2 x int32
    arguments                       12 x int32, float64
    entries, words, labels          3 x int32
    tokens, pruned                  2 x int64
    dictionary                      per entry: UTF-8, a NUL, int64 count, int8 kind
    input matrix                    bool quantised, 2 x int64 shape, float32 values
    output matrix                   the same layout; its values are never read here

The input matrix has one row per word, then one per bucket of n-grams.
"""

from __future__ import annotations

import hashlib
import os
import stat
import struct
from array import array
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from annoseq.errors import VectorsError, count_noun

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path


MAGIC = struct.pack("<i", 793712314)
NEWEST_VERSION = 12
FLOAT_SIZE = 4
MAX_WIDTH = 100_000
"""Wider vectors are treated as damage, before memory is allocated."""
_LAYOUT = struct.Struct("<4si12id3i2q")
_MATRIX = struct.Struct("<?2q")
_SUPERVISED = 3
_SHORTEST_ENTRY = 10  # an empty word: NUL, count, kind


@dataclass(frozen=True, slots=True)
class FastTextHeader:
    """Sizes in the header of a `.bin` file; n-grams have `min_n` to `max_n` characters."""

    width: int
    buckets: int
    min_n: int
    max_n: int
    words: int
    labels: int

    @property
    def entries(self) -> int:
        """Number of dictionary entries: words, then labels."""
        return self.words + self.labels

    @property
    def rows(self) -> int:
        """Number of rows of the input matrix."""
        return self.words + self.buckets

    @property
    def dictionary_offset(self) -> int:
        """Byte offset of the dictionary."""
        return _LAYOUT.size


def read_header(file: RandomAccessFile) -> FastTextHeader:
    """Read the header, which precedes the dictionary.

    Raises:
        VectorsError: this is not a `.bin` of fastText, or it is cut off or damaged.
    """
    first_bytes = file.read_up_to(0, _LAYOUT.size)
    if first_bytes[: len(MAGIC)] != MAGIC:
        raise not_fasttext_error(file.path, first_bytes)
    if len(first_bytes) < _LAYOUT.size:
        raise truncated_error(file.path, "in its header")
    # Names as in fastText's sources.
    _, version, dim, *args, entries, words, labels, _, pruned = _LAYOUT.unpack(first_bytes)
    model, bucket, minn, maxn = args[6:10]
    if version > NEWEST_VERSION:
        raise VectorsError(
            f"{file.path}: found version {version} of fastText's format, where {NEWEST_VERSION} "
            "is the newest known. Save it with an older fastText."
        )
    is_plausible = (
        0 < dim <= MAX_WIDTH
        and min(bucket, minn, maxn, words, labels) >= 0
        and entries == words + labels
    )
    if not is_plausible:
        raise damaged_error(file.path, "the sizes in its header contradict one another")
    if entries * _SHORTEST_ENTRY > file.size:
        raise truncated_error(file.path, "in its dictionary")
    if pruned >= 0:
        raise quantized_error(file.path)
    # As in fastText: supervised models of version 11 had no character n-grams.
    has_ngrams = bucket > 0 and not (version == NEWEST_VERSION - 1 and model == _SUPERVISED)
    return FastTextHeader(dim, bucket, minn, maxn if has_ngrams else 0, words, labels)


def find_input_matrix(file: RandomAccessFile, header: FastTextHeader, *, start: int) -> int:
    """Return the byte offset of the values of the input matrix, whose preface is at `start`.

    The output matrix is only checked for presence: a file without it is cut off.

    Raises:
        VectorsError: the matrix is quantised, or the file is cut off or damaged.
    """
    values, rows, width = _read_preface(file, start, what="its matrix of vectors")
    if (rows, width) != (header.rows, header.width):
        raise damaged_error(
            file.path,
            f"its matrix has {count_noun(rows, 'row')} of {count_noun(width, 'value')}, "
            f"where {header.rows} of {header.width} were expected",
        )
    end = values + rows * width * FLOAT_SIZE
    if end > file.size:
        raise truncated_error(file.path, "in its matrix of vectors")
    after, rows, width = _read_preface(file, end, what="its output matrix")
    if after + rows * width * FLOAT_SIZE > file.size:
        raise truncated_error(file.path, "in its output matrix")
    return values


def _read_preface(file: RandomAccessFile, start: int, *, what: str) -> tuple[int, int, int]:
    is_quantised, rows, width = _MATRIX.unpack(file.read(start, _MATRIX.size, what=what))
    if is_quantised:
        raise quantized_error(file.path)
    if rows < 0 or width < 0:
        raise damaged_error(file.path, "a matrix has a negative size")
    return start + _MATRIX.size, rows, width


def quantized_error(path: Path) -> VectorsError:
    """Return the error for a quantized model, whose rows cannot be read one by one."""
    return VectorsError(
        f"{path}: this is a quantised fastText model (.ftz), which keeps no whole vectors. "
        "Use the .bin that it was made from."
    )


def not_fasttext_error(path: Path, first_bytes: bytes) -> VectorsError:
    """Return the error for a file that lacks the magic number of fastText."""
    if first_bytes.isascii() and first_bytes.decode("ascii").replace("\n", "").isprintable():
        description = "it begins as text does"
        hint = "Vectors as text are named .vec; word2vec's own binary cannot be read"
    else:
        description = f"it begins with the bytes {first_bytes[: len(MAGIC)].hex(' ')}"
        hint = "Copy or download it again, or use another file"
    return VectorsError(
        f"{path}: this is not a .bin of fastText: {description}, where {MAGIC.hex(' ')} was "
        f"expected. {hint}."
    )


# Non-blocking, because opening a pipe, which is refused, would wait for a writer; Windows has no
# such flag, and needs one for binary files.
_OPEN_FLAGS = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


@contextmanager
def explain_read_errors(path: Path) -> Iterator[None]:
    """Convert an `OSError` from reading `path` into a `VectorsError`."""
    try:
        yield
    except FileNotFoundError as error:
        raise VectorsError(
            f"{path}: there is no such file. Give a .bin, .vec or .vec.gz file of word vectors."
        ) from error
    except IsADirectoryError as error:
        raise VectorsError(
            f"{path}: this is a folder. Name the file of word vectors in it."
        ) from error
    except OSError as error:
        raise VectorsError(
            f"{path}: cannot be read: {error.strerror or error}. Name a file that can be read."
        ) from error


class RandomAccessFile:
    """A regular file opened for reads at byte offsets; a context manager.

    Raises:
        VectorsError: the file cannot be read, is empty, or is not a regular file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with explain_read_errors(path):
            self._descriptor = os.open(path, os.O_RDONLY | _OPEN_FLAGS)
        try:
            self.size = self._checked_size()
        except VectorsError:
            os.close(self._descriptor)
            raise
        if hasattr(os, "posix_fadvise"):  # Linux only: disable read-ahead
            os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_RANDOM)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        os.close(self._descriptor)

    def _checked_size(self) -> int:
        status = os.fstat(self._descriptor)
        with explain_read_errors(self.path):
            if stat.S_ISDIR(status.st_mode):
                raise IsADirectoryError
        if not stat.S_ISREG(status.st_mode):
            raise VectorsError(
                f"{self.path}: this is not a regular file, and vectors are read at their places. "
                "Save it to a file first."
            )
        if not status.st_size:
            raise VectorsError(f"{self.path}: the file is empty. Copy or download it again.")
        return status.st_size

    def prefetch(self, start: int, size: int) -> None:
        """Ask the system to load a byte range in the background."""
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self._descriptor, start, size, os.POSIX_FADV_WILLNEED)

    def read_up_to(self, start: int, size: int) -> bytes:
        """Read at most `size` bytes; none at the end of the file."""
        with explain_read_errors(self.path):
            if hasattr(os, "pread"):
                return os.pread(self._descriptor, size, start)
            os.lseek(self._descriptor, start, os.SEEK_SET)  # Windows has no pread
            return os.read(self._descriptor, size)

    def read(self, start: int, size: int, *, what: str) -> bytes:
        """Read exactly `size` bytes; `what` names the part of the file in the error message.

        Raises:
            VectorsError: the file ends before.
        """
        data = self.read_up_to(start, size)
        while len(data) < size:
            chunk = self.read_up_to(start + len(data), size - len(data))
            if not chunk:
                raise truncated_error(self.path, f"in {what}")
            data += chunk
        return data


def truncated_error(path: Path, place: str) -> VectorsError:
    """Return the error for a file that ends too early."""
    return VectorsError(f"{path}: the file is cut off {place}. Copy or download it again.")


def damaged_error(path: Path, problem: str) -> VectorsError:
    """Return the error for a file whose contents are inconsistent."""
    return VectorsError(f"{path}: the file is damaged: {problem}. Copy or download it again.")


class WordIndex:
    """Index of words by 64-bit hash: 16 bytes a word, 32 MB for two million words.

    A word that is not in the index is mistaken for one that is about once in 10^13 lookups.
    """

    def __init__(self, words: Iterable[bytes]) -> None:
        # Python's own hash is salted in every process, and the index is never saved.
        hashes = np.array(array("q", map(hash, words)), np.int64)
        self._order = np.argsort(hashes, kind="stable")
        self._hashes = hashes[self._order]

    def find(self, words: Sequence[bytes], *, takes_last: bool = False) -> dict[bytes, int]:
        """Return the positions of the indexed words: the first or the last of equal words."""
        if not len(self._hashes):
            return {}
        hashes = np.array([hash(word) for word in words], np.int64)
        places = np.searchsorted(self._hashes, hashes, side="right" if takes_last else "left")
        places = (places - takes_last).clip(0, len(self._hashes) - 1)
        is_indexed = self._hashes[places] == hashes
        positions = self._order[places].tolist()
        return {
            word: position
            for word, position, known in zip(words, positions, is_indexed.tolist(), strict=True)
            if known
        }


_EDGE_SIZE, _SAMPLE_SIZE, _SAMPLES = 1 << 16, 1 << 12, 64


def file_fingerprint(path: Path) -> str:
    """Return a checksum of a file's size, its first and last 64 KB, and 63 samples in between.

    It takes milliseconds where hashing all of a 7 GB file takes much longer.

    Raises:
        VectorsError: the file cannot be read.
    """
    with RandomAccessFile(path) as file:
        digest = hashlib.sha256(str(file.size).encode())
        digest.update(file.read_up_to(0, _EDGE_SIZE))
        for sample in range(1, _SAMPLES):
            digest.update(file.read_up_to(file.size * sample // _SAMPLES, _SAMPLE_SIZE))
        digest.update(file.read_up_to(max(0, file.size - _EDGE_SIZE), _EDGE_SIZE))
    return digest.hexdigest()
