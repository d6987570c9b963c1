"""Vectors of tokens, and the record of the vector file in a model folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from annoseq.errors import VectorsError
from annoseq.tokenization.hash_features import FeatureHasher
from annoseq.vectors.fasttext_bin import FastTextFile
from annoseq.vectors.fasttext_rows import file_fingerprint
from annoseq.vectors.lookup import VectorsRecord, open_token_vectors
from annoseq.vectors.vec_text import VecFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from annoseq.vectors.lookup import TokenVectors
    from annoseq.vectors.word_vectors import VectorLookup


@pytest.fixture
def compass(tmp_path: Path) -> Path:
    """Return vectors as text, of which one is zero."""
    path = tmp_path / "compass.vec"
    path.write_text("4 2\nNorth 0 3\neast 0.5 0\nnorth 0 -1\nnowhere 0 0\n")
    return path


def taken(vectors: TokenVectors, *tokens: str) -> list[list[float]]:
    first = len(vectors)
    vectors.add_tokens(tokens)
    return vectors.take(range(first, len(vectors))).tolist()  # type: ignore[no-any-return]


def test_a_word_of_a_text_file_is_itself_or_else_in_lower_case(compass: Path) -> None:
    vectors = open_token_vectors(compass)
    assert taken(vectors, " North", "North", " north") == [[0, 1, 0], [0, 1, 0], [0, -1, 0]]
    assert taken(vectors, "East", " EAST", "NORTH") == [[1, 0, 0], [1, 0, 0], [0, -1, 0]]
    assert vectors.summary() == ("5 words with a vector, 0 composed of subwords, 0 without")


def test_missing_vectors_are_marked(compass: Path) -> None:
    vectors = open_token_vectors(compass)
    none = [0, 0, 1]
    assert taken(vectors, "west", " ", "\n", "\x1f", "<pad>", "\ud800") == [none] * 6
    assert taken(vectors, "nowhere") == [[0, 0, 0]]
    assert vectors.summary().endswith(", 2 without")


def test_words_of_a_bin_are_composed_in_the_case_that_they_have(vectors: Path) -> None:
    found = open_token_vectors(vectors)
    words = ["Ames", "AMES", "ames", "x"]
    expected = found.file.look_up(words)
    assert expected.origins == ["seen", "composed", "composed", "composed"]
    unit = expected.matrix / np.linalg.norm(expected.matrix, axis=1, keepdims=True)
    rows = np.array(taken(found, *(f" {word}" for word in words)))
    np.testing.assert_allclose(rows[:, :-1], unit, rtol=1e-5)
    assert rows[:, -1].tolist() == [0, 0, 0, 0]
    assert len({tuple(row) for row in rows[:3].tolist()}) == 3


@pytest.mark.parametrize("kind", [FastTextFile, VecFile])
def test_each_word_is_read_once(
    kind: type[FastTextFile | VecFile],
    vectors: Path,
    compass: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    read = kind.look_up

    def look_up(self: FastTextFile | VecFile, words: Sequence[str]) -> VectorLookup:
        asked.extend(words)
        return read(self, words)  # type: ignore[arg-type]

    monkeypatch.setattr(kind, "look_up", look_up)
    found = open_token_vectors(vectors if kind is FastTextFile else compass)
    words = FeatureHasher(buckets=1024, vectors=found)
    numbers = words.token_ids([" of", "of", "north", " of"])
    assert asked == []
    first = words.bags(numbers).vectors
    words.token_ids(["north"], {0: ("list names",)})
    assert first is not None
    assert words.bags([2, 0]).vectors.tolist() == first[[2, 0]].tolist()  # type: ignore[union-attr]
    assert asked == ["of", "north"]
    assert words.bags([]).vectors.shape == (0, found.columns)  # type: ignore[union-attr]


def test_cleared_words_are_read_again(compass: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("annoseq.tokenization.hash_features._MAX_TOKENS", 1)
    words = FeatureHasher(buckets=1024, vectors=open_token_vectors(compass))
    words.bags(words.token_ids(["north", "east"]))
    words.clear_if_large()
    assert words.vectors is not None
    assert len(words.vectors) == 0
    found = words.bags(words.token_ids(["east"])).vectors
    assert found is not None
    assert found.tolist() == [[1, 0, 0]]


def test_an_empty_copy_has_no_tokens(compass: Path) -> None:
    vectors = open_token_vectors(compass)
    vectors.add_tokens(["north"])
    fresh = vectors.empty_copy()
    assert (len(vectors), len(fresh)) == (1, 0)
    assert fresh.checksum() == vectors.checksum()
    assert taken(fresh, "east") == [[1, 0, 0]]


MODEL = Path("model")


@pytest.fixture
def record(vectors: Path) -> VectorsRecord:
    return open_token_vectors(vectors).record()


def fault(record: VectorsRecord, given: Path | None = None) -> str:
    with pytest.raises(VectorsError) as caught:
        record.open(given, model=MODEL)
    return str(caught.value)


def test_a_record_describes_the_file(
    record: VectorsRecord, vectors: Path, text_vectors: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (record.name, record.format, record.width) == ("v.bin", "bin", 3)
    assert record.fingerprint == file_fingerprint(vectors)
    monkeypatch.chdir(text_vectors.parent)
    other = open_token_vectors("v.vec").record()
    assert (other.format, other.path) == ("vec", str(text_vectors))
    assert VectorsRecord.model_validate_json(record.model_dump_json()) == record


def test_the_file_is_opened_where_it_was_or_where_it_is_said_to_be(
    record: VectorsRecord, vectors: Path, tmp_path: Path
) -> None:
    assert record.open(None, model=MODEL).file.path == vectors
    elsewhere = tmp_path / "elsewhere.bin"
    vectors.rename(elsewhere)
    os.utime(elsewhere, ns=(5, 5))  # as copying may do
    assert fault(record) == (
        f"model: its word vectors, v.bin, cannot be read at {vectors}, where they were in "
        "training. Name the file with --vectors."
    )
    moved = record.open(elsewhere, model=MODEL)
    assert moved.record() == record.model_copy(update={"path": str(elsewhere)})
    assert record.open(str(elsewhere), model=MODEL).checksum() == record.fingerprint


def test_another_file_is_refused(record: VectorsRecord, vectors: Path, text_vectors: Path) -> None:
    message = (
        "{}: these are not the word vectors that model was trained with, v.bin of 3 values. "
        "Name that file with --vectors."
    )
    assert fault(record, text_vectors) == message.format(text_vectors)
    content = bytearray(vectors.read_bytes())
    content[130] ^= 1
    vectors.write_bytes(content)
    assert fault(record) == message.format(vectors)


def test_a_path_that_is_given_must_be_there(record: VectorsRecord, tmp_path: Path) -> None:
    assert fault(record, tmp_path / "none.bin") == (
        f"{tmp_path / 'none.bin'}: there is no such file. Give a .bin, .vec or .vec.gz file of "
        "word vectors."
    )


def test_a_fingerprint_sees_size_ends_and_samples(tmp_path: Path) -> None:
    path = tmp_path / "v"
    content = bytes(1 << 20)
    found = set()
    for place in (None, 0, 1 << 15, 1 << 19, (1 << 20) - 1):
        changed = bytearray(content)
        if place is not None:
            changed[place] = 1
        path.write_bytes(changed)
        found.add(file_fingerprint(path))
    path.write_bytes(content + b"\0")
    found.add(file_fingerprint(path))
    assert len(found) == 6
