"""Filled matrices are kept beside prepared data, and used again only where they fit."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors import safe_open

from annoseq.errors import VectorsError
from annoseq.tokenization.dataset import Dataset
from annoseq.vectors.init_embeddings import CACHE_FILE, file_signature, filled_matrices
from tests.vectors.crafted import craft

if TYPE_CHECKING:
    from pathlib import Path

    from annoseq.tokenization.seq2seq_tokenizer import Codec


@pytest.fixture
def codec(dataset: Dataset) -> Codec:
    return dataset.codec


def stamp(folder: Path) -> int:
    """Return a number that changes when the cache is written."""
    return (folder / CACHE_FILE).stat().st_ino


def test_both_sides_are_filled(codec: Codec, vectors: Path) -> None:
    source, target = filled_matrices(codec, vectors, seed=1)
    assert source.matrix.shape == (len(codec.source), 3)
    assert target.matrix.shape == (len(codec.target), 3)
    shared = " of"
    one, other = (
        side.matrix[vocabulary.ids[shared]]
        for side, vocabulary in ((source, codec.source), (target, codec.target))
    )
    assert one.tolist() == other.tolist()
    assert source.composed > 40


def test_the_cache_gives_back_what_was_made(codec: Codec, vectors: Path, tmp_path: Path) -> None:
    made = filled_matrices(codec, vectors, seed=1, cache=tmp_path)
    before = stamp(tmp_path)
    again = filled_matrices(codec, str(vectors), seed=1, cache=tmp_path)
    assert stamp(tmp_path) == before
    for one, other in zip(made, again, strict=True):
        np.testing.assert_array_equal(one.matrix, other.matrix)
        assert (one.seen, one.composed, one.missing) == (other.seen, other.composed, other.missing)


def test_the_cache_is_not_read_from_the_vectors(
    codec: Codec, text_vectors: Path, tmp_path: Path
) -> None:
    filled_matrices(codec, text_vectors, seed=1, cache=tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("annoseq.vectors.init_embeddings.open_vectors", None)
        source, _ = filled_matrices(codec, text_vectors, seed=1, cache=tmp_path)
    assert len(source.missing) > 40


@pytest.mark.parametrize("change", ["vectors", "time", "seed", "vocabulary"])
def test_what_was_made_from_something_else_is_made_anew(
    change: str, codec: Codec, vectors: Path, tmp_path: Path
) -> None:
    old, _ = filled_matrices(codec, vectors, seed=1, cache=tmp_path)
    before = stamp(tmp_path)
    seed = 1
    if change == "vectors":
        facts = vectors.stat()
        content = bytearray(vectors.read_bytes())
        content[130] ^= 1
        vectors.write_bytes(content)
        os.utime(vectors, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    elif change == "time":
        os.utime(vectors, ns=(5, 5))
    elif change == "seed":
        seed = 2
    else:
        from annoseq.data.pairs import Pair, Pairs

        rows = [Pair("of of", "of {{X}}of{{/X}}", row) for row in range(1, 9)]
        codec = Dataset.from_pairs(Pairs(rows, name="other")).codec
    new, _ = filled_matrices(codec, vectors, seed=seed, cache=tmp_path)
    assert stamp(tmp_path) != before
    if change in {"seed", "vocabulary"}:
        assert new.matrix.shape != old.matrix.shape or (new.matrix != old.matrix).any()


@pytest.mark.parametrize("content", [b"", b"rubbish", bytes(100)])
def test_a_damaged_cache_is_made_anew(
    content: bytes, codec: Codec, vectors: Path, tmp_path: Path
) -> None:
    made, _ = filled_matrices(codec, vectors, seed=1, cache=tmp_path)
    (tmp_path / CACHE_FILE).write_bytes(content)
    again, _ = filled_matrices(codec, vectors, seed=1, cache=tmp_path)
    np.testing.assert_array_equal(made.matrix, again.matrix)
    assert (tmp_path / CACHE_FILE).stat().st_size > 1_000


def test_a_cache_without_our_metadata_is_made_anew(
    codec: Codec, vectors: Path, tmp_path: Path
) -> None:
    from safetensors.numpy import save_file

    for metadata in ({}, {"annoseq": "[]"}, {"annoseq": "{"}):
        save_file({"source": np.zeros(1)}, tmp_path / CACHE_FILE, metadata)
        source, _ = filled_matrices(codec, vectors, seed=1, cache=tmp_path)
        assert len(source.matrix) == len(codec.source)


def test_prepared_data_stay_as_they_are(dataset: Dataset, vectors: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    dataset.save(folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    filled_matrices(dataset.codec, vectors, seed=1, cache=folder)
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert after.keys() - before.keys() == {CACHE_FILE}
    assert {name: after[name] for name in before} == before
    assert Dataset.load(folder).codec.signature() == dataset.codec.signature()


def test_the_file_says_what_it_was_made_from(codec: Codec, vectors: Path, tmp_path: Path) -> None:
    filled_matrices(codec, vectors, seed=7, cache=tmp_path)
    with safe_open(str(tmp_path / CACHE_FILE), "numpy") as file:
        facts = json.loads(file.metadata()["annoseq"])
    assert facts["key"]["seed"] == 7
    assert facts["key"]["vectors"] == file_signature(vectors)
    assert facts["key"]["vocabularies"] == codec.signature()


def test_a_folder_that_cannot_be_written_does_no_harm(
    codec: Codec, vectors: Path, tmp_path: Path
) -> None:
    source, _ = filled_matrices(codec, vectors, seed=1, cache=tmp_path / "nowhere")
    assert len(source.matrix) == len(codec.source)
    assert not (tmp_path / "nowhere").exists()


def test_a_full_disk_does_no_harm(codec: Codec, vectors: Path, tmp_path: Path) -> None:
    from tests.limits import largest_file

    with largest_file(100):
        source, _ = filled_matrices(codec, vectors, seed=1, cache=tmp_path)
    assert len(source.matrix) == len(codec.source)
    assert [path.name for path in tmp_path.iterdir()] == [vectors.name]


def test_missing_vectors_are_an_error_even_with_a_cache(
    codec: Codec, vectors: Path, tmp_path: Path
) -> None:
    filled_matrices(codec, vectors, seed=1, cache=tmp_path)
    vectors.unlink()
    with pytest.raises(VectorsError, match="there is no such file"):
        filled_matrices(codec, vectors, seed=1, cache=tmp_path)


def test_the_signature_sees_every_part_of_a_small_file(tmp_path: Path) -> None:
    path = tmp_path / "v.bin"
    content = craft(["Ames"], buckets=2, width=1)
    found = set()
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        os.utime(path, ns=(1, 1))
        found.add(file_signature(path))
    assert len(found) == len(content)
