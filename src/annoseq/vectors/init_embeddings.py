"""Initialization of embeddings from word vectors, with a cache beside prepared data.

One file, safetensors, whose metadata say in JSON what it was made from. It is used again only for
the same vectors, vocabularies and seed; otherwise it is made anew. Deleting it loses nothing.
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

from annoseq.atomic_io import replacing
from annoseq.errors import OutputError, VectorsError
from annoseq.tokenization.vocabulary import PAD
from annoseq.vectors.lookup import open_vectors
from annoseq.vectors.random_access import explained
from annoseq.vectors.word_vectors import fingerprint, summary, word_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from annoseq.tokenization.seq2seq_tokenizer import Codec
    from annoseq.tokenization.vocabulary import Vocabulary
    from annoseq.vectors.word_vectors import Rows, Vectors


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


CACHE_FILE = "vectors.safetensors"
_FORMAT = 1
_KEY = "annoseq"
_SIDES = ("source", "target")


def filled_matrices(
    codec: Codec, path: str | Path, *, seed: int, cache: Path | None = None
) -> tuple[Filled, Filled]:
    """Return what `fill` makes for the source and the target vocabulary, as wide as the vectors.

    `cache` is a folder (of prepared data) in which `vectors.safetensors` is read and written.

    Raises:
        VectorsError: the file of vectors cannot be read.
    """
    path = Path(path)
    key = {
        "format": _FORMAT,
        "vectors": file_signature(path),
        "vocabularies": codec.signature(),
        "seed": seed,
    }
    stored = None if cache is None else _load(cache / CACHE_FILE, key)
    if stored is not None:
        return stored
    vectors = open_vectors(path)
    source, target = fill_all([codec.source, codec.target], vectors, width=vectors.width, seed=seed)
    if cache is not None:
        _store(cache / CACHE_FILE, key, source, target)
    return source, target


def file_signature(path: Path) -> str:
    """Return a checksum of a file's fingerprint and its time.

    Raises:
        VectorsError: the file cannot be read.
    """
    with explained(path):
        time = path.stat().st_mtime_ns
    return hashlib.sha256(f"{fingerprint(path)} {time}".encode()).hexdigest()


def _load(path: Path, key: dict[str, object]) -> tuple[Filled, Filled] | None:
    """Return what is stored under this key. What cannot be read counts as not there."""
    try:
        with safe_open(str(path), "numpy") as file:
            facts: dict[str, Any] = json.loads((file.metadata() or {})[_KEY])
            if facts["key"] != key:
                return None
            source, target = (
                Filled(
                    file.get_tensor(side),
                    facts[side]["seen"],
                    facts[side]["composed"],
                    tuple(facts[side]["missing"]),
                )
                for side in _SIDES
            )
            return source, target
    except (OSError, SafetensorError, ValueError, KeyError, TypeError):
        return None


def _store(path: Path, key: dict[str, object], source: Filled, target: Filled) -> None:
    facts: dict[str, object] = {"key": key}
    for side, filled in zip(_SIDES, (source, target), strict=True):
        facts[side] = {
            "seen": filled.seen,
            "composed": filled.composed,
            "missing": filled.missing,
        }
    tensors = dict(zip(_SIDES, (source.matrix, target.matrix), strict=True))
    try:
        with replacing(path, overwrite=True) as new:
            _write(tensors, new, json.dumps(facts))
    except OutputError:
        return  # data that may only be read, a full disk: what is lost is time, the next time


def _write(tensors: dict[str, Any], path: Path, facts: str) -> None:
    try:
        save_file(tensors, str(path), {_KEY: facts})
    except SafetensorError as error:  # what a full disk is to safetensors
        raise OSError(str(error)) from error
