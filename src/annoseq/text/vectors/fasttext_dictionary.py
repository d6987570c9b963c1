"""The dictionary of fastText's `.bin`, streamed: two million words take about a second."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from annoseq.text.vectors.index import WordIndex
from annoseq.text.vectors.positioned import cut_off, damaged

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from annoseq.text.vectors.fasttext_header import Header
    from annoseq.text.vectors.positioned import PositionedFile

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
