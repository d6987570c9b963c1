"""What every file of vectors offers, whatever its format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, Self

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
