"""Initial embeddings of vocabularies, and their cache beside prepared data."""

from __future__ import annotations

import json
import os
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors import safe_open

from annoseq.config import DataConfig
from annoseq.errors import VectorsError
from annoseq.tokenization.dataset import Dataset
from annoseq.tokenization.pretokenizer import build_pretokenizer
from annoseq.tokenization.vocabulary import PAD, SPECIALS, Vocabulary
from annoseq.vectors.init_embeddings import (
    CACHE_FILE,
    init_embeddings,
    init_embeddings_of,
    init_source_and_target,
    vectors_file_signature,
)
from annoseq.vectors.lookup import open_vectors
from annoseq.vectors.word_vectors import lookup_word
from tests.vectors.crafted import craft, row

if TYPE_CHECKING:
    from pathlib import Path

    from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqTokenizer


def vocabulary(*tokens: str, tags: tuple[str, ...] = ()) -> Vocabulary:
    counts = Counter(dict.fromkeys(tokens, 5))
    return Vocabulary.build(
        counts, pre_tokenizer=build_pretokenizer(), reserved=tags, config=DataConfig()
    )


def test_words_are_looked_up_without_their_space(vectors: Path) -> None:
    words = vocabulary(" Ames", "Ames", " of", "unseen")
    filled = init_embeddings(words, open_vectors(vectors), width=3, seed=1)
    assert (filled.seen, filled.composed, filled.missing) == (3, 1, ())
    with_space, without = (filled.matrix[words.ids[token]] for token in (" Ames", "Ames"))
    assert (
        with_space.tolist()
        == without.tolist()
        == open_vectors(vectors).look_up(["Ames"]).matrix[0].tolist()
    )
    assert filled.matrix.dtype == np.float32


def test_tokens_without_a_word_are_random_and_padding_is_zero(vectors: Path) -> None:
    tags = ("{{NAME}}", "{{/NAME}}")
    words = vocabulary(" Ames", " of", "\n", " ", tags=tags)
    filled = init_embeddings(words, open_vectors(vectors), width=3, seed=1)
    assert (filled.seen, filled.composed, filled.missing) == (2, 0, ())
    assert not filled.matrix[PAD].any()
    drawn = filled.matrix[[words.ids[token] for token in (*SPECIALS[1:], *tags, "\n", " ")]]
    assert np.unique(drawn, axis=0).shape == drawn.shape
    assert np.isfinite(filled.matrix).all()


def test_words_without_a_vector_are_listed(text_vectors: Path) -> None:
    filled = init_embeddings(
        vocabulary(" naïve", " ames", " of"), open_vectors(text_vectors), width=3, seed=1
    )
    assert (filled.seen, filled.composed, filled.missing) == (1, 0, (" ames", " of"))
    assert filled.summary() == "1 word with a vector, 0 composed of subwords, 2 without"


def test_random_rows_have_the_spread_of_known_vectors(tmp_path: Path) -> None:
    known = [f"k{'x' * number}" for number in range(300)]
    path = tmp_path / "v.vec"
    generator = np.random.default_rng(0)
    vectors = generator.standard_normal((300, 2)) * [0.1, 5.0]
    lines = [f"{word} {one} {two}\n" for word, (one, two) in zip(known, vectors, strict=True)]
    path.write_text(f"300 2\n{''.join(lines)}")
    words = vocabulary(*known, *(f"m{'x' * number}" for number in range(2_000)))
    filled = init_embeddings(words, open_vectors(path), width=2, seed=3)
    assert (filled.seen, len(filled.missing)) == (300, 2_000)
    drawn = filled.matrix[[words.ids[token] for token in filled.missing]]
    np.testing.assert_allclose(drawn.std(axis=0), vectors.std(axis=0), rtol=0.06)
    np.testing.assert_allclose(drawn.mean(axis=0), [0, 0], atol=0.3)


def test_without_any_vector_all_rows_are_random(text_vectors: Path) -> None:
    filled = init_embeddings(vocabulary("other"), open_vectors(text_vectors), width=3, seed=1)
    assert filled.missing == ("other",)
    assert filled.matrix[1:].all()


def test_random_rows_depend_on_the_seed(text_vectors: Path) -> None:
    words = vocabulary(*"abcdef")
    one, same, other = (
        init_embeddings(words, open_vectors(text_vectors), width=3, seed=seed).matrix
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert (one[1:] != other[1:]).all()


def test_two_vocabularies_are_initialized_in_one_pass(vectors: Path) -> None:
    opened = open_vectors(vectors)
    first, second = vocabulary(" Ames", " of"), vocabulary(" of", "unseen")
    one, two = init_embeddings_of([first, second], opened, width=3, seed=1)
    np.testing.assert_array_equal(
        one.matrix, init_embeddings(first, opened, width=3, seed=1).matrix
    )
    alone = init_embeddings(second, opened, width=3, seed=1).matrix
    np.testing.assert_allclose(two.matrix[len(SPECIALS) :], alone[len(SPECIALS) :], rtol=1e-6)
    assert (one.matrix[1:4] != two.matrix[1:4]).all()


def test_another_width_is_refused(vectors: Path) -> None:
    with pytest.raises(VectorsError) as error:
        init_embeddings(vocabulary("a"), open_vectors(vectors), width=300, seed=1)
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
    assert lookup_word(token) == word


def test_a_row_of_a_crafted_file_is_found_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "v.bin"
    path.write_bytes(craft(["Ames", "of"], max_n=0))
    words = vocabulary("of", "x")
    filled = init_embeddings(words, open_vectors(path), width=3, seed=1)
    assert filled.matrix[words.ids["of"]].tolist() == row(1)
    assert filled.missing == ("x",)


@pytest.fixture
def tokenizer(dataset: Dataset) -> Seq2SeqTokenizer:
    return dataset.tokenizer


def stamp(folder: Path) -> int:
    """Return a number that changes when the cache is written."""
    return (folder / CACHE_FILE).stat().st_ino


def test_source_and_target_are_initialized(tokenizer: Seq2SeqTokenizer, vectors: Path) -> None:
    source, target = init_source_and_target(tokenizer, vectors, seed=1)
    assert source.matrix.shape == (len(tokenizer.source), 3)
    assert target.matrix.shape == (len(tokenizer.target), 3)
    shared = " of"
    one, other = (
        side.matrix[vocabulary.ids[shared]]
        for side, vocabulary in ((source, tokenizer.source), (target, tokenizer.target))
    )
    assert one.tolist() == other.tolist()
    assert source.composed > 40


def test_the_cache_returns_the_same_embeddings(
    tokenizer: Seq2SeqTokenizer, vectors: Path, tmp_path: Path
) -> None:
    made = init_source_and_target(tokenizer, vectors, seed=1, cache=tmp_path)
    before = stamp(tmp_path)
    again = init_source_and_target(tokenizer, str(vectors), seed=1, cache=tmp_path)
    assert stamp(tmp_path) == before
    for one, other in zip(made, again, strict=True):
        np.testing.assert_array_equal(one.matrix, other.matrix)
        assert (one.seen, one.composed, one.missing) == (other.seen, other.composed, other.missing)


def test_the_cache_is_not_read_from_the_vectors(
    tokenizer: Seq2SeqTokenizer, text_vectors: Path, tmp_path: Path
) -> None:
    init_source_and_target(tokenizer, text_vectors, seed=1, cache=tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("annoseq.vectors.init_embeddings.open_vectors", None)
        source, _ = init_source_and_target(tokenizer, text_vectors, seed=1, cache=tmp_path)
    assert len(source.missing) > 40


@pytest.mark.parametrize("change", ["vectors", "time", "seed", "vocabulary"])
def test_a_cache_of_other_inputs_is_rebuilt(
    change: str, tokenizer: Seq2SeqTokenizer, vectors: Path, tmp_path: Path
) -> None:
    old, _ = init_source_and_target(tokenizer, vectors, seed=1, cache=tmp_path)
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
        tokenizer = Dataset.from_pairs(Pairs(rows, name="other")).tokenizer
    new, _ = init_source_and_target(tokenizer, vectors, seed=seed, cache=tmp_path)
    assert stamp(tmp_path) != before
    if change in {"seed", "vocabulary"}:
        assert new.matrix.shape != old.matrix.shape or (new.matrix != old.matrix).any()


@pytest.mark.parametrize("content", [b"", b"rubbish", bytes(100)])
def test_a_damaged_cache_is_rebuilt(
    content: bytes, tokenizer: Seq2SeqTokenizer, vectors: Path, tmp_path: Path
) -> None:
    made, _ = init_source_and_target(tokenizer, vectors, seed=1, cache=tmp_path)
    (tmp_path / CACHE_FILE).write_bytes(content)
    again, _ = init_source_and_target(tokenizer, vectors, seed=1, cache=tmp_path)
    np.testing.assert_array_equal(made.matrix, again.matrix)
    assert (tmp_path / CACHE_FILE).stat().st_size > 1_000


def test_a_cache_without_metadata_is_rebuilt(
    tokenizer: Seq2SeqTokenizer, vectors: Path, tmp_path: Path
) -> None:
    from safetensors.numpy import save_file

    for metadata in ({}, {"annoseq": "[]"}, {"annoseq": "{"}):
        save_file({"source": np.zeros(1)}, tmp_path / CACHE_FILE, metadata)
        source, _ = init_source_and_target(tokenizer, vectors, seed=1, cache=tmp_path)
        assert len(source.matrix) == len(tokenizer.source)


def test_prepared_data_stay_as_they_are(dataset: Dataset, vectors: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    dataset.save(folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    init_source_and_target(dataset.tokenizer, vectors, seed=1, cache=folder)
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert after.keys() - before.keys() == {CACHE_FILE}
    assert {name: after[name] for name in before} == before
    assert Dataset.load(folder).tokenizer.signature() == dataset.tokenizer.signature()


def test_the_cache_metadata_have_the_key(
    tokenizer: Seq2SeqTokenizer, vectors: Path, tmp_path: Path
) -> None:
    init_source_and_target(tokenizer, vectors, seed=7, cache=tmp_path)
    with safe_open(str(tmp_path / CACHE_FILE), "numpy") as file:
        facts = json.loads(file.metadata()["annoseq"])
    assert facts["key"]["seed"] == 7
    assert facts["key"]["vectors"] == vectors_file_signature(vectors)
    assert facts["key"]["vocabularies"] == tokenizer.signature()


def test_a_folder_that_cannot_be_written_does_no_harm(
    tokenizer: Seq2SeqTokenizer, vectors: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    cache = tmp_path / "file" / "cache"
    source, _ = init_source_and_target(tokenizer, vectors, seed=1, cache=cache)
    assert len(source.matrix) == len(tokenizer.source)
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_full_disk_does_no_harm(
    tokenizer: Seq2SeqTokenizer, vectors: Path, tmp_path: Path
) -> None:
    from tests.faults import file_size_limit

    with file_size_limit(100):
        source, _ = init_source_and_target(tokenizer, vectors, seed=1, cache=tmp_path)
    assert len(source.matrix) == len(tokenizer.source)
    assert [path.name for path in tmp_path.iterdir()] == [vectors.name]


def test_missing_vectors_are_an_error_even_with_a_cache(
    tokenizer: Seq2SeqTokenizer, vectors: Path, tmp_path: Path
) -> None:
    init_source_and_target(tokenizer, vectors, seed=1, cache=tmp_path)
    vectors.unlink()
    with pytest.raises(VectorsError, match="there is no such file"):
        init_source_and_target(tokenizer, vectors, seed=1, cache=tmp_path)


def test_the_signature_sees_every_part_of_a_small_file(tmp_path: Path) -> None:
    path = tmp_path / "v.bin"
    content = craft(["Ames"], buckets=2, width=1)
    found = set()
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        os.utime(path, ns=(1, 1))
        found.add(vectors_file_signature(path))
    assert len(found) == len(content)
