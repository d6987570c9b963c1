"""Vectors as text, `.vec` and `.vec.gz`: streamed, and only the wanted rows are kept.

The first line has the number of words and their width; then a line for each word.
"""

from __future__ import annotations

import gzip
import re
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Self, cast

import numpy as np

from annoseq.errors import VectorsError
from annoseq.text.vectors.fasttext_header import WIDEST
from annoseq.text.vectors.positioned import PositionedFile, cut_off, explained
from annoseq.text.vectors.rows import LARGEST, Known, Rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
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
        for number, line in self._lines():
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

    def first_words(self, limit: int) -> list[str]:
        """Return the file's first words, which are its most frequent ones."""
        lines = islice(self._lines(), min(limit, self.words))
        return [line.partition(b" ")[0].decode("utf-8", "replace") for _, line in lines]

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        """Yield the line of each word with its number, after checking that all of it is there."""
        rows = 0
        with unpacked(self.path) as stream:
            stream.readline(_LONGEST_HEAD)
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
                yield rows + 1, row
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


@contextmanager
def unpacked(path: Path) -> Iterator[IO[bytes]]:
    """Open a file, through gzip if it begins as gzip does, and explain what goes wrong.

    Raises:
        VectorsError: the file cannot be read, or its compression is damaged.
    """
    with PositionedFile(path) as file:
        is_packed = file.read_some(0, len(GZIP_MAGIC)) == GZIP_MAGIC
    with explained(path), path.open("rb") as stream:
        try:
            yield cast("IO[bytes]", gzip.GzipFile(fileobj=stream)) if is_packed else stream
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise VectorsError(
                f"{path}: the gzip compression is damaged or cut off. Copy or download it again."
            ) from error
