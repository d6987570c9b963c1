"""Random-access reader of fastText's binary `.bin` models, subword vectors included.

Bojanowski et al. 2017, "Enriching Word Vectors with Subword Information"; `Dictionary::hash` and
`Dictionary::computeSubwords` of fastText's sources.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field, replace
from itertools import islice, pairwise
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from annoseq.vectors.fasttext_rows import (
    FLOAT_SIZE,
    FastTextHeader,
    RandomAccessFile,
    WordIndex,
    damaged_error,
    find_input_matrix,
    read_header,
    truncated_error,
)
from annoseq.vectors.word_vectors import MAX_ABS_VALUE, VectorLookup, VectorOrigin

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray


_ROWS_PER_BLOCK = 1 << 14
"""Matrix rows in memory at a time: 20 MB of 300 values each."""
_MAX_GAP = 1 << 12
"""Bytes between two rows that are read along, which is cheaper than a second system call."""
_MAX_READ = 1 << 22


@dataclass(frozen=True)
class FastTextFile:
    """Word vectors with subwords in fastText's `.bin` format."""

    path: Path
    header: FastTextHeader
    dictionary: FastTextDictionary | None = field(default=None, repr=False, compare=False)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Read the header.

        Raises:
            VectorsError: the file cannot be read, or is not a `.bin` of fastText.
        """
        with RandomAccessFile(path) as file:
            return cls(path, read_header(file))

    @property
    def width(self) -> int:
        """Dimension of a vector."""
        return self.header.width

    def look_up(self, words: Sequence[str]) -> VectorLookup:
        """Return the mean of each word's own row, if the file lists it, and its n-grams' rows.

        Raises:
            VectorsError: the file is quantised, cut off or damaged.
        """
        encoded = [word.encode("utf-8", "surrogatepass") for word in words]
        with RandomAccessFile(self.path) as file:
            if self.dictionary is None:
                word_rows, end = find_word_rows(file, self.header, frozenset(encoded))
            else:
                word_rows = self.dictionary.words.find(encoded, takes_last=True)
                end = self.dictionary.end
            start = find_input_matrix(file, self.header, start=end)
            own_rows = [word_rows.get(word) for word in encoded]
            components = self._components(words, own_rows)
            matrix = self._means(file, start, len(words), components)
        counts = np.bincount(components.words, minlength=len(words))
        origins = [_origin(row, int(count)) for row, count in zip(own_rows, counts, strict=True)]
        return VectorLookup(matrix, origins)

    def indexed(self) -> Self:
        """Return the same vectors with the dictionary in memory: 16 bytes a word.

        Raises:
            VectorsError: the dictionary is cut off or damaged.
        """
        with RandomAccessFile(self.path) as file:
            return replace(self, dictionary=FastTextDictionary.read(file, self.header))

    def first_words(self, limit: int) -> list[str]:
        """Return the first words of the file, which are the most frequent ones."""
        with RandomAccessFile(self.path) as file:
            entries = islice(_entries(file, self.header), min(limit, self.header.words))
            return [word.decode("utf-8", "replace") for word, _ in entries]

    def _components(self, words: Sequence[str], own_rows: Sequence[int | None]) -> _Components:
        header = self.header
        rows, owners = array("q"), array("q")
        for owner, (word, row) in enumerate(zip(words, own_rows, strict=True)):
            if row is not None:
                rows.append(row)
            rows.extend(
                header.words + bucket
                for bucket in subword_buckets(
                    word, min_n=header.min_n, max_n=header.max_n, buckets=header.buckets
                )
            )
            owners.extend([owner] * (len(rows) - len(owners)))
        return _Components(np.array(rows, np.int64), np.array(owners, np.int64))

    def _means(
        self, file: RandomAccessFile, start: int, size: int, components: _Components
    ) -> NDArray[np.float32]:
        matrix = np.zeros((size, self.width), np.float32)
        for rows, owners in components.blocks():
            unique_rows, places = np.unique(rows, return_inverse=True)
            values = self._read_rows(file, start, unique_rows)
            order = np.argsort(owners, kind="stable")
            firsts = np.flatnonzero(np.diff(owners[order], prepend=-1))
            matrix[owners[order][firsts]] += np.add.reduceat(values[places[order]], firsts, axis=0)
        counts = np.bincount(components.words, minlength=size).clip(min=1)
        matrix /= counts[:, None].astype(np.float32)
        return matrix

    def _read_rows(
        self, file: RandomAccessFile, start: int, rows: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Read matrix rows (R, width) in ascending order; close ones are read together."""
        row_size = self.width * FLOAT_SIZE
        runs = list(_runs(rows, row_size))
        ranges = [
            (start + low * row_size, (high - low + 1) * row_size)
            for low, high in ((int(rows[first]), int(rows[last - 1])) for first, last in runs)
        ]
        # All at once: a hundred thousand reads that wait for the disk one by one take minutes
        # on a busy machine.
        for offset, size in ranges:
            file.prefetch(offset, size)
        values = np.empty((len(rows), self.width), np.float32)
        for (first, last), (offset, size) in zip(runs, ranges, strict=True):
            data = file.read(offset, size, what="its matrix of vectors")
            block = np.frombuffer(data, "<f4").reshape(-1, self.width)
            values[first:last] = block[rows[first:last] - rows[first]]
        is_good = (np.abs(values) <= MAX_ABS_VALUE).all(axis=1)  # False for NaN
        if not is_good.all():
            row = int(rows[is_good.argmin()]) + 1
            raise damaged_error(
                self.path,
                f"row {row} of its matrix holds no number or one above {MAX_ABS_VALUE:.0e}",
            )
        return values


@dataclass(frozen=True, slots=True)
class _Components:
    """Matrix rows that make up words: P pairs of `rows` (P,) and positions of `words` (P,)."""

    rows: NDArray[np.int64]
    words: NDArray[np.int64]

    def blocks(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Yield the pairs in blocks of ascending rows, which bounds memory."""
        order = np.argsort(self.rows, kind="stable")
        for first in range(0, len(order), _ROWS_PER_BLOCK):
            block = order[first : first + _ROWS_PER_BLOCK]
            yield self.rows[block], self.words[block]


def _runs(rows: NDArray[np.int64], row_size: int) -> Iterator[tuple[int, int]]:
    """Yield the slices `rows[first:last]` that are read by one system call each."""
    gaps = (np.diff(rows) - 1) * row_size
    stretch = rows // max(1, _MAX_READ // row_size)
    cuts = np.flatnonzero((gaps > _MAX_GAP) | (np.diff(stretch) > 0)) + 1
    yield from pairwise([0, *cuts.tolist(), len(rows)])


def _origin(row: int | None, components: int) -> VectorOrigin:
    if row is not None:
        return "seen"
    return "composed" if components else "missing"


class FastTextDictionary(NamedTuple):
    """Word index of a dictionary, and the byte offset of its end."""

    words: WordIndex
    end: int

    @classmethod
    def read(cls, file: RandomAccessFile, header: FastTextHeader) -> FastTextDictionary:
        """Index the dictionary in one pass.

        Raises:
            VectorsError: it is cut off or damaged.
        """
        end = header.dictionary_offset

        def words() -> Iterator[bytes]:
            nonlocal end
            for row, (word, end) in enumerate(_entries(file, header)):  # noqa: B007 - last is used
                if row < header.words:
                    yield word

        return cls(WordIndex(words()), end)


def find_word_rows(
    file: RandomAccessFile, header: FastTextHeader, words: Collection[bytes]
) -> tuple[dict[bytes, int], int]:
    """Return the matrix rows of the words that are listed, and the end of the dictionary.

    Raises:
        VectorsError: the dictionary is cut off or damaged.
    """
    rows: dict[bytes, int] = {}
    end = header.dictionary_offset
    for row, (word, end) in enumerate(_entries(file, header)):  # noqa: B007 - the last is used
        if word in words and row < header.words:
            rows[word] = row
    return rows, end


_CHUNK_SIZE = 1 << 22
_LONGEST_WORD = 1 << 20
_AFTER_WORD = 10  # NUL, int64 count, int8 kind


def _entries(file: RandomAccessFile, header: FastTextHeader) -> Iterator[tuple[bytes, int]]:
    """Yield the bytes of each entry, words first, and the byte offset of its end."""
    start = header.dictionary_offset  # byte offset of data[0]
    data, at = b"", 0
    for row in range(header.entries):
        end = data.find(b"\0", at)
        while end < 0 or end + _AFTER_WORD > len(data):
            chunk = file.read_up_to(start + len(data), _CHUNK_SIZE)
            if not chunk:
                raise truncated_error(file.path, "in its dictionary")
            data, start, at = data[at:] + chunk, start + at, 0
            end = data.find(b"\0")
            if (end if end >= 0 else len(data)) > _LONGEST_WORD:
                raise damaged_error(file.path, f"entry {row + 1} of its dictionary has no end")
        word, kind = data[at:end], data[end + _AFTER_WORD - 1]
        if kind != (row >= header.words):
            raise damaged_error(
                file.path, f"entry {row + 1} of its dictionary is not a word or label"
            )
        at = end + _AFTER_WORD
        yield word, start + at


END_OF_SENTENCE = "</s>"
"""fastText's end-of-sentence token, the only word without n-grams."""
_FNV_OFFSET_BASIS, _FNV_PRIME, _MASK = 2166136261, 16777619, 0xFFFFFFFF
# fastText hashes signed characters: a byte above 127 is sign-extended to 32 bits. This is not
# standard FNV-1a, but every trained file depends on it.
_SIGNED = [byte if byte < 0x80 else byte | 0xFFFFFF00 for byte in range(256)]


def fasttext_hash(data: bytes) -> int:
    """Return fastText's 32-bit hash, a variant of FNV-1a."""
    state = _FNV_OFFSET_BASIS
    for byte in data:
        state = ((state ^ _SIGNED[byte]) * _FNV_PRIME) & _MASK
    return state


def subword_buckets(word: str, *, min_n: int, max_n: int, buckets: int) -> list[int]:
    """Return the buckets of a word's character n-grams of `min_n` to `max_n` characters.

    The boundary markers `<` and `>` count as characters, but are no n-grams by themselves. A
    repeated n-gram is returned repeatedly.
    """
    if max_n <= 0 or buckets <= 0 or word == END_OF_SENTENCE:
        return []
    characters = [char.encode("utf-8", "surrogatepass") for char in f"<{word}>"]
    return [hash_ % buckets for hash_ in _ngram_hashes(characters, min_n, max_n)]


def _ngram_hashes(characters: list[bytes], min_n: int, max_n: int) -> Iterator[int]:
    last = len(characters) - 1
    for first in range(len(characters)):
        state = _FNV_OFFSET_BASIS
        # An n-gram extends the one before it by a character, and so does its hash.
        for place in range(first, min(first + max_n, last + 1)):
            for byte in characters[place]:
                state = ((state ^ _SIGNED[byte]) * _FNV_PRIME) & _MASK
            length = place - first + 1
            if length >= min_n and (length > 1 or 0 < first < last):
                yield state
