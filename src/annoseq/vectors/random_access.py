"""Random access to pieces of a large file, with a word index.

Not a memory map: a page fault reads the pages around it too, and all of them count as
resident, so that a few thousand rows of a 7 GB file would take gigabytes.
"""

from __future__ import annotations

import os
import stat
from array import array
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

import numpy as np

from annoseq.errors import VectorsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what the system says of a failed read into a `VectorsError` about `path`."""
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


class PositionedFile:
    """A regular file, open for reading at places; use it in a `with` block."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with explained(path):
            # Not to wait for a writer where it is a pipe, which is refused.
            self._descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            self.size = self._checked_size()
        except VectorsError:
            os.close(self._descriptor)
            raise
        if hasattr(os, "posix_fadvise"):  # Linux has it: no reading ahead of what is asked for
            os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_RANDOM)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        os.close(self._descriptor)

    def _checked_size(self) -> int:
        facts = os.fstat(self._descriptor)
        with explained(self.path):
            if stat.S_ISDIR(facts.st_mode):
                raise IsADirectoryError
        if not stat.S_ISREG(facts.st_mode):
            raise VectorsError(
                f"{self.path}: this is not a regular file, and vectors are read at their places. "
                "Save it to a file first."
            )
        if not facts.st_size:
            raise VectorsError(f"{self.path}: the file is empty. Copy or download it again.")
        return facts.st_size

    def expect(self, start: int, size: int) -> None:
        """Ask the system to fetch what will be read soon, and do not wait for it."""
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self._descriptor, start, size, os.POSIX_FADV_WILLNEED)

    def read_some(self, start: int, size: int) -> bytes:
        """Read up to `size` bytes; nothing at the end of the file."""
        with explained(self.path):
            return os.pread(self._descriptor, size, start)

    def read(self, start: int, size: int, *, what: str) -> bytes:
        """Read `size` bytes, which are (part of) `what`.

        Raises:
            VectorsError: the file ends before.
        """
        data = self.read_some(start, size)
        while len(data) < size:
            more = self.read_some(start + len(data), size - len(data))
            if not more:
                raise cut_off(self.path, f"in {what}")
            data += more
        return data


def cut_off(path: Path, place: str) -> VectorsError:
    """Return the error about a file that ends too early."""
    return VectorsError(f"{path}: the file is cut off {place}. Copy or download it again.")


def damaged(path: Path, problem: str) -> VectorsError:
    """Return the error about a file that contradicts itself."""
    return VectorsError(f"{path}: the file is damaged: {problem}. Copy or download it again.")


class WordIndex:
    """The numbers of many words by 64-bit hashes: 16 bytes a word, 32 MB for two millions.

    A word that is not there is taken for one that is about once in 10^13 times.
    """

    def __init__(self, words: Iterable[bytes]) -> None:
        # Python's own hash: another one in every process, and this is never saved.
        hashes = np.array(array("q", map(hash, words)), np.int64)
        self._order = np.argsort(hashes, kind="stable")
        self._hashes = hashes[self._order]

    def find(self, words: Sequence[bytes], *, takes_last: bool = False) -> dict[bytes, int]:
        """Return the numbers of those words that are there; of equal ones the first or the last."""
        if not len(self._hashes):
            return {}
        hashes = np.array([hash(word) for word in words], np.int64)
        places = np.searchsorted(self._hashes, hashes, side="right" if takes_last else "left")
        places = (places - takes_last).clip(0, len(self._hashes) - 1)
        is_there = self._hashes[places] == hashes
        numbers = self._order[places].tolist()
        return {
            word: number
            for word, number, known in zip(words, numbers, is_there.tolist(), strict=True)
            if known
        }
