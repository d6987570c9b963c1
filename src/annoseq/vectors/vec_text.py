"""Streaming reader of word vectors as text, `.vec` and `.vec.gz`.

The first line has the number of words and the width of their vectors; each further line has a word
and its values. Only the requested rows are kept in memory.
"""

from __future__ import annotations

import gzip
import re
import zlib
from array import array
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, Self, cast

import numpy as np

from annoseq.errors import VectorsError, count_noun
from annoseq.vectors.fasttext_rows import (
    MAX_WIDTH,
    RandomAccessFile,
    WordIndex,
    explain_read_errors,
    truncated_error,
)
from annoseq.vectors.word_vectors import MAX_ABS_VALUE, VectorLookup, VectorOrigin

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path
    from typing import IO

    from numpy.typing import NDArray

GZIP_MAGIC = b"\x1f\x8b"
_HEADER = re.compile(rb"([0-9]{1,12}) ([0-9]{1,12})[ \r]*\n")
_LONGEST_HEADER = 64
_LONGEST_LINE = 1 << 22


@dataclass(frozen=True)
class VecFile:
    """Word vectors without subwords, as text: a word that the file does not list has none."""

    path: Path
    words: int
    width: int
    line_index: _LineIndex | None = field(default=None, repr=False, compare=False)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Read the first line.

        Raises:
            VectorsError: the file cannot be read, or does not begin as a `.vec` does.
        """
        with open_decompressed(path) as stream:
            header = _HEADER.fullmatch(stream.readline(_LONGEST_HEADER))
        words, width = map(int, header.groups()) if header else (0, 0)
        if not 0 < width <= MAX_WIDTH:
            raise VectorsError(
                f"{path}: its first line does not hold two numbers, how many words there are and "
                "the width of their vectors. Use a .vec file of fastText, or add that line."
            )
        return cls(path, words, width)

    def look_up(self, words: Sequence[str]) -> VectorLookup:
        """Look words up, case-sensitively.

        Raises:
            VectorsError: a row has another width or no numbers, or the file is cut off.
        """
        queries = {word.encode("utf-8", "surrogatepass") for word in words}
        vectors: dict[bytes, NDArray[np.float32]] = {}
        for number, line in self._lines_of(queries):
            word, _, values = line.partition(b" ")
            if word in queries and word not in vectors:
                vectors[word] = self._parse_values(values, number)
        matrix = np.zeros((len(words), self.width), np.float32)
        origins: list[VectorOrigin] = ["missing"] * len(words)
        for row, query in enumerate(words):
            vector = vectors.get(query.encode("utf-8", "surrogatepass"))
            if vector is not None:
                matrix[row], origins[row] = vector, "seen"
        return VectorLookup(matrix, origins)

    def indexed(self) -> Self:
        """Return the same vectors with the offset of every line in memory: 24 bytes a word.

        A compressed file has no offsets and is returned as it is: each lookup reads all of it.

        Raises:
            VectorsError: a row has another width, or the file is cut off.
        """
        if _is_compressed(self.path):
            return self
        starts = array("q")

        def words() -> Iterator[bytes]:
            for line in self._lines():
                starts.append(line.start)
                yield line.content.partition(b" ")[0]

        index = WordIndex(words())
        starts.append(self.path.stat().st_size)
        return replace(self, line_index=_LineIndex(index, starts))

    def first_words(self, limit: int) -> list[str]:
        """Return the first words of the file, which are the most frequent ones."""
        lines = islice(self._lines(), min(limit, self.words))
        return [line.content.partition(b" ")[0].decode("utf-8", "replace") for line in lines]

    def _lines_of(self, words: Collection[bytes]) -> Iterator[tuple[int, bytes]]:
        """Yield the numbered lines of these words, or all lines if there is no index."""
        if self.line_index is None:
            yield from ((line.number, line.content) for line in self._lines())
            return
        index, starts = self.line_index
        with RandomAccessFile(self.path) as file:
            for row in sorted(index.find(list(words)).values()):
                size = starts[row + 1] - starts[row]
                yield row + 2, file.read(starts[row], size, what="its rows").rstrip(b" \r\n")

    def _lines(self) -> Iterator[_Line]:
        """Yield the line of each word, after checking its width and that it is complete."""
        rows = 0
        with open_decompressed(self.path) as stream:
            start = len(stream.readline(_LONGEST_HEADER))
            for line in iter(partial(stream.readline, _LONGEST_LINE), b""):
                rows += 1
                if rows > self.words:
                    raise VectorsError(
                        f"{self.path}: found more rows than the {self.words:,} that its first line "
                        "tells. Mend its first line, or copy or download it again."
                    )
                if not line.endswith(b"\n"):
                    raise truncated_error(self.path, f"in row {rows:,} of {self.words:,}")
                content = line.rstrip(b" \r\n")
                if content.count(b" ") != self.width:
                    raise self._bad_line(rows + 1, count_noun(content.count(b" "), "value"))
                yield _Line(rows + 1, start, content)
                start += len(line)
        if rows < self.words:
            raise truncated_error(self.path, f"after row {rows:,} of {self.words:,}")

    def _parse_values(self, values: bytes, number: int) -> NDArray[np.float32]:
        try:
            vector = np.array([float(value) for value in values.split(b" ")])
        except ValueError:
            raise self._bad_line(number, "something that is not a number") from None
        if not (np.abs(vector) <= MAX_ABS_VALUE).all():  # False for NaN
            raise self._bad_line(number, f"no number or one above {MAX_ABS_VALUE:.0e}")
        return vector.astype(np.float32)

    def _bad_line(self, number: int, found: str) -> VectorsError:
        return VectorsError(
            f"{self.path}: line {number}: found {found}, where a word and "
            f"{count_noun(self.width, 'number')} were expected. Copy or download it again, or "
            "leave that line out."
        )


class _Line(NamedTuple):
    """Number of a line, counted from 1, its byte offset, and its word and values."""

    number: int
    start: int
    content: bytes


class _LineIndex(NamedTuple):
    """Rows of the words, and the byte offset of each row; the last offset is the file's end."""

    words: WordIndex
    starts: array[int]


def _is_compressed(path: Path) -> bool:
    with RandomAccessFile(path) as file:
        return file.read_up_to(0, len(GZIP_MAGIC)) == GZIP_MAGIC


@contextmanager
def open_decompressed(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for reading, through gzip if it begins with gzip's magic number.

    Raises:
        VectorsError: the file cannot be read, or its compression is damaged.
    """
    is_compressed = _is_compressed(path)
    with explain_read_errors(path), path.open("rb") as stream:
        try:
            yield cast("IO[bytes]", gzip.GzipFile(fileobj=stream)) if is_compressed else stream
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise VectorsError(
                f"{path}: the gzip compression is damaged or cut off. Copy or download it again."
            ) from error
