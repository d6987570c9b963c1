"""Lookups through the word index give the same vectors as passes over the file."""

from __future__ import annotations

import gzip
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annoseq.errors import VectorsError
from annoseq.vectors import fasttext_bin
from annoseq.vectors.fasttext_rows import WordIndex
from annoseq.vectors.lookup import open_vectors
from annoseq.vectors.vec_text import VecFile
from tests.vectors.crafted import craft

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_words = st.binary(max_size=3)
WORDS = ["Ames", "of", "naïve", "ames", "unseen", "", "🦉", "of", "\ud800"]
TEXT = "5 2\nof 1 2\nAmes 3 4\nnaïve 5 6 \nof 7 8\n🦉 9 1\n".encode()


@settings(max_examples=30, deadline=None)
@given(there=st.lists(_words, max_size=8), asked=st.lists(_words, max_size=8))
def test_the_index_finds_the_first_or_last_position(there: list[bytes], asked: list[bytes]) -> None:
    index, known = WordIndex(there), [word for word in asked if word in there]
    last = len(there) - 1
    assert index.find(asked) == {word: there.index(word) for word in known}
    assert index.find(asked, takes_last=True) == {
        word: last - there[::-1].index(word) for word in known
    }


@pytest.fixture(params=["v.bin", "v.vec", "v.vec.gz"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    found: Path = tmp_path / request.param
    contents = {
        "v.bin": craft(["Ames", "of", "naïve", "of"], labels=["Ames"]),
        "v.vec": TEXT,
        "v.vec.gz": gzip.compress(TEXT),
    }
    found.write_bytes(contents[found.name])
    return found


def test_an_indexed_file_gives_the_same_vectors(path: Path) -> None:
    plain = open_vectors(path)
    indexed = plain.indexed()
    expected = plain.look_up(WORDS)
    assert expected.origins[:4] == ["seen", "seen", "seen", expected.origins[4]]
    for _ in range(2):
        found = indexed.look_up(WORDS)
        assert found.origins == expected.origins
        assert found.matrix.tolist() == expected.matrix.tolist()
    assert indexed.look_up([]).matrix.shape == (0, plain.width)
    assert indexed.first_words(2) == plain.first_words(2)


def test_a_dictionary_is_indexed_in_one_pass(
    vectors: Path, text_vectors: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [open_vectors(path).indexed() for path in (vectors, text_vectors)]

    def refuse(*_: object) -> Iterator[None]:
        raise AssertionError("it was gone through again")

    monkeypatch.setattr(fasttext_bin, "find_word_rows", refuse)
    monkeypatch.setattr(VecFile, "_lines", refuse)
    for file in files:
        assert file.look_up(["Ames"]).origins == ["seen"]


@pytest.mark.parametrize("left_out", [30, 8])
def test_indexing_detects_truncation(left_out: int, tmp_path: Path) -> None:
    path = tmp_path / "v.vec"
    path.write_bytes(TEXT[:-left_out])
    with pytest.raises(VectorsError, match="the file is cut off"):
        open_vectors(path).indexed()
    path = tmp_path / "v.bin"
    path.write_bytes(craft(["Ames", "of"])[:100])
    with pytest.raises(VectorsError, match="the file is cut off in its dictionary"):
        open_vectors(path).indexed()


def test_a_file_without_words_has_none(tmp_path: Path) -> None:
    path = tmp_path / "v.vec"
    path.write_text("0 2\n")
    assert open_vectors(path).indexed().look_up(["a"]).origins == ["missing"]


def test_without_pread_files_are_read_the_same(
    vectors: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = open_vectors(vectors).look_up(WORDS)
    monkeypatch.delattr(os, "pread")
    lookup = open_vectors(vectors).look_up(WORDS)
    assert lookup.matrix.tobytes() == expected.matrix.tobytes()
    assert lookup.origins == expected.origins
