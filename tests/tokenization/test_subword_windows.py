from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from annoseq.tokenization import hash_features as features
from annoseq.tokenization.encoder_tokenizer import SpecialIds
from annoseq.tokenization.hash_features import FeatureHasher
from annoseq.tokenization.pretokenizer import build_pretokenizer
from annoseq.tokenization.subword_windows import (
    RaggedIds,
    TokenSubwords,
    chunk_windows,
    cut_subwords,
    lay_out_windows,
    pad_windows,
)
from tests.fidelity import HARD
from tests.tokenization.test_encoder_tokenizer import every_family, tokenizer_of

if TYPE_CHECKING:
    import pytest

_texts = st.lists(st.sampled_from(HARD), max_size=8).map("".join)


@given(counts=st.lists(st.integers(0, 12), min_size=1, max_size=40), size=st.integers(4, 30))
def test_windows_own_every_sub_word_once(counts: list[int], size: int) -> None:
    windows = cut_subwords(np.array(counts), size=size)
    total, ends = sum(counts), {0, *np.cumsum(counts).tolist()}
    assert [window.owned_first for window in windows] == [
        0,
        *(window.owned_last for window in windows[:-1]),
    ]
    assert windows[-1].owned_last == windows[-1].last == total
    for window in windows:
        assert 0 <= window.last - window.first <= size
        assert window.first <= window.owned_first <= window.owned_last <= window.last
        if max(counts) <= size // 4:
            assert {window.first, window.last, window.owned_first, window.owned_last} <= ends


def test_a_short_row_is_one_window() -> None:
    assert cut_subwords(np.array([2, 3]), size=5) == [(0, 5, 0, 5)]
    assert cut_subwords(np.array([0]), size=5) == [(0, 0, 0, 0)]
    assert cut_subwords(np.array([2, 2, 2, 2]), size=6) == [(0, 6, 0, 6), (6, 8, 6, 8)]


def test_the_places_of_a_layout_are_the_sub_words_of_the_rows_in_order() -> None:
    rows = [
        RaggedIds(np.arange(100, 109), np.array([2, 3, 0, 4])),
        RaggedIds(np.array([7]), np.array([1])),
    ]
    windows, places, counts = lay_out_windows(rows, size=6)
    assert [window.tolist() for window in windows[-1:]] == [[7]]
    assert max(map(len, windows)) <= 6
    assert np.concatenate(windows)[places].tolist() == [*range(100, 109), 7]
    assert counts.tolist() == [2, 3, 0, 4, 1]


def test_windows_are_read_in_chunks_and_padded() -> None:
    windows = [np.arange(length) for length in (3, 1, 5, 0)]
    assert list(chunk_windows(windows, limit=6)) == [[2], [0, 1], [3]]
    ids, mask = pad_windows(windows[:2], SpecialIds([8], [9]), pad=4)
    assert ids.tolist() == [[8, 0, 1, 2, 9], [8, 0, 9, 4, 4]]
    assert mask.tolist() == [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]
    ids, mask = pad_windows(windows[3:], SpecialIds([], []), pad=4)
    assert (ids.tolist(), mask.tolist()) == ([[0]], [[1]])


@every_family
@settings(max_examples=10, deadline=None)
@given(texts=st.lists(_texts, min_size=1, max_size=4))
def test_rows_are_the_sub_words_of_each_token(family: str, texts: list[str]) -> None:
    tokenizer, hasher = tokenizer_of(family), FeatureHasher(buckets=1024)
    pre_tokenizer = build_pretokenizer(joins_digits=True)
    for text in texts:
        tokens = [token for token, _ in pre_tokenizer.pre_tokenize_str(text)]
        ids = np.array([hasher.token_ids(tokens)], np.int64).reshape(1, -1)
        (row,) = TokenSubwords(tokenizer).rows(hasher, ids, [len(tokens)])
        white = [True, *(token.isspace() for token in tokens)]
        expected = [
            tokenizer.split([token], starts_words=is_start)[0]
            for token, is_start in zip(tokens, white, strict=False)
        ]
        assert row.counts.tolist() == list(map(len, expected))
        assert row.ids.tolist() == [id_ for subwords in expected for id_ in subwords]


def test_tokens_that_a_hasher_forgets_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    hasher = FeatureHasher(buckets=1024)
    subwords = TokenSubwords(tokenizer_of("bert"))
    first = next(subwords.rows(hasher, np.array([hasher.token_ids(["Dr", "y"])]), [2]))
    monkeypatch.setattr(features, "_MAX_TOKENS", 1)
    hasher.clear_if_large()
    again = next(subwords.rows(hasher, np.array([hasher.token_ids(["y", "Dr"])]), [2]))
    assert again.ids.tolist() == [first.ids[-1], *first.ids[:-1]]
