"""Static embeddings of sub-words: of a pre-trained encoder, Model2Vec or Sentence Transformers.

The vector of a word is the weighted mean of those of its sub-words, so that every word has one. Of
a pre-trained encoder the word embeddings are read, the input of its first layer; their mean is
subtracted, which has most of their length and says nothing about a word (Mu and Viswanath 2018,
"All-but-the-Top", arXiv:1702.01417). Model2Vec distils static embeddings from encoders (Tulkens and
van Dongen 2024, https://github.com/MinishLab/model2vec).

FOLDER/, or FOLDER/0_StaticEmbedding/
├── model.safetensors    the matrix (R, width); Model2Vec's may have `weights` (S,) and `mapping`
│                        (S,) of sub-words to rows, too
└── tokenizer.json       tokenizer of S sub-words
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from annoseq.errors import VectorsError, count_noun
from annoseq.tokenization.encoder_tokenizer import EncoderTokenizer
from annoseq.vectors.fasttext_rows import MAX_WIDTH, damaged_error, explain_read_errors
from annoseq.vectors.word_vectors import MAX_ABS_VALUE, VectorLookup, VectorOrigin

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_WEIGHTS, _TOKENIZER, _SUBFOLDER = "model.safetensors", "tokenizer.json", "0_StaticEmbedding"
_STATIC = ("embeddings", "embedding.weight")
"""Names of the matrix of Model2Vec and of Sentence Transformers."""
_ENCODER = ("word_embeddings.weight", "tok_embeddings.weight")
"""Last parts of the name of an encoder's word embeddings: BERT and its kin, ModernBERT."""

_CHUNK = 10_000
"""Words that are looked up at the same time, some 100 MB at a width of 1,024."""


class EmbeddingFiles(NamedTuple):
    """Paths of the vectors and of the tokenizer."""

    weights: Path
    tokenizer: Path


class _SubwordVectors(NamedTuple):
    """Vectors (R, width), and of each of S sub-words its row (S,) and its weight (S,)."""

    matrix: NDArray[Any]
    rows: NDArray[np.int64]
    weights: NDArray[np.float32]


@dataclass(frozen=True)
class StaticEmbeddings:
    """Static embeddings of the sub-words of a folder.

    A word that is one sub-word is "seen", one of several is "composed"; unknown sub-words count for
    nothing, and a word without any other is "missing".
    """

    path: Path
    files: EmbeddingFiles
    width: int
    _tokenizer: EncoderTokenizer = field(repr=False, compare=False)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Read the tokenizer, and the sizes of the vectors.

        Raises:
            VectorsError: a file is missing, cannot be read, or holds something else.
        """
        files = find_embedding_files(path)
        with explain_read_errors(files.tokenizer):
            content = files.tokenizer.read_bytes()
        try:
            tokenizer = EncoderTokenizer(content.decode())
        except ValueError as error:
            raise damaged_error(files.tokenizer, "it holds no tokenizer") from error
        with _opened(files.weights) as file:
            shape = file.get_slice(_matrix_name(file, files.weights)).get_shape()
        if len(shape) != 2 or not 0 < shape[1] <= MAX_WIDTH:
            raise damaged_error(files.weights, f"its matrix has the shape {shape}")
        return cls(path, files, shape[1], tokenizer)

    def look_up(self, words: Sequence[str]) -> VectorLookup:
        """Look words up, case-sensitively if the tokenizer is.

        Raises:
            VectorsError: the file is damaged.
        """
        matrix = np.zeros((len(words), self.width), np.float32)
        origins: list[VectorOrigin] = []
        for start in range(0, len(words), _CHUNK):
            subwords = self._split(words[start : start + _CHUNK])
            matrix[start : start + _CHUNK] = self._means(subwords)
            origins += map(_origin, subwords)
        if not (np.abs(matrix) <= MAX_ABS_VALUE).all():  # False for NaN
            raise damaged_error(self.files.weights, f"no number or one above {MAX_ABS_VALUE:.0e}")
        return VectorLookup(matrix, origins)

    def indexed(self) -> Self:
        """Return the same vectors: words are found by their sub-words, without an index."""
        return self

    def first_words(self, limit: int) -> list[str]:
        """Return the first sub-words that are words by themselves, without their markers."""
        words = filter(str.isalpha, self._tokenizer.decoded_vocabulary())
        candidates = list(dict.fromkeys(words))[: 2 * limit]
        origins = map(_origin, self._split(candidates))
        pairs = zip(candidates, origins, strict=True)
        return [word for word, origin in pairs if origin == "seen"][:limit]

    def _split(self, words: Sequence[str]) -> list[list[int]]:
        """Return the sub-words of each word; unknown ones are -1."""
        # Byte-level BPE and SentencePiece know words by the space before them.
        texts = [" " + word.encode("utf-8", "replace").decode() for word in words]
        unknown = self._tokenizer.unknown_id
        return [
            [-1 if id_ == unknown else id_ for id_ in ids] for ids in self._tokenizer.split(texts)
        ]

    def _means(self, subwords: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Return the mean vectors (W, width) of the known sub-words, 0 where there are none."""
        matrix, rows, weights = self._subwords
        ids = np.array([*chain.from_iterable(subwords)], np.int64)
        words = np.repeat(np.arange(len(subwords)), [len(word) for word in subwords])[ids >= 0]
        ids = ids[ids >= 0]
        means = np.zeros((len(subwords), self.width), np.float32)
        if len(ids):
            found, starts, counts = np.unique(words, return_index=True, return_counts=True)
            vectors = matrix[rows[ids]].astype(np.float32) * weights[ids, None]
            means[found] = np.add.reduceat(vectors, starts) / counts[:, None]
        return means

    @cached_property
    def _subwords(self) -> _SubwordVectors:
        """Vectors of all sub-words, which are read when the first word is looked up."""
        path = self.files.weights
        size = self._tokenizer.size
        with _opened(path) as file:
            names = set(file.keys())
            name = _matrix_name(file, path)
            matrix = file.get_tensor(name)
            rows = file.get_tensor("mapping") if "mapping" in names else np.arange(len(matrix))
            weights = file.get_tensor("weights") if "weights" in names else np.ones(len(rows))
        known = min(len(rows), len(weights))
        if known < size or not 0 <= rows.min() <= rows.max() < len(matrix):
            raise VectorsError(
                f"{path}: found vectors of {count_noun(known, 'sub-word')}, {len(matrix):,} in "
                f"all, where the tokenizer beside it has {size:,}. Give a folder whose files "
                "belong together."
            )
        if name not in _STATIC:
            matrix = matrix - matrix.mean(0, dtype=np.float64).astype(matrix.dtype)
        return _SubwordVectors(matrix, rows.astype(np.int64), weights.astype(np.float32))


def _origin(subwords: Sequence[int]) -> VectorOrigin:
    if all(id_ < 0 for id_ in subwords):
        return "missing"
    return "seen" if len(subwords) == 1 else "composed"


def find_embedding_files(folder: Path) -> EmbeddingFiles:
    """Return the files of static embeddings in a folder.

    Raises:
        VectorsError: one is missing.
    """
    for place in (folder, folder / _SUBFOLDER):
        files = EmbeddingFiles(place / _WEIGHTS, place / _TOKENIZER)
        if files.weights.is_file() and files.tokenizer.is_file():
            return files
    raise VectorsError(
        f"{folder}: this is a folder without {_WEIGHTS} and {_TOKENIZER}, as pre-trained "
        "encoders and static embeddings have them. Give such a folder, or the file of word vectors "
        "(.bin, .vec, .vec.gz) in it."
    )


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    from safetensors import SafetensorError, safe_open  # not imported for models without vectors

    with explain_read_errors(path):
        try:
            with safe_open(path, "numpy") as file:
                yield file
        except (SafetensorError, TypeError) as error:  # TypeError: bfloat16, which numpy lacks
            raise damaged_error(path, "it is cut off, or has numbers of an unknown kind") from error


def _matrix_name(file: Any, path: Path) -> str:
    """Return the name of the matrix of vectors.

    Raises:
        VectorsError: the file holds something else.
    """
    names = sorted(file.keys())
    found = [name for name in names if name in _STATIC or name.endswith(_ENCODER)]
    if found:
        return str(found[0])
    raise VectorsError(
        f"{path}: found {count_noun(len(names), 'tensor')}, but none of static embeddings "
        f"({', '.join(_STATIC)}) or of an encoder's word embeddings ({', '.join(_ENCODER)}). Give "
        "another folder; Model2Vec makes static embeddings of any encoder."
    )
