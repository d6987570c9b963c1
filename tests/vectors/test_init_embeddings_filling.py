"""From a vocabulary and a file of vectors to a matrix."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest

from annoseq.config import DataConfig
from annoseq.errors import VectorsError
from annoseq.tokenization.pretokenizer import segmentation
from annoseq.tokenization.vocabulary import PAD, SPECIALS, Vocabulary
from annoseq.vectors.init_embeddings import fill, fill_all
from annoseq.vectors.lookup import open_vectors
from annoseq.vectors.word_vectors import word_of
from tests.vectors.crafted import craft, row

if TYPE_CHECKING:
    from pathlib import Path


def vocabulary(*tokens: str, tags: tuple[str, ...] = ()) -> Vocabulary:
    counts = Counter(dict.fromkeys(tokens, 5))
    return Vocabulary.build(counts, cut_by=segmentation(), reserved=tags, config=DataConfig())


def test_words_are_found_without_their_space(vectors: Path) -> None:
    words = vocabulary(" Ames", "Ames", " of", "unseen")
    filled = fill(words, open_vectors(vectors), width=3, seed=1)
    assert (filled.seen, filled.composed, filled.missing) == (3, 1, ())
    with_space, without = (filled.matrix[words.ids[token]] for token in (" Ames", "Ames"))
    assert (
        with_space.tolist()
        == without.tolist()
        == open_vectors(vectors).rows(["Ames"]).matrix[0].tolist()
    )
    assert filled.matrix.dtype == np.float32


def test_what_is_no_word_is_drawn_and_padding_is_zero(vectors: Path) -> None:
    tags = ("{{NAME}}", "{{/NAME}}")
    words = vocabulary(" Ames", " of", "\n", " ", tags=tags)
    filled = fill(words, open_vectors(vectors), width=3, seed=1)
    assert (filled.seen, filled.composed, filled.missing) == (2, 0, ())
    assert not filled.matrix[PAD].any()
    drawn = filled.matrix[[words.ids[token] for token in (*SPECIALS[1:], *tags, "\n", " ")]]
    assert np.unique(drawn, axis=0).shape == drawn.shape
    assert np.isfinite(filled.matrix).all()


def test_words_without_a_vector_are_listed(text_vectors: Path) -> None:
    filled = fill(vocabulary(" naïve", " ames", " of"), open_vectors(text_vectors), width=3, seed=1)
    assert (filled.seen, filled.composed, filled.missing) == (1, 0, (" ames", " of"))
    assert filled.summary() == "1 words with a vector, 0 composed of subwords, 2 without"


def test_drawn_rows_are_spread_as_the_found_ones_are(tmp_path: Path) -> None:
    known = [f"k{'x' * number}" for number in range(300)]
    path = tmp_path / "v.vec"
    generator = np.random.default_rng(0)
    vectors = generator.standard_normal((300, 2)) * [0.1, 5.0]
    lines = [f"{word} {one} {two}\n" for word, (one, two) in zip(known, vectors, strict=True)]
    path.write_text(f"300 2\n{''.join(lines)}")
    words = vocabulary(*known, *(f"m{'x' * number}" for number in range(2_000)))
    filled = fill(words, open_vectors(path), width=2, seed=3)
    assert (filled.seen, len(filled.missing)) == (300, 2_000)
    drawn = filled.matrix[[words.ids[token] for token in filled.missing]]
    np.testing.assert_allclose(drawn.std(axis=0), vectors.std(axis=0), rtol=0.06)
    np.testing.assert_allclose(drawn.mean(axis=0), [0, 0], atol=0.3)


def test_without_any_vector_rows_are_still_drawn(text_vectors: Path) -> None:
    filled = fill(vocabulary("other"), open_vectors(text_vectors), width=3, seed=1)
    assert filled.missing == ("other",)
    assert filled.matrix[1:].all()


def test_the_seed_decides_what_is_drawn(text_vectors: Path) -> None:
    words = vocabulary(*"abcdef")
    one, same, other = (
        fill(words, open_vectors(text_vectors), width=3, seed=seed).matrix for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert (one[1:] != other[1:]).all()


def test_two_vocabularies_are_filled_at_once(vectors: Path) -> None:
    opened = open_vectors(vectors)
    first, second = vocabulary(" Ames", " of"), vocabulary(" of", "unseen")
    one, two = fill_all([first, second], opened, width=3, seed=1)
    np.testing.assert_array_equal(one.matrix, fill(first, opened, width=3, seed=1).matrix)
    alone = fill(second, opened, width=3, seed=1).matrix
    np.testing.assert_allclose(two.matrix[len(SPECIALS) :], alone[len(SPECIALS) :], rtol=1e-6)
    assert (one.matrix[1:4] != two.matrix[1:4]).all()


def test_another_width_is_refused(vectors: Path) -> None:
    with pytest.raises(VectorsError) as error:
        fill(vocabulary("a"), open_vectors(vectors), width=300, seed=1)
    assert str(error.value) == (
        f"{vectors}: its vectors have 3 values, where the embeddings have 300. "
        "Make the embeddings 3 wide, or use other vectors."
    )


@pytest.mark.parametrize(
    ("token", "word"),
    [
        (" Ames", "Ames"),
        ("Ames", "Ames"),
        (" ,", ","),
        (" ", None),
        ("\n", None),
        ("\x1f", None),
        ("\x1f\n", None),
        ("\x1fAm", "Am"),
        ("es", "es"),
        ("<0xC3>", None),
        ("{{NAME:DOCTOR}}", None),
        (" {{/NAME}}", None),
        ("<unk>", None),
        ("<", "<"),
    ],
)
def test_a_token_stands_for_a_word_or_for_none(token: str, word: str | None) -> None:
    assert word_of(token) == word


def test_a_row_of_a_crafted_file_is_found_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "v.bin"
    path.write_bytes(craft(["Ames", "of"], longest=0))
    words = vocabulary("of", "x")
    filled = fill(words, open_vectors(path), width=3, seed=1)
    assert filled.matrix[words.ids["of"]].tolist() == row(1)
    assert filled.missing == ("x",)
