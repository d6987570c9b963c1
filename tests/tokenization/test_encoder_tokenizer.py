from __future__ import annotations

import json

import numpy as np
import pytest

from annoseq.tokenization.encoder_tokenizer import EncoderTokenizer
from annoseq.tokenization.hash_features import FeatureHasher
from annoseq.tokenization.subword_windows import TokenSubwords
from tests.encoders import FAMILIES, encoder_folder

TOKENS = ["Dr", ".", " Ames", "31", "\n", "Zoë", "\u200b", " ", "[", "SEP"]
every_family = pytest.mark.parametrize("family", FAMILIES)


def tokenizer_of(family: str) -> EncoderTokenizer:
    text = (encoder_folder(family) / "tokenizer.json").read_text(encoding="utf-8")
    return EncoderTokenizer(text)


def pieces(family: str, tokens: list[str]) -> list[list[str]]:
    """Return the sub-words of a text's tokens, where they stand."""
    tokenizer, hasher = tokenizer_of(family), FeatureHasher(buckets=1024)
    ids = np.array([hasher.token_ids(tokens)])
    (row,) = TokenSubwords(tokenizer).rows(hasher, ids, [len(tokens)])
    names = {id_: piece for piece, id_ in vocabulary(tokenizer).items()}
    starts = np.cumsum(row.counts) - row.counts
    return [
        [names[int(id_)] for id_ in row.ids[start : start + count]]
        for start, count in zip(starts, row.counts, strict=True)
    ]


def vocabulary(tokenizer: EncoderTokenizer) -> dict[str, int]:
    model = json.loads(tokenizer.text)["model"]["vocab"]
    if isinstance(model, dict):
        return model
    return {piece: id_ for id_, (piece, _) in enumerate(model)}


def test_wordpiece_reads_each_token_without_its_space() -> None:
    assert pieces("bert", TOKENS) == [
        *(["d", "##r"], ["."], ["ames"], ["3", "##1"], [], ["z", "##o", "##e"], [], []),
        *(["["], ["s", "##e", "##p"]),
    ]


def test_byte_level_bpe_reads_the_space_of_a_token_as_part_of_it() -> None:
    assert pieces("roberta", TOKENS)[:5] == [["Dr"], ["."], ["ĠAmes"], ["31"], ["Ċ"]]
    assert pieces("roberta", ["Ames", " Ames", "\n", "31", "\u200b"]) == [
        *(["Am", "es"], ["ĠAmes"], ["Ċ"], ["31"], ["â", "Ģ", "ĭ"])
    ]


def test_sentencepiece_begins_words_where_white_space_was() -> None:
    assert pieces("xlm-roberta", ["Ames", "31", " Ames", "\n", "Zoë", "\u200b", "y"]) == [
        *(["▁Ames"], ["3", "1"], ["▁Ames"], [], ["▁Zoë"], [], ["y"])
    ]


def test_symbols_in_a_text_are_text() -> None:
    assert ["[SEP]"] not in pieces("bert", ["[SEP]"])
    assert ["</s>"] not in pieces("roberta", ["</s>"])


@every_family
def test_truncation_and_padding_of_the_file_are_off(family: str) -> None:
    tokenizer = tokenizer_of(family)
    settings = json.loads(tokenizer.text)
    assert settings["truncation"]["max_length"] == 4
    assert settings["padding"]["strategy"] == {"Fixed": 9}
    short, long = tokenizer.split(["s", "s." * 20])
    assert 0 < len(short) < 3
    assert len(long) >= 20


@pytest.mark.parametrize(
    ("family", "symbol"), [("bert", "[UNK]"), ("roberta", None), ("xlm-roberta", "<unk>")]
)
def test_the_symbol_of_unknown_subwords(family: str, symbol: str | None) -> None:
    tokenizer = tokenizer_of(family)
    expected = None if symbol is None else vocabulary(tokenizer)[symbol]
    assert tokenizer.unknown_id == expected


@every_family
def test_special_symbols_are_those_around_a_text(family: str) -> None:
    before, after = tokenizer_of(family).special_ids
    assert (len(before), len(after)) == (1, 1)
    assert before != after


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"model": {"type": "Nothing"}}'])
def test_what_is_no_tokenizer_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"JSON|Expecting|tokenizer"):
        EncoderTokenizer(text)
