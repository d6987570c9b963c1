from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import numpy as np
import pytest

from annoseq.vectors.lookup import open_vectors

if TYPE_CHECKING:
    from pathlib import Path


def test_vectors_are_in_the_order_of_the_words(text_vectors: Path) -> None:
    rows = open_vectors(text_vectors).look_up(["other", "naïve", "Ames", "naïve"])
    assert rows.origins == ["missing", "seen", "seen", "seen"]
    expected = [[0, 0, 0], [-1, 0.5, 1e-3], [1, 2, 3], [-1, 0.5, 1e-3]]
    np.testing.assert_array_equal(rows.matrix, np.array(expected, np.float32))


@pytest.mark.parametrize("name", ["v.vec.gz", "v.txt.gz", "v.vec", "v.txt", "v"])
def test_the_first_bytes_tell_what_a_file_is(name: str, text_vectors: Path) -> None:
    path = text_vectors.with_name(name)
    content = text_vectors.read_bytes()
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    opened = open_vectors(path)
    assert (opened.path, opened.width) == (path, 3)
    assert opened.look_up(["Ames"]).matrix.tolist() == [[1, 2, 3]]
    assert opened.first_words(1) == ["Ames"]
    assert opened.first_words(9) == ["Ames", "naïve"]


def test_a_binary_file_needs_no_suffix(vectors: Path) -> None:
    path = vectors.with_name("vectors")
    path.write_bytes(vectors.read_bytes())
    assert open_vectors(path).look_up(["Ames"]).origins == ["seen"]


def test_line_ends_and_spaces_at_the_end_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "v.vec"
    path.write_bytes(b"3 2 \r\na 1 2\r\nb 3 4 \r\n\xc2\xa0\xe2\x80\xa8c 5 6\n")
    rows = open_vectors(path).look_up(["a", "b", "\xa0\u2028c"])
    assert rows.matrix.tolist() == [[1, 2], [3, 4], [5, 6]]


def test_of_a_repeated_word_the_first_row_counts(tmp_path: Path) -> None:
    path = tmp_path / "v.vec"
    path.write_text("2 1\na 1\na 2\n")
    assert open_vectors(path).look_up(["a"]).matrix.tolist() == [[1]]
