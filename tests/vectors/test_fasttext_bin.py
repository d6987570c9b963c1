"""FastTextFile against gensim: n-gram hashes, vectors of words and subwords, and the bytes read."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from gensim.models.fasttext import (
    FastText,
    ft_ngram_hashes,
    load_facebook_vectors,
    save_facebook_model,
)
from gensim.models.fasttext_inner import ft_hash_bytes
from hypothesis import example, given
from hypothesis import strategies as st

from annoseq.vectors import fasttext_bin
from annoseq.vectors.fasttext_bin import fasttext_hash, subword_buckets
from annoseq.vectors.lookup import open_vectors
from tests.vectors.crafted import craft, row

if TYPE_CHECKING:
    from pathlib import Path


SENTENCES = [
    ["the", "patient", "was", "seen", "by", "Dr", "Ames", "in", "the", "clinic"],
    ["naïve", "Ärztin", "sah", "日本語", "und", "straße", "<b>", "a<b>c", ">", "<", "😀", "x"],
    [
        "the",
        "the",
        "clinic",
        "of",
        "of",
        "diabetic",
        "diabetes",
        "diabetics",
        "7",
        ".",
        ",",
        "é",
        "é",
    ],
] * 3
UNSEEN = ["diabete", "Naïveté", "日本", "<c>", "a<b", "z", "😀😀", "THE", "thrombectomy", ">>"]
MODELS: dict[str, dict[str, Any]] = {
    "skipgram": {"sg": 1, "bucket": 500},
    "cbow": {"sg": 0, "bucket": 50},
    "five": {"sg": 1, "bucket": 300, "min_n": 5, "max_n": 5},
    "short": {"sg": 1, "bucket": 300, "min_n": 1, "max_n": 2},
    "crowded": {"sg": 1, "bucket": 1},
    "hierarchical": {"sg": 1, "bucket": 100, "hs": 1, "negative": 0},
    "whole words": {"sg": 1, "max_n": 0},
    "no buckets": {"sg": 1, "bucket": 0, "max_n": 0},
}


@pytest.fixture(scope="module", params=MODELS)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gensim") / "v.bin"
    model = FastText(
        SENTENCES, vector_size=8, min_count=1, epochs=2, workers=1, seed=1, **MODELS[request.param]
    )
    save_facebook_model(model, str(path))
    return path


def test_vectors_equal_those_of_gensim(trained: Path) -> None:
    oracle = load_facebook_vectors(str(trained))
    words = [*UNSEEN, *oracle.index_to_key]
    ours = open_vectors(trained).look_up(words)
    assert ours.matrix.dtype == np.float32
    for word, vector, known in zip(words, ours.matrix, ours.origins, strict=True):
        assert (known == "seen") == (word in oracle.key_to_index)
        if known == "missing":
            assert not vector.any()
            assert oracle.bucket == 0 or not oracle.get_vector(word).any()
        else:
            np.testing.assert_allclose(vector, oracle[word], rtol=1e-5, atol=1e-7)
    if oracle.bucket and oracle.min_n <= 3:
        assert ours.origins[: len(UNSEEN)] == ["composed"] * len(UNSEEN)


def test_a_word_too_short_for_subwords_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "v.bin"
    path.write_bytes(craft(["Ames"], min_n=5, max_n=5))
    assert open_vectors(path).look_up(["of", "off"]).origins == ["missing", "composed"]


def test_the_end_of_a_text_has_no_subwords(tmp_path: Path) -> None:
    path = tmp_path / "v.bin"
    path.write_bytes(craft(["Ames", "</s>"]))
    rows = open_vectors(path).look_up(["</s>"])
    assert rows.matrix.tolist() == [row(1)]
    assert rows.origins == ["seen"]


def test_labels_of_a_supervised_model_are_not_words(tmp_path: Path) -> None:
    path = tmp_path / "v.bin"
    path.write_bytes(craft(["Ames", "of"], labels=["__label__a"], model=3, max_n=0))
    rows = open_vectors(path).look_up(["of", "__label__a", "Ames"])
    assert rows.origins == ["seen", "missing", "seen"]
    assert rows.matrix.tolist() == [row(1), [0, 0, 0], row(0)]
    assert open_vectors(path).first_words(9) == ["Ames", "of"]


@pytest.mark.parametrize(("version", "known"), [(11, "missing"), (12, "composed")])
def test_old_supervised_models_have_no_subwords(version: int, known: str, tmp_path: Path) -> None:
    path = tmp_path / "v.bin"
    path.write_bytes(craft(["Ames"], version=version, model=3))
    assert open_vectors(path).look_up(["other"]).origins == [known]


def test_the_case_is_kept(vectors: Path) -> None:
    assert open_vectors(vectors).look_up(["Ames", "ames"]).origins == ["seen", "composed"]


def test_a_word_may_be_looked_up_twice_or_not_at_all(vectors: Path) -> None:
    opened = open_vectors(vectors)
    twice = opened.look_up(["of", "Ames", "of"])
    assert twice.matrix[0].tolist() == twice.matrix[2].tolist()
    assert opened.look_up([]).matrix.shape == (0, 3)


def test_the_first_words_come_in_the_order_of_the_file(vectors: Path) -> None:
    assert open_vectors(vectors).first_words(2) == ["Ames", "of"]
    assert open_vectors(vectors).first_words(99) == ["Ames", "of", "naïve"]


@pytest.mark.parametrize("gap", [0, 40, 10_000])
def test_grouping_of_reads_does_not_matter(
    gap: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "v.bin"
    words = [f"word{number}" for number in range(300)]
    path.write_bytes(craft(words, buckets=500))
    monkeypatch.setattr(fasttext_bin, "_MAX_GAP", gap)
    monkeypatch.setattr(fasttext_bin, "_MAX_READ", 100)
    monkeypatch.setattr(fasttext_bin, "_ROWS_PER_BLOCK", 50)
    asked = [*words[::7], "unseen", *words[1::50]]
    found = open_vectors(path).look_up(asked)
    for word, vector in zip(asked, found.matrix, strict=True):
        buckets = subword_buckets(word, min_n=3, max_n=6, buckets=500)
        own = [words.index(word)] if word in words else []
        parts = [row(number) for number in [*own, *(300 + bucket for bucket in buckets)]]
        np.testing.assert_allclose(vector, np.mean(parts, axis=0), rtol=1e-5)


def test_words_may_span_chunks(vectors: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = open_vectors(vectors).look_up(["naïve", "Ames"])
    for chunk in range(1, 20):
        monkeypatch.setattr("annoseq.vectors.fasttext_bin._CHUNK_SIZE", chunk)
        found = open_vectors(vectors).look_up(["naïve", "Ames"])
        assert found.matrix.tolist() == expected.matrix.tolist()
        assert found.origins == ["seen", "seen"]


def test_a_large_file_is_not_loaded(tmp_path: Path) -> None:
    path = tmp_path / "v.bin"
    small = craft(["Ames"], buckets=0, width=300)
    # Its sizes are put in by hand, and the rows of two million buckets are a hole in the file.
    rows = 2_000_001
    prefix, _, _ = small.partition(b"Ames\0")
    head = prefix[:40] + (rows - 1).to_bytes(4, "little") + prefix[44:] + small[len(prefix) :][:14]
    head += b"\0" + rows.to_bytes(8, "little") + (300).to_bytes(8, "little")
    end = len(head) + rows * 1_200
    with path.open("wb") as file:
        file.write(head)
        file.seek(end)
        file.write(b"\0" + bytes(16))
    tracemalloc.start()
    try:
        found = open_vectors(path).look_up(["Ames", *(f"word{number}" for number in range(50))])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.origins == ["seen"] + ["composed"] * 50
    assert path.stat().st_size > 2e9
    assert peak < 2e7


@given(st.binary())
def test_the_hash_equals_fasttext(data: bytes) -> None:
    assert fasttext_hash(data) == ft_hash_bytes(data)


def test_a_byte_above_127_is_taken_as_signed() -> None:
    plain = ((2166136261 ^ 0xE9) * 16777619) % 2**32  # the FNV-1a of the books
    assert fasttext_hash(b"\xe9") != plain
    assert fasttext_hash(b"e") == ((2166136261 ^ 0x65) * 16777619) % 2**32


@given(st.text(), st.integers(0, 7), st.integers(0, 7))
@example("</s>", 1, 3)
def test_ngrams_equal_fasttext(word: str, min_n: int, max_n: int) -> None:
    found = subword_buckets(word, min_n=min_n, max_n=max_n, buckets=1_000)
    # fastText's dictionary gives the end of a sentence no n-grams; gensim's function is below that.
    expected = [] if word == "</s>" else ft_ngram_hashes(word, min_n, max_n, 1_000)
    assert found == expected


@pytest.mark.parametrize(
    "word", ["Ames", "naïve", "日本語", "<b>", "a<b>c", ">", "<", "", "😀", "é"]
)
@pytest.mark.parametrize(("min_n", "max_n"), [(3, 6), (5, 5), (1, 2), (2, 2)])
def test_ngrams_of_odd_words_equal_fasttext(word: str, min_n: int, max_n: int) -> None:
    found = subword_buckets(word, min_n=min_n, max_n=max_n, buckets=997)
    assert found == ft_ngram_hashes(word, min_n, max_n, 997)


def test_boundary_markers_alone_are_no_ngrams() -> None:
    one = subword_buckets("a", min_n=1, max_n=1, buckets=2**31)
    assert one == [fasttext_hash(b"a") % 2**31]


@pytest.mark.parametrize(("word", "max_n", "buckets"), [("a", 0, 5), ("a", 3, 0), ("</s>", 3, 5)])
def test_there_may_be_no_ngrams(word: str, max_n: int, buckets: int) -> None:
    assert subword_buckets(word, min_n=1, max_n=max_n, buckets=buckets) == []


def test_a_lone_surrogate_does_no_harm() -> None:
    assert len(subword_buckets("\ud800", min_n=3, max_n=3, buckets=5)) == 1
