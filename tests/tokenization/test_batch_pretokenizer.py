from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annoseq.tokenization.batch_pretokenizer import BatchPreTokenizer
from annoseq.tokenization.pretokenizer import build_pretokenizer

MODES = [True, False]
CUT = {joins: BatchPreTokenizer(joins_digits=joins) for joins in MODES}
EXPECTED = {joins: build_pretokenizer(joins_digits=joins) for joins in MODES}
EACH_CLASS = "aé\u4e2d1\u0663\u2167\xbd\u0301\u0903,_-\u200d\U0001f600 \t\n\r\x1c\xa0\u2028"
"""Letters, numbers, marks, other characters and white space."""
_characters = st.sampled_from(EACH_CLASS) | st.characters(exclude_categories=["Cs"])


@pytest.mark.parametrize("joins", MODES)
@settings(max_examples=200, deadline=None)
@given(texts=st.lists(st.text(_characters, max_size=12), max_size=4))
def test_tokens_are_those_of_the_regular_expression(joins: bool, texts: list[str]) -> None:
    cut = CUT[joins].cut(texts)
    for index, text in enumerate(texts):
        tokens, offsets = cut.of_text(index)
        expected = EXPECTED[joins].pre_tokenize_str(text)
        assert list(zip(tokens, offsets, strict=True)) == expected


def test_every_pair_of_classes_is_cut_alike() -> None:
    texts = [a + b + c for a in EACH_CLASS for b in EACH_CLASS for c in EACH_CLASS]
    for joins in MODES:
        cut = CUT[joins].cut(texts)
        for index, text in enumerate(texts):
            expected = [token for token, _ in EXPECTED[joins].pre_tokenize_str(text)]
            assert cut.of_text(index).tokens == expected


def test_bounds_are_those_of_each_text() -> None:
    cut = CUT[True].cut(["Dr. Ames", "", "31y"])
    assert cut.tokens == ["Dr", ".", " Ames", "31", "y"]
    assert cut.offsets.tolist() == [[0, 2], [2, 3], [3, 8], [0, 2], [2, 3]]
    assert cut.bounds == [0, 3, 3, 5]
    assert CUT[True].cut([]).bounds == [0]
