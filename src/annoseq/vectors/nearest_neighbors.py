"""Words looked at beside those that are nearest to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from annoseq.vectors.word_vectors import Known, Vectors


@dataclass(frozen=True)
class Portrait:
    """A word's vector (width,), and the nearest other words with their cosines, nearest first."""

    word: str
    known: Known
    vector: NDArray[np.float32]
    neighbours: list[tuple[str, float]]

    @property
    def norm(self) -> float:
        """The length of the vector."""
        return float(np.linalg.norm(self.vector))


def portray(
    words: Sequence[str], vectors: Vectors, *, among: Sequence[str], neighbours: int
) -> list[Portrait]:
    """Look words up, and search for the nearest of the words in `among`.

    Raises:
        VectorsError: the file is cut off or damaged.
    """
    asked = list(dict.fromkeys([*words, *among]))
    rows = vectors.rows(asked)
    places = {word: place for place, word in enumerate(asked)}
    candidates = [places[word] for word in dict.fromkeys(among)]
    candidates = [place for place in candidates if rows.known[place] != "missing"]
    directions = _directions(rows.matrix[candidates])
    portraits = []
    for word in words:
        vector = rows.matrix[places[word]]
        cosines = directions @ _directions(vector[None])[0]
        nearest = [
            (asked[candidates[place]], float(cosines[place]))
            for place in np.argsort(-cosines, kind="stable")[: neighbours + 1].tolist()
            if asked[candidates[place]] != word
        ]
        is_known = rows.known[places[word]] != "missing"
        nearest = nearest[:neighbours] if is_known else []
        portraits.append(Portrait(word, rows.known[places[word]], vector, nearest))
    return portraits


def _directions(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale rows to the length 1; a row of zeros stays as it is."""
    norms = np.linalg.norm(matrix, axis=1, keepdims=True).astype(np.float32)
    norms[norms == 0] = 1
    scaled: NDArray[np.float32] = matrix / norms
    return scaled
