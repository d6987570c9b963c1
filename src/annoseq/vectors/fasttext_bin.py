"""Random-access reader of fastText's binary `.bin` models.

Bojanowski et al. 2017, "Enriching Word Vectors with Subword Information"; `Dictionary::hash` and
`Dictionary::computeSubwords` of fastText's sources.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field, replace
from itertools import islice, pairwise
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from annoseq.vectors.fasttext_header import FLOAT_SIZE, Header, find_input_matrix, read_header
from annoseq.vectors.random_access import PositionedFile, WordIndex, cut_off, damaged
from annoseq.vectors.word_vectors import LARGEST, Known, Rows

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray


END_OF_TEXT = "</s>"
"""fastText's own mark, the one word without n-grams."""
_BASIS, _PRIME, _MASK = 2166136261, 16777619, 0xFFFFFFFF
# fastText hashes signed characters: a byte above 127 is extended to 32 bits with ones. That is
# not the FNV-1a of the books, but every trained file depends on it.
_SIGNED = [byte if byte < 0x80 else byte | 0xFFFFFF00 for byte in range(256)]


def hash_bytes(data: bytes) -> int:
    """Return fastText's 32-bit hash."""
    state = _BASIS
    for byte in data:
        state = ((state ^ _SIGNED[byte]) * _PRIME) & _MASK
    return state


def subword_buckets(word: str, *, shortest: int, longest: int, buckets: int) -> list[int]:
    """Return the buckets of a word's n-grams of `shortest` to `longest` characters.

    The word is put between `<` and `>`, which count as characters but are no n-grams alone. An
    n-gram that is there twice is returned twice.
    """
    if longest <= 0 or buckets <= 0 or word == END_OF_TEXT:
        return []
    characters = [char.encode("utf-8", "surrogatepass") for char in f"<{word}>"]
    hashes = _hashes(characters, shortest, longest)
    return [hash_ % buckets for hash_ in hashes]


def _hashes(characters: list[bytes], shortest: int, longest: int) -> Iterator[int]:
    last = len(characters) - 1
    for first in range(len(characters)):
        state = _BASIS
        # Each n-gram is the one before it and a character more, and so is its hash.
        for place in range(first, min(first + longest, last + 1)):
            for byte in characters[place]:
                state = ((state ^ _SIGNED[byte]) * _PRIME) & _MASK
            length = place - first + 1
            if length >= shortest and (length > 1 or 0 < first < last):
                yield state


_CHUNK = 1 << 22
_LONGEST_WORD = 1 << 20
_AFTER_WORD = 10  # NUL, int64 count, int8 kind


def find_words(
    file: PositionedFile, header: Header, wanted: Collection[bytes]
) -> tuple[dict[bytes, int], int]:
    """Return the rows of the wanted words that are there, and where the dictionary ends.

    Raises:
        VectorsError: the dictionary is cut off or damaged.
    """
    rows: dict[bytes, int] = {}
    end = header.dictionary
    for row, (word, end) in enumerate(_entries(file, header)):  # noqa: B007 - the last is meant
        if word in wanted and row < header.words:
            rows[word] = row
    return rows, end


class Dictionary(NamedTuple):
    """The words of a dictionary, and where it ends."""

    words: WordIndex
    end: int

    @classmethod
    def read(cls, file: PositionedFile, header: Header) -> Dictionary:
        """Go through the dictionary once.

        Raises:
            VectorsError: it is cut off or damaged.
        """
        end = header.dictionary

        def words() -> Iterator[bytes]:
            nonlocal end
            for row, (word, end) in enumerate(_entries(file, header)):  # noqa: B007 - as above
                if row < header.words:
                    yield word

        return cls(WordIndex(words()), end)


def first_words(file: PositionedFile, header: Header, limit: int) -> list[bytes]:
    """Return the first words, which are the most frequent ones."""
    return [word for word, _ in islice(_entries(file, header), min(limit, header.words))]


def _entries(file: PositionedFile, header: Header) -> Iterator[tuple[bytes, int]]:
    """Yield the bytes of each entry, words first, and where the entry ends."""
    start = header.dictionary  # the place in the file of data[0]
    data, at = b"", 0
    for row in range(header.entries):
        end = data.find(b"\0", at)
        while end < 0 or end + _AFTER_WORD > len(data):
            more = file.read_some(start + len(data), _CHUNK)
            if not more:
                raise cut_off(file.path, "in its dictionary")
            data, start, at = data[at:] + more, start + at, 0
            end = data.find(b"\0")
            if (end if end >= 0 else len(data)) > _LONGEST_WORD:
                raise damaged(file.path, f"entry {row + 1} of its dictionary has no end")
        word, kind = data[at:end], data[end + _AFTER_WORD - 1]
        if kind != (row >= header.words):
            raise damaged(file.path, f"entry {row + 1} of its dictionary is not a word or label")
        at = end + _AFTER_WORD
        yield word, start + at


_PARTS_AT_ONCE = 1 << 14
"""Rows in memory at a time: 20 MB of 300 values each."""
_SPARED_GAP = 1 << 12
"""Bytes between two rows that are read along with them, instead of asking the system twice."""
_LONGEST_READ = 1 << 22


@dataclass(frozen=True)
class FastTextFile:
    """Word vectors with subwords, as fastText saves them."""

    path: Path
    header: Header
    dictionary: Dictionary | None = field(default=None, repr=False, compare=False)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Read the header.

        Raises:
            VectorsError: the file cannot be read, or is not a `.bin` of fastText.
        """
        with PositionedFile(path) as file:
            return cls(path, read_header(file))

    @property
    def width(self) -> int:
        """Values of a vector."""
        return self.header.width

    def rows(self, words: Sequence[str]) -> Rows:
        """Return the mean of each word's own row, if it has one, and of the rows of its n-grams.

        Raises:
            VectorsError: the file is quantised, cut off or damaged.
        """
        encoded = [word.encode("utf-8", "surrogatepass") for word in words]
        with PositionedFile(self.path) as file:
            if self.dictionary is None:
                found, end = find_words(file, self.header, frozenset(encoded))
            else:
                found = self.dictionary.words.find(encoded, takes_last=True)
                end = self.dictionary.end
            start = find_input_matrix(file, self.header, start=end)
            own = [found.get(word) for word in encoded]
            parts = self._parts(words, own)
            matrix = self._means(file, start, len(words), parts)
        counts = np.bincount(parts.words, minlength=len(words))
        return Rows(matrix, [_known(row, int(n)) for row, n in zip(own, counts, strict=True)])

    def indexed(self) -> Self:
        """Return the same, with the dictionary in memory: 16 bytes a word.

        Raises:
            VectorsError: the dictionary is cut off or damaged.
        """
        with PositionedFile(self.path) as file:
            return replace(self, dictionary=Dictionary.read(file, self.header))

    def first_words(self, limit: int) -> list[str]:
        """Return the file's first words, which are its most frequent ones."""
        with PositionedFile(self.path) as file:
            words = first_words(file, self.header, limit)
        return [word.decode("utf-8", "replace") for word in words]

    def _parts(self, words: Sequence[str], own: Sequence[int | None]) -> _Parts:
        header = self.header
        rows, owners = array("q"), array("q")
        for owner, (word, row) in enumerate(zip(words, own, strict=True)):
            if row is not None:
                rows.append(row)
            rows.extend(
                header.words + bucket
                for bucket in subword_buckets(
                    word,
                    shortest=header.shortest,
                    longest=header.longest,
                    buckets=header.buckets,
                )
            )
            owners.extend([owner] * (len(rows) - len(owners)))
        return _Parts(np.array(rows, np.int64), np.array(owners, np.int64))

    def _means(
        self, file: PositionedFile, start: int, size: int, parts: _Parts
    ) -> NDArray[np.float32]:
        matrix = np.zeros((size, self.width), np.float32)
        for rows, owners in parts.blocks():
            wanted, places = np.unique(rows, return_inverse=True)
            values = self._read(file, start, wanted)
            order = np.argsort(owners, kind="stable")
            firsts = np.flatnonzero(np.diff(owners[order], prepend=-1))
            matrix[owners[order][firsts]] += np.add.reduceat(values[places[order]], firsts, axis=0)
        counts = np.bincount(parts.words, minlength=size).clip(min=1)
        matrix /= counts[:, None].astype(np.float32)
        return matrix

    def _read(
        self, file: PositionedFile, start: int, wanted: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Read rows, (R, width), whose numbers rise; neighbours are read together."""
        row_size = self.width * FLOAT_SIZE
        runs = list(_runs(wanted, row_size))
        places = [
            (start + low * row_size, (high - low + 1) * row_size)
            for low, high in ((int(wanted[first]), int(wanted[last - 1])) for first, last in runs)
        ]
        # All at once: a hundred thousand reads that wait for the disk one by one take minutes
        # where other programs keep the processor busy.
        for place, size in places:
            file.expect(place, size)
        values = np.empty((len(wanted), self.width), np.float32)
        for (first, last), (place, size) in zip(runs, places, strict=True):
            data = file.read(place, size, what="its matrix of vectors")
            block = np.frombuffer(data, "<f4").reshape(-1, self.width)
            values[first:last] = block[wanted[first:last] - wanted[first]]
        is_good = (np.abs(values) <= LARGEST).all(axis=1)  # NaN is not
        if not is_good.all():
            row = int(wanted[is_good.argmin()]) + 1
            raise damaged(
                self.path, f"row {row} of its matrix holds no number or one above {LARGEST:.0e}"
            )
        return values


@dataclass(frozen=True, slots=True)
class _Parts:
    """Which rows of the file make up which words, both (P,)."""

    rows: NDArray[np.int64]
    words: NDArray[np.int64]

    def blocks(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Yield them in the order of the rows, so many at a time that memory is bounded."""
        order = np.argsort(self.rows, kind="stable")
        for first in range(0, len(order), _PARTS_AT_ONCE):
            some = order[first : first + _PARTS_AT_ONCE]
            yield self.rows[some], self.words[some]


def _runs(wanted: NDArray[np.int64], row_size: int) -> Iterator[tuple[int, int]]:
    """Yield the pieces `wanted[first:last]` that are worth one read each."""
    gaps = (np.diff(wanted) - 1) * row_size
    stretch = wanted // max(1, _LONGEST_READ // row_size)
    cuts = np.flatnonzero((gaps > _SPARED_GAP) | (np.diff(stretch) > 0)) + 1
    yield from pairwise([0, *cuts.tolist(), len(wanted)])


def _known(row: int | None, parts: int) -> Known:
    if row is not None:
        return "seen"
    return "composed" if parts else "missing"
