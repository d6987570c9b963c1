"""The vectors of the tokens that a tagger meets, each word's read once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from annoseq.text.vectors.fasttext_file import FastTextFile
from annoseq.text.vectors.fingerprint import fingerprint as fingerprint_of
from annoseq.text.vectors.reader import open_vectors
from annoseq.text.vectors.record import VectorsRecord
from annoseq.text.vectors.rows import summary
from annoseq.text.vectors.words import word_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from annoseq.text.vectors.filling import Filled
    from annoseq.text.vectors.rows import Known, Rows, Vectors

_SHORTEST = 1e-12
_NO_WORD = 0


class TokenVectors:
    """A file of vectors, and those of the tokens met so far, by their numbers.

    A word is looked up as it is written and, where neither it nor its subwords have a vector, in
    lower case. Vectors are brought to length 1: composed ones are shorter the more their parts
    disagree, which says nothing about the word.
    """

    def __init__(self, file: Vectors, *, fingerprint: str) -> None:
        self.file = file
        self._fingerprint = fingerprint
        self.forget()

    def __len__(self) -> int:
        return len(self._places)

    @property
    def columns(self) -> int:
        """Values of what `take` returns for each token."""
        return self.file.width + 1

    def fresh(self) -> TokenVectors:
        """Return the same file, with no token met."""
        return TokenVectors(self.file, fingerprint=self._fingerprint)

    def forget(self) -> None:
        """Forget all tokens."""
        self._places: list[int] = []
        self._rows: dict[str, int] = {}
        self._known: list[Known] = []
        self._matrix = np.zeros((1, self.columns), np.float32)
        self._matrix[_NO_WORD, -1] = 1

    def meet(self, tokens: Iterable[str]) -> None:
        """Give the next numbers to tokens, and read what has not been read.

        Raises:
            VectorsError: the file is cut off or damaged.
        """
        words = [word_of(token) for token in tokens]
        new = dict.fromkeys(word for word in words if word is not None and word not in self._rows)
        if new:
            self._read(list(new))
        self._places += [_NO_WORD if word is None else self._rows[word] for word in words]

    def take(self, numbers: Sequence[int]) -> NDArray[np.float32]:
        """Return the vectors (W, V + 1) of tokens; the last column is 1 where there is none."""
        taken: NDArray[np.float32] = self._matrix[[self._places[number] for number in numbers]]
        return taken

    def _read(self, words: Sequence[str]) -> None:
        matrix, known = self._look_up(words)
        read = np.zeros((len(words), self.columns), np.float32)
        lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
        read[:, :-1] = matrix / lengths.clip(min=_SHORTEST)
        read[:, -1] = [kind == "missing" for kind in known]
        self._rows |= {word: row for row, word in enumerate(words, start=len(self._matrix))}
        self._known += known
        self._matrix = np.concatenate([self._matrix, read])

    def _look_up(self, words: Sequence[str]) -> Rows:
        rows = self.file.rows(words)
        lower = {
            row: word.lower()
            for row, (word, kind) in enumerate(zip(words, rows.known, strict=True))
            if kind == "missing" and word != word.lower()
        }
        if lower:
            again = self.file.rows(list(lower.values()))
            for row, vector, kind in zip(lower, again.matrix, again.known, strict=True):
                rows.matrix[row], rows.known[row] = vector, kind
        return rows

    def summary(self) -> str:
        """Say how many of the words met have vectors."""
        count = self._known.count
        return summary(count("seen"), count("composed"), count("missing"))

    def checksum(self) -> str:
        """Return the fingerprint of the file."""
        return self._fingerprint


def record_of(vectors: TokenVectors | Filled | None) -> VectorsRecord | None:
    """Describe the file that a tagger reads; other networks have taken it into their weights."""
    if not isinstance(vectors, TokenVectors):
        return None
    return VectorsRecord(
        path=str(vectors.file.path.absolute()),
        format="bin" if isinstance(vectors.file, FastTextFile) else "vec",
        width=vectors.file.width,
        fingerprint=vectors.checksum(),
    )


def open_token_vectors(path: str | Path) -> TokenVectors:
    """Open a file of vectors for the words of many texts, by and by.

    Raises:
        VectorsError: the file cannot be read, is none of vectors, or is cut off or damaged.
    """
    path = Path(path)
    return TokenVectors(open_vectors(path).indexed(), fingerprint=fingerprint_of(path))
