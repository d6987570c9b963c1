"""Nearest neighbours of words by cosine similarity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from annoseq.vectors.word_vectors import VectorOrigin, WordVectors


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
