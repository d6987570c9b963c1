"""Interface of word-vector files, the word under which a token is looked up, and its neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, Self

import numpy as np

from annoseq.errors import count_noun
from annoseq.tokenization.pretokenizer import is_tag
from annoseq.tokenization.subwords import BYTES, SPACED, UNSPACED
from annoseq.tokenization.vocabulary import SPECIALS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray


VectorOrigin = Literal["seen", "composed", "missing"]
"""Origin of a word's vector: listed in the file, composed of n-gram vectors, or none."""

MAX_ABS_VALUE = 1e9
"""Larger values are treated as damage: trained vectors stay far below, and sums stay finite."""


class VectorLookup(NamedTuple):
    """Vectors of V words, (V, width), zero where the origin is "missing"; origins (V,)."""

    matrix: NDArray[np.float32]
    origins: list[VectorOrigin]


def coverage_summary(seen: int, composed: int, missing: int) -> str:
    """Return a sentence with the number of words of each vector origin."""
    with_vector = count_noun(seen, "word")
    return f"{with_vector} with a vector, {composed:,} composed of subwords, {missing:,} without"


class WordVectors(Protocol):
    """A word-vector file whose rows are read on demand."""

    @property
    def path(self) -> Path:
        """Path of the file."""

    @property
    def width(self) -> int:
        """Dimension of a vector."""

    def look_up(self, words: Sequence[str]) -> VectorLookup:
        """Look words up, case-sensitively.

        Raises:
            VectorsError: the file is cut off or damaged.
        """

    def indexed(self) -> Self:
        """Return the same vectors with a word index in memory, for repeated lookups.

        The index is built in one pass over the file; without it, every lookup is such a pass.

        Raises:
            VectorsError: the file is cut off or damaged.
        """

    def first_words(self, limit: int) -> list[str]:
        """Return the first words of the file, which are the most frequent ones.

        Raises:
            VectorsError: the file is cut off or damaged.
        """


_NOT_WORDS = frozenset((*SPECIALS, *BYTES))


def lookup_word(token: str) -> str | None:
    """Return the word under which a token is looked up, or None if it has none.

    White space, tags and special symbols have none. The leading space or subword marker of a token
    is removed, because no vector file has it. The case is kept. A subword is looked up like a word.

    >>> lookup_word(" Ames"), lookup_word("."), lookup_word(" "), lookup_word("{{NAME}}")
    ('Ames', '.', None, None)
    >>> lookup_word("<pad>")
    """
    word = token[1:] if token.startswith((SPACED, UNSPACED)) else token
    if not word or word.isspace() or word in _NOT_WORDS or is_tag(word):
        return None
    return word


@dataclass(frozen=True)
class NeighborReport:
    """A word, its vector (width,), and its nearest other words with their cosines, nearest first.

    A word without a vector has no neighbours.
    """

    word: str
    origin: VectorOrigin
    vector: NDArray[np.float32]
    neighbors: list[tuple[str, float]]

    @property
    def norm(self) -> float:
        """Euclidean length of the vector."""
        return float(np.linalg.norm(self.vector))


def report_neighbors(
    words: Sequence[str], vectors: WordVectors, *, among: Sequence[str], neighbors: int
) -> list[NeighborReport]:
    """Look words up, and find the nearest `neighbors` of each in the words `among`.

    Raises:
        VectorsError: the file is cut off or damaged.
    """
    queries = list(dict.fromkeys([*words, *among]))
    lookup = vectors.look_up(queries)
    rows = {word: row for row, word in enumerate(queries)}
    candidates = [rows[word] for word in dict.fromkeys(among)]
    candidates = [row for row in candidates if lookup.origins[row] != "missing"]
    directions = _normalize(lookup.matrix[candidates])
    reports = []
    for word in words:
        origin, vector = lookup.origins[rows[word]], lookup.matrix[rows[word]]
        cosines = directions @ _normalize(vector[None])[0]
        nearest = [
            (queries[candidates[place]], float(cosines[place]))
            for place in np.argsort(-cosines, kind="stable")[: neighbors + 1].tolist()
            if queries[candidates[place]] != word
        ]
        nearest = nearest[:neighbors] if origin != "missing" else []
        reports.append(NeighborReport(word, origin, vector, nearest))
    return reports


def _normalize(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale rows to unit length; a row of zeros stays zero."""
    norms = np.linalg.norm(matrix, axis=1, keepdims=True).astype(np.float32)
    norms[norms == 0] = 1
    scaled: NDArray[np.float32] = matrix / norms
    return scaled
