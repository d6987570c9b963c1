"""Word-vector lookup for tokens, and the record of the vectors file in a model folder.

The file itself stays where it is: it may have 7 GB, and where it was trained on the texts it lists
their words.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from annoseq.errors import VectorsError
from annoseq.vectors.fasttext_bin import FastTextFile
from annoseq.vectors.fasttext_header import MAGIC, not_fasttext, quantised
from annoseq.vectors.random_access import PositionedFile
from annoseq.vectors.vec_text import GZIP_MAGIC, VecFile, unpacked
from annoseq.vectors.word_vectors import fingerprint as fingerprint_of
from annoseq.vectors.word_vectors import summary, word_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from annoseq.vectors.init_embeddings import Filled
    from annoseq.vectors.word_vectors import Known, Rows, Vectors


_ZIP_MAGIC = b"PK\x03\x04"
_BEGINNING = 64


def open_vectors(path: str | Path) -> Vectors:
    """Open fastText's `.bin`, `.vec` or `.vec.gz`; no rows are read yet.

    The first bytes decide which of them it is, and a name that says otherwise is an error.

    Raises:
        VectorsError: the file cannot be read, is none of these, or is cut off in its header.
    """
    path = Path(path)
    with PositionedFile(path) as file:
        beginning = file.read_some(0, _BEGINNING)
    suffix = path.suffix.lower()
    if beginning.startswith(_ZIP_MAGIC):
        raise VectorsError(f"{path}: this is a zip archive. Unpack it, and give the file in it.")
    if beginning.startswith(GZIP_MAGIC):
        _refuse_packed_binary(path)
        return VecFile.open(path)
    if suffix == ".ftz":
        raise quantised(path)
    if beginning.startswith(MAGIC):
        if suffix == ".vec":
            raise VectorsError(
                f"{path}: this is a .bin of fastText, where the name promises text. "
                "Name it .bin, or use the .vec file."
            )
        return FastTextFile.open(path)
    if suffix == ".bin":
        raise not_fasttext(path, beginning)
    return VecFile.open(path)


def _refuse_packed_binary(path: Path) -> None:
    with unpacked(path) as stream:
        beginning = stream.read(len(MAGIC))
    if beginning == MAGIC:
        raise VectorsError(
            f"{path}: this is a compressed .bin of fastText, whose rows cannot be read at their "
            "places. Unpack it with gunzip, and give the .bin."
        )


class VectorsRecord(BaseModel):
    """Which file it was in training, and where."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    format: Literal["bin", "vec"]
    width: int
    fingerprint: str

    @property
    def name(self) -> str:
        """The name of the file."""
        return Path(self.path).name

    def open(self, given: str | Path | None, *, model: Path) -> TokenVectors:
        """Open the file at the path `given`, or else where it was in training.

        Raises:
            VectorsError: it cannot be read there, or is another file than that of training.
        """
        # Most models have no file, and need not wait for what reads one.
        from annoseq.vectors.word_vectors import fingerprint

        path = Path(self.path if given is None else given)
        try:
            is_same = fingerprint(path) == self.fingerprint
        except VectorsError as error:
            if given is not None:
                raise
            raise VectorsError(
                f"{model}: its word vectors, {self.name}, cannot be read at {path}, where they "
                "were in training. Name the file with --vectors."
            ) from error
        if not is_same:
            raise VectorsError(
                f"{path}: these are not the word vectors that {model} was trained with, "
                f"{self.name} of {self.width} values. Name that file with --vectors."
            )
        return open_token_vectors(path)


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
