"""The vectors of tokens: which word is looked up, and how often."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from annoseq.tokenization.hash_features import Words
from annoseq.vectors.fasttext_bin import FastTextFile
from annoseq.vectors.lookup import open_token_vectors
from annoseq.vectors.vec_text import VecFile

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from annoseq.vectors.lookup import TokenVectors
    from annoseq.vectors.word_vectors import Rows


@pytest.fixture
def compass(tmp_path: Path) -> Path:
    """Return vectors as text, of which one is zero."""
    path = tmp_path / "compass.vec"
    path.write_text("4 2\nNorth 0 3\neast 0.5 0\nnorth 0 -1\nnowhere 0 0\n")
    return path


def taken(vectors: TokenVectors, *tokens: str) -> list[list[float]]:
    first = len(vectors)
    vectors.meet(tokens)
    return vectors.take(range(first, len(vectors))).tolist()  # type: ignore[no-any-return]


def test_a_word_of_a_text_file_is_itself_or_else_in_lower_case(compass: Path) -> None:
    vectors = open_token_vectors(compass)
    assert taken(vectors, " North", "North", " north") == [[0, 1, 0], [0, 1, 0], [0, -1, 0]]
    assert taken(vectors, "East", " EAST", "NORTH") == [[1, 0, 0], [1, 0, 0], [0, -1, 0]]
    assert vectors.summary() == ("5 words with a vector, 0 composed of subwords, 0 without")


def test_what_has_no_vector_is_marked(compass: Path) -> None:
    vectors = open_token_vectors(compass)
    none = [0, 0, 1]
    assert taken(vectors, "west", " ", "\n", "\x1f", "<pad>", "\ud800") == [none] * 6
    assert taken(vectors, "nowhere") == [[0, 0, 0]]
    assert vectors.summary().endswith(", 2 without")


def test_words_of_a_bin_are_composed_in_the_case_that_they_have(vectors: Path) -> None:
    found = open_token_vectors(vectors)
    words = ["Ames", "AMES", "ames", "x"]
    expected = found.file.rows(words)
    assert expected.known == ["seen", "composed", "composed", "composed"]
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
    read = kind.rows

    def rows(self: FastTextFile | VecFile, words: Sequence[str]) -> Rows:
        asked.extend(words)
        return read(self, words)  # type: ignore[arg-type]

    monkeypatch.setattr(kind, "rows", rows)
    found = open_token_vectors(vectors if kind is FastTextFile else compass)
    words = Words(buckets=1024, vectors=found)
    numbers = words.look_up([" of", "of", "north", " of"])
    assert asked == []
    first = words.bags(numbers).vectors
    words.look_up(["north"], [("list names",)])
    assert first is not None
    assert words.bags([2, 0]).vectors.tolist() == first[[2, 0]].tolist()  # type: ignore[union-attr]
    assert asked == ["of", "north"]
    assert words.bags([]).vectors.shape == (0, found.columns)  # type: ignore[union-attr]


def test_words_that_are_forgotten_are_read_anew(
    compass: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("annoseq.tokenization.hash_features._REMEMBERED", 1)
    words = Words(buckets=1024, vectors=open_token_vectors(compass))
    words.bags(words.look_up(["north", "east"]))
    words.make_room()
    assert words.vectors is not None
    assert len(words.vectors) == 0
    found = words.bags(words.look_up(["east"])).vectors
    assert found is not None
    assert found.tolist() == [[1, 0, 0]]


def test_a_fresh_one_has_met_nothing(compass: Path) -> None:
    vectors = open_token_vectors(compass)
    vectors.meet(["north"])
    fresh = vectors.fresh()
    assert (len(vectors), len(fresh)) == (1, 0)
    assert fresh.checksum() == vectors.checksum()
    assert taken(fresh, "east") == [[1, 0, 0]]
