"""n-grams and their hashes, against gensim's."""

from __future__ import annotations

import pytest
from gensim.models.fasttext import ft_ngram_hashes
from gensim.models.fasttext_inner import ft_hash_bytes
from hypothesis import given
from hypothesis import strategies as st

from annoseq.vectors.fasttext_bin import hash_bytes, subword_buckets


@given(st.binary())
def test_the_hash_is_fasttexts(data: bytes) -> None:
    assert hash_bytes(data) == ft_hash_bytes(data)


def test_a_byte_above_127_is_taken_as_signed() -> None:
    plain = ((2166136261 ^ 0xE9) * 16777619) % 2**32  # the FNV-1a of the books
    assert hash_bytes(b"\xe9") != plain
    assert hash_bytes(b"e") == ((2166136261 ^ 0x65) * 16777619) % 2**32


@given(st.text(), st.integers(0, 7), st.integers(0, 7))
def test_the_ngrams_are_fasttexts(word: str, shortest: int, longest: int) -> None:
    found = subword_buckets(word, shortest=shortest, longest=longest, buckets=1_000)
    assert found == ft_ngram_hashes(word, shortest, longest, 1_000)


@pytest.mark.parametrize(
    "word", ["Ames", "naïve", "日本語", "<b>", "a<b>c", ">", "<", "", "😀", "é"]
)
@pytest.mark.parametrize(("shortest", "longest"), [(3, 6), (5, 5), (1, 2), (2, 2)])
def test_the_ngrams_of_odd_words_are_fasttexts(word: str, shortest: int, longest: int) -> None:
    found = subword_buckets(word, shortest=shortest, longest=longest, buckets=997)
    assert found == ft_ngram_hashes(word, shortest, longest, 997)


def test_the_edges_alone_are_no_ngrams() -> None:
    one = subword_buckets("a", shortest=1, longest=1, buckets=2**31)
    assert one == [hash_bytes(b"a") % 2**31]


@pytest.mark.parametrize(("word", "longest", "buckets"), [("a", 0, 5), ("a", 3, 0), ("</s>", 3, 5)])
def test_there_may_be_no_ngrams(word: str, longest: int, buckets: int) -> None:
    assert subword_buckets(word, shortest=1, longest=longest, buckets=buckets) == []


def test_a_lone_surrogate_does_no_harm() -> None:
    assert len(subword_buckets("\ud800", shortest=3, longest=3, buckets=5)) == 1
