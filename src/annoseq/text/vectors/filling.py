"""From vocabularies and a file of vectors to the first weights of embeddings."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from annoseq.errors import VectorsError
from annoseq.text.vectors.rows import summary
from annoseq.text.vectors.words import word_of
from annoseq.text.vocabulary import PAD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from annoseq.text.vectors.rows import Rows, Vectors
    from annoseq.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class Filled:
    """The vectors of a vocabulary's tokens, (V, width), in the order of their ids.

    `seen` and `composed` count the tokens that have a vector of the file. `missing` are the
    others that are words. Tags, white space and special symbols are in none of the three.
    """

    matrix: NDArray[np.float32]
    seen: int
    composed: int
    missing: tuple[str, ...]

    def checksum(self) -> str:
        """Return a checksum of the vectors."""
        return hashlib.sha256(self.matrix.tobytes()).hexdigest()

    def summary(self) -> str:
        """Say how many words have vectors."""
        return summary(self.seen, self.composed, len(self.missing))


def fill(vocabulary: Vocabulary, vectors: Vectors, *, width: int, seed: int) -> Filled:
    """Look up the vector of every token.

    The row of padding is zero. A token without a vector gets a random one, drawn from a normal
    distribution, with in each column the standard deviation of the vectors that were found.

    Raises:
        VectorsError: the file's vectors are not `width` wide, or it is cut off or damaged.
    """
    return fill_all([vocabulary], vectors, width=width, seed=seed)[0]


def fill_all(
    vocabularies: Sequence[Vocabulary], vectors: Vectors, *, width: int, seed: int
) -> list[Filled]:
    """Do as `fill` does for several vocabularies, and go through the file once.

    Raises:
        VectorsError: as `fill` does.
    """
    if width != vectors.width:
        raise VectorsError(
            f"{vectors.path}: its vectors have {vectors.width} values, where the embeddings have "
            f"{width}. Make the embeddings {vectors.width} wide, or use other vectors."
        )
    words = [[word_of(token) for token in vocabulary.tokens] for vocabulary in vocabularies]
    places: dict[str, int] = {}
    for word in (word for some in words for word in some if word is not None):
        places.setdefault(word, len(places))
    rows = vectors.rows(list(places))
    return [
        _fill(vocabulary.tokens, some, places, rows, np.random.default_rng([seed, side]))
        for side, (vocabulary, some) in enumerate(zip(vocabularies, words, strict=True))
    ]


def _fill(
    tokens: Sequence[str],
    words: Sequence[str | None],
    places: dict[str, int],
    rows: Rows,
    generator: np.random.Generator,
) -> Filled:
    at = np.array([-1 if word is None else places[word] for word in words])
    known = ["none" if place < 0 else rows.known[place] for place in at.tolist()]
    has_vector = np.array([kind in {"seen", "composed"} for kind in known])
    found = rows.matrix[at[has_vector]]
    width = rows.matrix.shape[1]
    # Fewer than two vectors have no spread; then the usual one of embeddings stands in.
    spread = found.std(axis=0) if len(found) > 1 else np.full(width, width**-0.5)
    matrix = np.empty((len(tokens), width), np.float32)
    matrix[has_vector] = found
    matrix[~has_vector] = generator.standard_normal((int((~has_vector).sum()), width)) * spread
    matrix[PAD] = 0
    return Filled(
        matrix,
        known.count("seen"),
        known.count("composed"),
        tuple(token for token, kind in zip(tokens, known, strict=True) if kind == "missing"),
    )
