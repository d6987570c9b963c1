"""Interface of word vectors, their file fingerprint, and the word of a token."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, Self

from annoseq.tokenization.pretokenizer import is_tag
from annoseq.tokenization.subwords import BYTES, SPACED, UNSPACED
from annoseq.tokenization.vocabulary import SPECIALS
from annoseq.vectors.random_access import PositionedFile

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray


Known = Literal["seen", "composed", "missing"]
"""In the file; made of the vectors of its n-grams; neither."""


LARGEST = 1e9
"""A larger value is taken for damage: no trained vector comes near, and sums stay finite."""


class Rows(NamedTuple):
    """The vectors of words, (V, width), zero where `known` is "missing"."""

    matrix: NDArray[np.float32]
    known: list[Known]


def summary(seen: int, composed: int, missing: int) -> str:
    """Say how many words have vectors."""
    return f"{seen:,} words with a vector, {composed:,} composed of subwords, {missing:,} without"


class Vectors(Protocol):
    """A file of word vectors. Its rows are read when they are asked for."""

    @property
    def path(self) -> Path:
        """The file."""

    @property
    def width(self) -> int:
        """Values of a vector."""

    def rows(self, words: Sequence[str]) -> Rows:
        """Look words up, in the case that they have.

        Raises:
            VectorsError: the file is cut off or damaged.
        """

    def indexed(self) -> Self:
        """Return the same, made for asking often: it is gone through once, and not for each time.

        Raises:
            VectorsError: the file is cut off or damaged.
        """

    def first_words(self, limit: int) -> list[str]:
        """Return the file's first words, which are its most frequent ones.

        Raises:
            VectorsError: the file is cut off or damaged.
        """


_EDGE, _SAMPLE, _SAMPLES = 1 << 16, 1 << 12, 64


def fingerprint(path: Path) -> str:
    """Return a checksum of a file's size, both its ends and blocks spread between them.

    Not of all of it: the file may have 7 GB, and this takes milliseconds.

    Raises:
        VectorsError: the file cannot be read.
    """
    with PositionedFile(path) as file:
        digest = hashlib.sha256(str(file.size).encode())
        digest.update(file.read_some(0, _EDGE))
        for sample in range(1, _SAMPLES):
            digest.update(file.read_some(file.size * sample // _SAMPLES, _SAMPLE))
        digest.update(file.read_some(max(0, file.size - _EDGE), _EDGE))
    return digest.hexdigest()


_NO_WORDS = frozenset((*SPECIALS, *BYTES))


def word_of(token: str) -> str | None:
    """Return the word that a token stands for, or None: white space, tags and symbols have none.

    A token carries the space before it, or the mark of a piece, which no file of vectors has. The
    case is kept. A piece of a word is looked up as if it were a word.

    >>> word_of(" Ames"), word_of("."), word_of(" "), word_of("{{NAME}}"), word_of("<pad>")
    ('Ames', '.', None, None, None)
    """
    word = token[1:] if token.startswith((SPACED, UNSPACED)) else token
    if not word or word.isspace() or word in _NO_WORDS or is_tag(word):
        return None
    return word
