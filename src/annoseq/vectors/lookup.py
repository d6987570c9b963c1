"""Word-vector lookup for tokens, and the record of the vector file in a model folder.

The vector file itself is not copied into the folder: it may have 7 GB, and it lists the words of
the texts that it was trained on.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from annoseq.errors import VectorsError, count_noun
from annoseq.vectors.fasttext_bin import FastTextFile
from annoseq.vectors.fasttext_rows import (
    MAGIC,
    RandomAccessFile,
    file_fingerprint,
    not_fasttext_error,
    quantized_error,
)
from annoseq.vectors.static_embeddings import StaticEmbeddings, find_embedding_files
from annoseq.vectors.vec_text import GZIP_MAGIC, VecFile, open_decompressed
from annoseq.vectors.word_vectors import coverage_summary, lookup_word

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from annoseq.vectors.word_vectors import VectorLookup, VectorOrigin, WordVectors


VectorFormat = Literal["bin", "vec", "static"]
"""fastText's binary format, its text format, or a folder of embeddings of sub-words."""
_FORMATS: dict[type, VectorFormat] = {
    FastTextFile: "bin",
    VecFile: "vec",
    StaticEmbeddings: "static",
}
_ZIP_MAGIC = b"PK\x03\x04"
_MAGIC_SIZE = 64


def open_vectors(path: str | Path) -> WordVectors:
    """Open fastText's `.bin`, `.vec` or `.vec.gz`, or a folder of static embeddings.

    No rows are read yet. The first bytes of a file decide its format; a suffix that contradicts
    them is an error.

    Raises:
        VectorsError: the file cannot be read, has another format, or is cut off in its header.
    """
    path = Path(path)
    if path.is_dir():
        return StaticEmbeddings.open(path)
    with RandomAccessFile(path) as file:
        first_bytes = file.read_up_to(0, _MAGIC_SIZE)
    suffix = path.suffix.lower()
    if first_bytes.startswith(_ZIP_MAGIC):
        raise VectorsError(f"{path}: this is a zip archive. Unpack it, and give the file in it.")
    if first_bytes.startswith(GZIP_MAGIC):
        _refuse_compressed_binary(path)
        return VecFile.open(path)
    if suffix == ".ftz":
        raise quantized_error(path)
    if first_bytes.startswith(MAGIC):
        if suffix == ".vec":
            raise VectorsError(
                f"{path}: this is a .bin of fastText, where the name promises text. "
                "Name it .bin, or use the .vec file."
            )
        return FastTextFile.open(path)
    if suffix == ".bin":
        raise not_fasttext_error(path, first_bytes)
    return VecFile.open(path)


def _refuse_compressed_binary(path: Path) -> None:
    with open_decompressed(path) as stream:
        first_bytes = stream.read(len(MAGIC))
    if first_bytes == MAGIC:
        raise VectorsError(
            f"{path}: this is a compressed .bin of fastText, whose rows cannot be read at their "
            "places. Unpack it with gunzip, and give the .bin."
        )


def open_token_vectors(path: str | Path) -> TokenVectors:
    """Open a vector file with a word index, to look up the tokens of many texts.

    Raises:
        VectorsError: the file cannot be read, has another format, or is cut off or damaged.
    """
    path = Path(path)
    return TokenVectors(open_vectors(path).indexed(), fingerprint=fingerprint_vectors(path))


def fingerprint_vectors(path: Path) -> str:
    """Return a checksum of samples of a file of word vectors, or of a folder of static embeddings.

    Raises:
        VectorsError: it cannot be read.
    """
    if not path.is_dir():
        return file_fingerprint(path)
    prints = map(file_fingerprint, find_embedding_files(path))
    return hashlib.sha256(" ".join(prints).encode()).hexdigest()


_MIN_NORM = 1e-12
_NO_WORD = 0


class TokenVectors:
    """Unit-length vectors of the tokens added so far, by token id, from a vector file.

    A word is looked up as it is written and, if neither it nor its subwords have a vector, in
    lower case. Vectors are normalized because composed ones are shorter the more their n-grams
    disagree, which says nothing about the word.
    """

    def __init__(self, file: WordVectors, *, fingerprint: str) -> None:
        self.file = file
        self._fingerprint = fingerprint
        self.clear()

    def __len__(self) -> int:
        return len(self._token_rows)

    @property
    def columns(self) -> int:
        """Number of columns of the matrix that `take` returns: the width of the vectors + 1."""
        return self.file.width + 1

    def empty_copy(self) -> TokenVectors:
        """Return the same file without any tokens."""
        return TokenVectors(self.file, fingerprint=self._fingerprint)

    def clear(self) -> None:
        """Remove all tokens."""
        self._token_rows: list[int] = []
        self._word_rows: dict[str, int] = {}
        self._origins: list[VectorOrigin] = []
        self._matrix = np.zeros((1, self.columns), np.float32)
        self._matrix[_NO_WORD, -1] = 1

    def add_tokens(self, tokens: Iterable[str]) -> None:
        """Give the next ids to tokens, and read the vectors of new words.

        Raises:
            VectorsError: the file is cut off or damaged.
        """
        words = [lookup_word(token) for token in tokens]
        new_words = dict.fromkeys(
            word for word in words if word is not None and word not in self._word_rows
        )
        if new_words:
            self._read(list(new_words))
        self._token_rows += [_NO_WORD if word is None else self._word_rows[word] for word in words]

    def take(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """Return the vectors (W, V + 1) of tokens; the last column is 1 for a missing vector."""
        vectors: NDArray[np.float32] = self._matrix[[self._token_rows[id_] for id_ in ids]]
        return vectors

    def _read(self, words: Sequence[str]) -> None:
        matrix, origins = self._look_up(words)
        rows = np.zeros((len(words), self.columns), np.float32)
        norms = np.linalg.norm(matrix, axis=1, keepdims=True)
        rows[:, :-1] = matrix / norms.clip(min=_MIN_NORM)
        rows[:, -1] = [origin == "missing" for origin in origins]
        self._word_rows |= {word: row for row, word in enumerate(words, start=len(self._matrix))}
        self._origins += origins
        self._matrix = np.concatenate([self._matrix, rows])

    def _look_up(self, words: Sequence[str]) -> VectorLookup:
        lookup = self.file.look_up(words)
        lowered = {
            row: word.lower()
            for row, (word, origin) in enumerate(zip(words, lookup.origins, strict=True))
            if origin == "missing" and word != word.lower()
        }
        if lowered:
            retry = self.file.look_up(list(lowered.values()))
            for row, vector, origin in zip(lowered, retry.matrix, retry.origins, strict=True):
                lookup.matrix[row], lookup.origins[row] = vector, origin
        return lookup

    def summary(self) -> str:
        """Return a sentence with the number of words that have vectors."""
        count = self._origins.count
        return coverage_summary(count("seen"), count("composed"), count("missing"))

    def checksum(self) -> str:
        """Return the fingerprint of the file."""
        return self._fingerprint

    def record(self) -> VectorsRecord:
        """Return the record of the file for a model folder."""
        return VectorsRecord(
            path=str(self.file.path.absolute()),
            format=_FORMATS[type(self.file)],
            width=self.file.width,
            fingerprint=self._fingerprint,
        )


class VectorsRecord(BaseModel):
    """Path, format, width and fingerprint of the vector file that a tagger was trained with."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    format: VectorFormat
    width: int
    fingerprint: str

    @property
    def name(self) -> str:
        """File name."""
        return Path(self.path).name

    def open(self, given: str | Path | None, *, model: Path) -> TokenVectors:
        """Open the file at the path `given`, or else at its path during training.

        Raises:
            VectorsError: it cannot be read there, or is not the file of training.
        """
        path = Path(self.path if given is None else given)
        try:
            is_same = fingerprint_vectors(path) == self.fingerprint
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
                f"{self.name} of {count_noun(self.width, 'value')}. Name that file with --vectors."
            )
        return open_token_vectors(path)
