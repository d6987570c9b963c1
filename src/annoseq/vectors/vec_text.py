"""Vectors as text, `.vec` and `.vec.gz`: streamed, and only the wanted rows are kept.

The first line has the number of words and their width; then a line for each word.
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

from annoseq.errors import VectorsError
from annoseq.vectors.fasttext_header import WIDEST
from annoseq.vectors.random_access import PositionedFile, WordIndex, cut_off, explained
from annoseq.vectors.word_vectors import LARGEST, Known, Rows

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path
    from typing import IO

    from numpy.typing import NDArray

GZIP_MAGIC = b"\x1f\x8b"
_HEAD = re.compile(rb"([0-9]{1,12}) ([0-9]{1,12})[ \r]*\n")
_LONGEST_HEAD = 64
_LONGEST_LINE = 1 << 22


@dataclass(frozen=True)
class VecFile:
    """Word vectors without subwords: a word that is not there has none."""

    path: Path
    words: int
    width: int
    places: _Places | None = field(default=None, repr=False, compare=False)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Read the first line.

        Raises:
            VectorsError: the file cannot be read, or does not begin as a `.vec` does.
        """
        with unpacked(path) as stream:
            head = _HEAD.fullmatch(stream.readline(_LONGEST_HEAD))
        words, width = map(int, head.groups()) if head else (0, 0)
        if not 0 < width <= WIDEST:
            raise VectorsError(
                f"{path}: its first line does not hold two numbers, how many words there are and "
                "the width of their vectors. Use a .vec file of fastText, or add that line."
            )
        return cls(path, words, width)

    def rows(self, words: Sequence[str]) -> Rows:
        """Look words up, in the case that they have.

        Raises:
            VectorsError: a row has another width or no numbers, or the file is cut off.
        """
        wanted = {name.encode("utf-8", "surrogatepass") for name in words}
        found: dict[bytes, NDArray[np.float32]] = {}
        for number, line in self._lines_of(wanted):
            word, _, values = line.partition(b" ")
            if word in wanted and word not in found:
                found[word] = self._numbers(values, number)
        matrix = np.zeros((len(words), self.width), np.float32)
        known: list[Known] = ["missing"] * len(words)
        for row, name in enumerate(words):
            vector = found.get(name.encode("utf-8", "surrogatepass"))
            if vector is not None:
                matrix[row], known[row] = vector, "seen"
        return Rows(matrix, known)

    def indexed(self) -> Self:
        """Return the same, with the place of every line in memory: 24 bytes a word.

        A compressed file has no places, and is gone through each time.

        Raises:
            VectorsError: a row has another width, or the file is cut off.
        """
        if _is_packed(self.path):
            return self
        starts = array("q")

        def words() -> Iterator[bytes]:
            for line in self._lines():
                starts.append(line.start)
                yield line.row.partition(b" ")[0]

        index = WordIndex(words())
        starts.append(self.path.stat().st_size)
        return replace(self, places=_Places(index, starts))

    def first_words(self, limit: int) -> list[str]:
        """Return the file's first words, which are its most frequent ones."""
        lines = islice(self._lines(), min(limit, self.words))
        return [line.row.partition(b" ")[0].decode("utf-8", "replace") for line in lines]

    def _lines_of(self, words: Collection[bytes]) -> Iterator[tuple[int, bytes]]:
        """Yield the lines of these words, or of all, with their numbers."""
        if self.places is None:
            yield from ((line.number, line.row) for line in self._lines())
            return
        index, starts = self.places
        with PositionedFile(self.path) as file:
            for row in sorted(index.find(list(words)).values()):
                size = starts[row + 1] - starts[row]
                yield row + 2, file.read(starts[row], size, what="its rows").rstrip(b" \r\n")

    def _lines(self) -> Iterator[_Line]:
        """Yield the line of each word, after checking that all of it is there."""
        rows = 0
        with unpacked(self.path) as stream:
            start = len(stream.readline(_LONGEST_HEAD))
            for line in iter(partial(stream.readline, _LONGEST_LINE), b""):
                rows += 1
                if rows > self.words:
                    raise VectorsError(
                        f"{self.path}: found more rows than the {self.words:,} that its first line "
                        "tells. Mend its first line, or copy or download it again."
                    )
                if not line.endswith(b"\n"):
                    raise cut_off(self.path, f"in row {rows:,} of {self.words:,}")
                row = line.rstrip(b" \r\n")
                if row.count(b" ") != self.width:
                    raise self._bad(rows + 1, f"{row.count(b' ')} values")
                yield _Line(rows + 1, start, row)
                start += len(line)
        if rows < self.words:
            raise cut_off(self.path, f"after row {rows:,} of {self.words:,}")

    def _numbers(self, values: bytes, number: int) -> NDArray[np.float32]:
        try:
            vector = np.array([float(value) for value in values.split(b" ")])
        except ValueError:
            raise self._bad(number, "something that is not a number") from None
        if not (np.abs(vector) <= LARGEST).all():  # NaN is not
            raise self._bad(number, f"no number or one above {LARGEST:.0e}")
        return vector.astype(np.float32)

    def _bad(self, number: int, found: str) -> VectorsError:
        return VectorsError(
            f"{self.path}: line {number}: found {found}, where a word and {self.width} numbers "
            "were expected. Copy or download it again, or leave that line out."
        )


class _Line(NamedTuple):
    """A line of the file, counted from 1, where it begins, and its word and values."""

    number: int
    start: int
    row: bytes


class _Places(NamedTuple):
    """The rows of the words, and where each row begins; the last number is the file's end."""

    words: WordIndex
    starts: array[int]


def _is_packed(path: Path) -> bool:
    with PositionedFile(path) as file:
        return file.read_some(0, len(GZIP_MAGIC)) == GZIP_MAGIC


@contextmanager
def unpacked(path: Path) -> Iterator[IO[bytes]]:
    """Open a file, through gzip if it begins as gzip does, and explain what goes wrong.

    Raises:
        VectorsError: the file cannot be read, or its compression is damaged.
    """
    is_packed = _is_packed(path)
    with explained(path), path.open("rb") as stream:
        try:
            yield cast("IO[bytes]", gzip.GzipFile(fileobj=stream)) if is_packed else stream
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise VectorsError(
                f"{path}: the gzip compression is damaged or cut off. Copy or download it again."
            ) from error
