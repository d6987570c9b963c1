"""Initialization of embeddings from word vectors, with a cache beside prepared data.

The cache is one safetensors file whose metadata hold, as JSON, a key of what it was made from. It
is used only for the same vectors, vocabularies and seed, and rewritten otherwise. It can be deleted
at any time.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from annoseq.atomic_io import atomic_file
from annoseq.errors import OutputError, VectorsError, count_noun
from annoseq.tokenization.vocabulary import PAD
from annoseq.vectors.fasttext_rows import explain_read_errors
from annoseq.vectors.lookup import fingerprint_vectors, open_vectors
from annoseq.vectors.static_embeddings import find_embedding_files
from annoseq.vectors.word_vectors import coverage_summary, lookup_word

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqTokenizer
    from annoseq.tokenization.vocabulary import Vocabulary
    from annoseq.vectors.word_vectors import VectorLookup, WordVectors


@dataclass(frozen=True)
class InitialEmbeddings:
    """Initial embeddings of a vocabulary, (V, width), in the order of its ids.

    `seen` and `composed` count the tokens with a vector of that origin; `missing` are the other
    tokens that are words. Tags, white space and special symbols are in none of the three.
    """

    matrix: NDArray[np.float32]
    seen: int
    composed: int
    missing: tuple[str, ...]

    def checksum(self) -> str:
        """Return a checksum of the matrix."""
        return hashlib.sha256(self.matrix.tobytes()).hexdigest()

    def summary(self) -> str:
        """Return a sentence with the number of words that have vectors."""
        return coverage_summary(self.seen, self.composed, len(self.missing))


def init_embeddings(
    vocabulary: Vocabulary, vectors: WordVectors, *, width: int, seed: int
) -> InitialEmbeddings:
    """Look up the vector of every token of a vocabulary.

    The row of padding is zero. A token without a vector gets a random one, drawn from a normal
    distribution with the standard deviation, column by column, of the vectors in the file.

    Raises:
        VectorsError: the file's vectors are not `width` wide, or it is cut off or damaged.
    """
    return init_embeddings_of([vocabulary], vectors, width=width, seed=seed)[0]


def init_embeddings_of(
    vocabularies: Sequence[Vocabulary], vectors: WordVectors, *, width: int, seed: int
) -> list[InitialEmbeddings]:
    """Initialize the embeddings of several vocabularies in one pass over the file.

    Raises:
        VectorsError: the file's vectors are not `width` wide, or it is cut off or damaged.
    """
    if width != vectors.width:
        raise VectorsError(
            f"{vectors.path}: its vectors have {count_noun(vectors.width, 'value')}, where the "
            f"embeddings have {width}. Make the embeddings {vectors.width} wide, or use other "
            "vectors."
        )
    token_words = [
        [lookup_word(token) for token in vocabulary.tokens] for vocabulary in vocabularies
    ]
    word_rows: dict[str, int] = {}
    for word in (word for words in token_words for word in words if word is not None):
        word_rows.setdefault(word, len(word_rows))
    lookup = vectors.look_up(list(word_rows))
    return [
        _init_matrix(
            vocabulary.tokens, words, word_rows, lookup, np.random.default_rng([seed, side])
        )
        for side, (vocabulary, words) in enumerate(zip(vocabularies, token_words, strict=True))
    ]


def _init_matrix(
    tokens: Sequence[str],
    words: Sequence[str | None],
    word_rows: dict[str, int],
    lookup: VectorLookup,
    generator: np.random.Generator,
) -> InitialEmbeddings:
    rows = np.array([-1 if word is None else word_rows[word] for word in words])
    origins = ["none" if row < 0 else lookup.origins[row] for row in rows.tolist()]
    has_vector = np.array([origin in {"seen", "composed"} for origin in origins])
    known = lookup.matrix[rows[has_vector]]
    width = lookup.matrix.shape[1]
    # Fewer than two vectors have no spread; the usual spread of embeddings replaces it.
    spread = known.std(axis=0) if len(known) > 1 else np.full(width, width**-0.5)
    matrix = np.empty((len(tokens), width), np.float32)
    matrix[has_vector] = known
    matrix[~has_vector] = generator.standard_normal((int((~has_vector).sum()), width)) * spread
    matrix[PAD] = 0
    return InitialEmbeddings(
        matrix,
        origins.count("seen"),
        origins.count("composed"),
        tuple(token for token, origin in zip(tokens, origins, strict=True) if origin == "missing"),
    )


CACHE_FILE = "vectors.safetensors"
_FORMAT = 1
_METADATA_KEY = "annoseq"
_SIDES = ("source", "target")


def init_source_and_target(
    tokenizer: Seq2SeqTokenizer, path: str | Path, *, seed: int, cache: Path | None = None
) -> tuple[InitialEmbeddings, InitialEmbeddings]:
    """Return the initial embeddings of the source and target vocabulary, as wide as the vectors.

    `cache` is a folder (of prepared data) in which `vectors.safetensors` is read and written.

    Raises:
        VectorsError: the file of vectors cannot be read.
    """
    path = Path(path)
    key = {
        "format": _FORMAT,
        "vectors": vectors_file_signature(path),
        "vocabularies": tokenizer.signature(),
        "seed": seed,
    }
    cached = None if cache is None else _read_cache(cache / CACHE_FILE, key)
    if cached is not None:
        return cached
    vectors = open_vectors(path)
    vocabularies = [tokenizer.source, tokenizer.target]
    source, target = init_embeddings_of(vocabularies, vectors, width=vectors.width, seed=seed)
    if cache is not None:
        _write_cache(cache / CACHE_FILE, key, source, target)
    return source, target


def vectors_file_signature(path: Path) -> str:
    """Return a checksum of the fingerprint and the modification times of `--vectors`.

    Raises:
        VectorsError: the file cannot be read.
    """
    with explain_read_errors(path):
        files = find_embedding_files(path) if path.is_dir() else (path,)
        modified = " ".join(str(file.stat().st_mtime_ns) for file in files)
    return hashlib.sha256(f"{fingerprint_vectors(path)} {modified}".encode()).hexdigest()


def _read_cache(
    path: Path, key: dict[str, object]
) -> tuple[InitialEmbeddings, InitialEmbeddings] | None:
    """Return what is cached under this key, or None; an unreadable cache counts as none."""
    try:
        with safe_open(str(path), "numpy") as file:
            metadata: dict[str, Any] = json.loads((file.metadata() or {})[_METADATA_KEY])
            if metadata["key"] != key:
                return None
            source, target = (
                InitialEmbeddings(
                    file.get_tensor(side),
                    metadata[side]["seen"],
                    metadata[side]["composed"],
                    tuple(metadata[side]["missing"]),
                )
                for side in _SIDES
            )
            return source, target
    except (OSError, SafetensorError, ValueError, KeyError, TypeError):
        return None


def _write_cache(
    path: Path, key: dict[str, object], source: InitialEmbeddings, target: InitialEmbeddings
) -> None:
    metadata: dict[str, object] = {"key": key}
    for side, embeddings in zip(_SIDES, (source, target), strict=True):
        metadata[side] = {
            "seen": embeddings.seen,
            "composed": embeddings.composed,
            "missing": embeddings.missing,
        }
    tensors = dict(zip(_SIDES, (source.matrix, target.matrix), strict=True))
    try:
        with atomic_file(path, overwrite=True) as temporary:
            _save_tensors(tensors, temporary, json.dumps(metadata))
    except OutputError:
        return  # read-only data or a full disk only cost time in the next run


def _save_tensors(tensors: dict[str, Any], path: Path, metadata: str) -> None:
    try:
        save_file(tensors, str(path), {_METADATA_KEY: metadata})
    except SafetensorError as error:  # raised for a full disk
        raise OSError(str(error)) from error
