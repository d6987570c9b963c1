"""Where the words of a file stand, so that it is not gone through each time some are asked for."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


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
