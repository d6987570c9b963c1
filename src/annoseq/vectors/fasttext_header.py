"""Header and matrix prefaces of fastText's `.bin` files.

All numbers are little-endian, laid out by `FastText::saveModel` of fastText's sources:

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

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from annoseq.errors import VectorsError, count_noun
from annoseq.vectors.random_access import damaged_error, truncated_error

if TYPE_CHECKING:
    from pathlib import Path

    from annoseq.vectors.random_access import RandomAccessFile

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
