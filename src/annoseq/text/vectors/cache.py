"""Filled matrices, kept beside prepared data.

One file, safetensors, whose metadata say in JSON what it was made from. It is used again only for
the same vectors, vocabularies and seed; otherwise it is made anew. Deleting it loses nothing.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from annoseq.errors import OutputError
from annoseq.files import replacing
from annoseq.text.vectors.filling import Filled, fill_all
from annoseq.text.vectors.fingerprint import fingerprint
from annoseq.text.vectors.positioned import explained
from annoseq.text.vectors.reader import open_vectors

if TYPE_CHECKING:
    from annoseq.text.codec import Codec

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
