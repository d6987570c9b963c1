"""The hash kernel against BLAKE2b of Python, for words in every script and of any length."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annoseq.kernels.selection import compiled_kernels
from annoseq.tokenization.hash_features import FeatureHasher

pytest.importorskip("numba", reason="needs numba: pip install 'annoseq[fast]'")

WORDS = [
    "a",
    " Año",
    "ß",
    "x" * 126,
    "y" * 127,
    "z" * 300,
    "\ud800b\U0001f600",
    " 日本語",
    " ",
    "İ",
]
tokens = st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=6)


def assert_same_bags(met: list[str], lexicons: dict[int, tuple[str, ...]]) -> None:
    hashers = [FeatureHasher(buckets=4096) for _ in range(2)]
    ids = [hasher.token_ids(met, lexicons) for hasher in hashers]
    with compiled_kernels(texts=0, tokens=10**9):
        found = hashers[0].bags(ids[0])
    expected = hashers[1].bags(ids[1])
    for one, other in zip(found.ids + found.starts, expected.ids + expected.starts, strict=True):
        assert np.array_equal(one, other)


def test_features_are_the_same_to_the_last_bit() -> None:
    assert_same_bags(WORDS, {number: ("name",) for number in range(len(WORDS)) if number % 3})


@settings(max_examples=15, deadline=None)
@given(tokens)
def test_features_are_the_same_of_any_words(met: list[str]) -> None:
    assert_same_bags(met, {})


def test_features_of_tokens_met_later_are_appended() -> None:
    hasher, other = FeatureHasher(buckets=4096), FeatureHasher(buckets=4096)
    with compiled_kernels(texts=0, tokens=10**9):
        hasher.bags(hasher.token_ids(["one", " two"]))
        found = hasher.bags(hasher.token_ids([" two", "three", "one"]))
    expected = other.bags(other.token_ids([" two", "three", "one"]))
    assert all(map(np.array_equal, found.ids, expected.ids))
