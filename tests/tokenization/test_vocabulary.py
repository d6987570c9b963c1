from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annoseq.config import DataConfig
from annoseq.tokenization.pretokenizer import build_pretokenizer
from annoseq.tokenization.vocabulary import BEGIN, END, PAD, SPECIALS, UNKNOWN, Vocabulary
from tests.data.strategies import texts

LITERALS = ["<pad>", "<unk>", "<bos>", "<eos>", "[PAD]", "[UNK]", "</s>", "<|endoftext|>"]


def built(
    counts: dict[str, int],
    *,
    reserved: list[str] | None = None,
    max_vocab: int = 100,
    min_frequency: int = 1,
) -> Vocabulary:
    config = DataConfig(max_vocab=max_vocab, min_frequency=min_frequency)
    return Vocabulary.build(
        Counter(counts), pre_tokenizer=build_pretokenizer(), reserved=reserved or [], config=config
    )


def counted(*lines: str) -> Vocabulary:
    """Build the vocabulary of some texts."""
    rule = build_pretokenizer()
    return built(Counter(token for line in lines for token, _ in rule.pre_tokenize_str(line)))


def test_the_special_symbols_come_first() -> None:
    assert built({"a": 1}).tokens == ["<pad>", "<unk>", "<bos>", "<eos>", "a"]
    assert (PAD, UNKNOWN, BEGIN, END) == (0, 1, 2, 3)


def test_tokens_are_ordered_by_count_then_by_code_point() -> None:
    vocabulary = built({"é": 2, "z": 2, "b": 1, "Z": 2, "a": 3, "\U0001f600": 2})
    assert list(vocabulary.tokens[4:]) == ["a", "Z", "z", "é", "\U0001f600", "b"]
    assert [vocabulary.ids[token] for token in vocabulary.tokens] == list(range(len(vocabulary)))


def test_the_order_of_counting_does_not_matter() -> None:
    assert built({"a": 1, "b": 1}).to_json() == built({"b": 1, "a": 1}).to_json()


def test_rare_tokens_are_unknown() -> None:
    vocabulary = built({"a": 3, "b": 2, "c": 1}, min_frequency=2)
    assert list(vocabulary.tokens[4:]) == ["a", "b"]
    assert vocabulary.tokens_to_ids(["a", "c", "b", "d"]) == [4, UNKNOWN, 5, UNKNOWN]


def test_the_largest_size_counts_the_special_symbols() -> None:
    counts = dict.fromkeys("abcdefghij", 2)
    vocabulary = built(counts, max_vocab=8)
    assert len(vocabulary) == 8
    assert list(vocabulary.tokens[4:]) == ["a", "b", "c", "d"]


def test_reserved_tokens_are_never_dropped_and_never_twice() -> None:
    tags = ["{{A}}", "{{/A}}", "{{B}}", "{{/B}}", "{{C}}", "{{/C}}"]
    vocabulary = built({"{{A}}": 9, "x": 9}, reserved=tags, max_vocab=8)
    assert vocabulary.tokens == [*SPECIALS, *tags]
    assert built({"{{A}}": 9, "x": 9}, reserved=tags).tokens == [*SPECIALS, *tags, "x"]


@pytest.mark.parametrize("literal", LITERALS)
def test_a_literal_symbol_in_a_text_is_ordinary_tokens(literal: str) -> None:
    text = f"a {literal} b{literal}"
    vocabulary = counted(text, *LITERALS)
    tokens = vocabulary.tokenize(text).tokens
    ids = vocabulary.tokens_to_ids(tokens)
    assert "".join(tokens) == text
    assert min(ids) >= len(SPECIALS)
    assert [vocabulary.tokens[id_] for id_ in ids] == tokens
    # The library itself, reading the file that is saved, does the same.
    encoding = Vocabulary.from_json(vocabulary.to_json())._tokenizer.encode(text)
    assert encoding.ids == ids


@pytest.mark.parametrize("keeps_tags", [False, True])
@settings(max_examples=150, deadline=None)
@given(text=st.lists(st.sampled_from(LITERALS) | texts, max_size=6).map("".join))
def test_no_text_makes_a_special_symbol(text: str, keeps_tags: bool) -> None:
    rule = build_pretokenizer(keeps_tags=keeps_tags)
    vocabulary = Vocabulary.build(Counter(), pre_tokenizer=rule, config=DataConfig())
    tokens, offsets = vocabulary.tokenize(text)
    assert not set(tokens) & set(SPECIALS)
    assert [text[start:end] for start, end in offsets] == tokens
    assert set(vocabulary.tokens_to_ids(tokens)) <= {UNKNOWN}


@settings(max_examples=50, deadline=None)
@given(text=texts)
def test_what_is_saved_is_what_is_read(text: str) -> None:
    vocabulary = counted(text, "Dr. Ames")
    again = Vocabulary.from_json(vocabulary.to_json())
    assert again.tokens == vocabulary.tokens
    assert again.ids == vocabulary.ids
    assert again.tokenize(text) == vocabulary.tokenize(text)
    assert again.to_json() == vocabulary.to_json()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "{}", '"x"', '{"version": "1.0", "model": {"type": "Nothing"}}']
)
def test_garbage_is_not_a_tokenizer(text: str) -> None:
    with pytest.raises(ValueError, match=r"^not a tokenizer file: ."):
        Vocabulary.from_json(text)


def changed(**changes: Any) -> str:
    """Return the file of a vocabulary with some parts of it replaced."""
    return json.dumps(json.loads(counted("a b").to_json()) | changes)


def words(*tokens: str, gap: int = 0) -> dict[str, Any]:
    numbered = {token: id_ for id_, token in enumerate(tokens)}
    return {
        "type": "WordLevel",
        "unk_token": "<unk>",
        "vocab": numbered | {"last": len(tokens) + gap},
    }


def test_another_programs_tokenizer_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^the first tokens are not <pad>, <unk>, <bos>, <eos>$"):
        Vocabulary.from_json(changed(model=words("[PAD]", "[UNK]", "[CLS]", "[SEP]")))


def test_ids_with_a_gap_are_refused() -> None:
    assert len(Vocabulary.from_json(changed(model=words(*SPECIALS)))) == 5
    message = "^the ids of the tokens do not run from 0 without a gap$"
    with pytest.raises(ValueError, match=message):
        Vocabulary.from_json(changed(model=words(*SPECIALS, gap=3)))


def test_a_tokenizer_without_a_rule_is_refused() -> None:
    message = "^the tokenizer has no rule that cuts a text into tokens$"
    with pytest.raises(ValueError, match=message):
        Vocabulary.from_json(changed(pre_tokenizer=None))
