"""The first bytes of fastText's `.bin`, and where its parts are.

All numbers are little-endian; the layout is that of fastText's `FastText::saveModel`:

    magic number, version           2 x int32
    arguments                       12 x int32, float64
    entries, words, labels          3 x int32
    tokens, pruned                  2 x int64
    dictionary                      for each entry its UTF-8, a NUL, int64 count, int8 kind
    input matrix                    bool quantised, 2 x int64 shape, float32 values
    output matrix                   the same; its values are never read here

The input matrix has a row for each word, then one for each bucket of n-grams.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from annoseq.errors import VectorsError
from annoseq.vectors.random_access import cut_off, damaged

if TYPE_CHECKING:
    from pathlib import Path

    from annoseq.vectors.random_access import PositionedFile

MAGIC = struct.pack("<i", 793712314)
NEWEST_VERSION = 12
FLOAT_SIZE = 4
WIDEST = 100_000
"""A wider vector is taken for damage, before memory is asked for."""
_LAYOUT = struct.Struct("<4si12id3i2q")
_MATRIX = struct.Struct("<?2q")
_SUPERVISED = 3
_SHORTEST_ENTRY = 10  # an empty word: NUL, count, kind


@dataclass(frozen=True, slots=True)
class Header:
    """What the file says of itself; n-grams have `shortest` to `longest` characters."""

    width: int
    buckets: int
    shortest: int
    longest: int
    words: int
    labels: int

    @property
    def entries(self) -> int:
        """Words and labels."""
        return self.words + self.labels

    @property
    def rows(self) -> int:
        """Rows of the input matrix."""
        return self.words + self.buckets

    @property
    def dictionary(self) -> int:
        """Where in the file the dictionary begins."""
        return _LAYOUT.size


def read_header(file: PositionedFile) -> Header:
    """Read what stands before the dictionary.

    Raises:
        VectorsError: this is not a `.bin` of fastText, or it is cut off or damaged.
    """
    beginning = file.read_some(0, _LAYOUT.size)
    if beginning[: len(MAGIC)] != MAGIC:
        raise not_fasttext(file.path, beginning)
    if len(beginning) < _LAYOUT.size:
        raise cut_off(file.path, "in its header")
    # The names are those of fastText's own sources.
    _, version, dim, *args, entries, words, labels, _, pruned = _LAYOUT.unpack(beginning)
    model, bucket, minn, maxn = args[6:10]
    if version > NEWEST_VERSION:
        raise VectorsError(
            f"{file.path}: found version {version} of fastText's format, where {NEWEST_VERSION} "
            "is the newest known. Save it with an older fastText."
        )
    is_plausible = (
        0 < dim <= WIDEST
        and min(bucket, minn, maxn, words, labels) >= 0
        and entries == words + labels
    )
    if not is_plausible:
        raise damaged(file.path, "the sizes in its header contradict one another")
    if entries * _SHORTEST_ENTRY > file.size:
        raise cut_off(file.path, "in its dictionary")
    if pruned >= 0:
        raise quantised(file.path)
    # As fastText does: supervised models of version 11 had no n-grams of characters.
    has_ngrams = bucket > 0 and not (version == NEWEST_VERSION - 1 and model == _SUPERVISED)
    return Header(dim, bucket, minn, maxn if has_ngrams else 0, words, labels)


def find_input_matrix(file: PositionedFile, header: Header, *, start: int) -> int:
    """Return where the values of the input matrix begin; its preface is at `start`.

    The output matrix is only checked to be there, since a file that lacks it is cut off.

    Raises:
        VectorsError: the matrix is quantised, or the file is cut off or damaged.
    """
    values, rows, width = _read_preface(file, start, what="its matrix of vectors")
    if (rows, width) != (header.rows, header.width):
        raise damaged(
            file.path,
            f"its matrix has {rows} rows of {width} values, "
            f"where {header.rows} of {header.width} were expected",
        )
    end = values + rows * width * FLOAT_SIZE
    if end > file.size:
        raise cut_off(file.path, "in its matrix of vectors")
    after, rows, width = _read_preface(file, end, what="its output matrix")
    if after + rows * width * FLOAT_SIZE > file.size:
        raise cut_off(file.path, "in its output matrix")
    return values


def _read_preface(file: PositionedFile, start: int, *, what: str) -> tuple[int, int, int]:
    is_quantised, rows, width = _MATRIX.unpack(file.read(start, _MATRIX.size, what=what))
    if is_quantised:
        raise quantised(file.path)
    if rows < 0 or width < 0:
        raise damaged(file.path, "a matrix has a negative size")
    return start + _MATRIX.size, rows, width


def quantised(path: Path) -> VectorsError:
    """Return the error about a compressed model, whose rows cannot be read by themselves."""
    return VectorsError(
        f"{path}: this is a quantised fastText model (.ftz), which keeps no whole vectors. "
        "Use the .bin that it was made from."
    )


def not_fasttext(path: Path, beginning: bytes) -> VectorsError:
    """Return the error about a file that begins with something else than fastText's number."""
    if beginning.isascii() and beginning.decode("ascii").replace("\n", "").isprintable():
        found = "it begins as text does"
        hint = "Vectors as text are named .vec; word2vec's own binary cannot be read"
    else:
        found = f"it begins with the bytes {beginning[: len(MAGIC)].hex(' ')}"
        hint = "Copy or download it again, or use another file"
    return VectorsError(
        f"{path}: this is not a .bin of fastText: {found}, where {MAGIC.hex(' ')} was "
        f"expected. {hint}."
    )
