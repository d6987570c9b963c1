"""The n-grams of a word as fastText numbers them.

Bojanowski et al. 2017, "Enriching Word Vectors with Subword Information"; `Dictionary::hash` and
`Dictionary::computeSubwords` of fastText's sources.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

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
