from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings

from annoseq.config import DataConfig
from annoseq.tokenization.pretokenizer import build_pretokenizer
from annoseq.tokenization.subwords import BLANKS, BYTES, REQUIRED_SUBWORDS, SPACED, UNSPACED
from annoseq.tokenization.vocabulary import SPECIALS, Vocabulary
from tests.data.strategies import texts

BASE = len(SPECIALS) + len(BYTES) + len(BLANKS)


def learnt(
    words: dict[str, int],
    *,
    reserved: list[str] | None = None,
    bpe_vocab: int = 1000,
    min_frequency: int = 1,
) -> Vocabulary:
    config = DataConfig(bpe_vocab=bpe_vocab, min_frequency=min_frequency)
    return Vocabulary.train_bpe(
        Counter(words), pre_tokenizer=build_pretokenizer(), reserved=reserved or [], config=config
    )


def merged(vocabulary: Vocabulary) -> list[str]:
    """Return what comes after the characters, in the order in which it was merged."""
    tokens = vocabulary.tokens[BASE:]
    return [token for token in tokens if len(token) > 1]


def test_the_commonest_pair_is_merged_first() -> None:
    # " a" 5 times, "ab" 3 times; then " ab" 3 times; "\x1fb" twice.
    assert merged(learnt({" a": 2, " ab": 3, "b": 2})) == [" a", " ab", "\x1fb"]


def test_pairs_that_are_rare_are_not_merged() -> None:
    assert merged(learnt({" a": 2, " ab": 3, "b": 2}, min_frequency=3)) == [" a", " ab"]
    assert merged(learnt({" a": 2, " ab": 3, "b": 2}, min_frequency=9)) == []


def test_the_vocabulary_is_as_large_as_asked_for() -> None:
    words = {f" {chr(97 + n % 26)}{chr(97 + n // 26)}{chr(97 + n % 7)}": 1 for n in range(600)}
    assert len(learnt(words, bpe_vocab=512)) == 512
    assert len(learnt(words, bpe_vocab=600)) == 600
    # Nothing is left to merge, or there are more characters than that.
    assert len(learnt({"a": 1}, bpe_vocab=600)) == BASE + len([UNSPACED, SPACED, "a", "\x1fa"])
    assert len(learnt({chr(0x4E00 + n): 1 for n in range(700)}, bpe_vocab=512)) == BASE + 2 + 700


def test_what_spells_every_text_is_always_there() -> None:
    vocabulary = learnt({}, reserved=["{{A}}", "{{/A}}"])
    assert list(vocabulary.tokens) == [
        *[*SPECIALS, "{{A}}", "{{/A}}", *BYTES, *BLANKS],
        *[UNSPACED, SPACED],
    ]
    assert set(REQUIRED_SUBWORDS) <= set(vocabulary.tokens)


def test_the_order_of_counting_does_not_matter() -> None:
    words = {f" w{chr(97 + n % 26)}x{chr(97 + n // 26)}": 1 + n % 3 for n in range(300)}
    backwards = dict(reversed(words.items()))
    assert learnt(words).to_json() == learnt(backwards).to_json()


def test_tags_among_the_words_are_pieces_and_teach_nothing() -> None:
    words = {"{{NAME}}": 9, " {{NAME}}": 9, "{{A}}": 9, "\n": 9, " ": 9, " x": 1}
    vocabulary = learnt(words, reserved=["{{A}}", "{{/A}}"])
    assert list(vocabulary.tokens[BASE + len(["{{A}}", "{{/A}}"]) :]) == [
        *["\x1f{{NAME}}", " {{NAME}}", UNSPACED, SPACED, "x", " x"]
    ]


@settings(max_examples=60, deadline=None)
@given(text=texts)
def test_no_piece_reaches_across_words(text: str) -> None:
    words = [word for word, _ in build_pretokenizer().pre_tokenize_str(text)]
    vocabulary = learnt(Counter(words * 2))
    for word in words:
        (again,) = vocabulary.subwords.join(vocabulary.subwords.split(word))
        assert again == word
        assert len(vocabulary.subwords.split(word)) == 1  # all of it is merged
    contents = {piece.removeprefix(UNSPACED) for piece in merged(vocabulary)}
    assert all(any(content in word for word in words) for content in contents)


@settings(max_examples=30, deadline=None)
@given(text=texts)
def test_what_is_saved_is_what_is_read(text: str) -> None:
    vocabulary = learnt(Counter(word for word, _ in build_pretokenizer().pre_tokenize_str(text)))
    again = Vocabulary.from_json(vocabulary.to_json())
    assert again.tokens == vocabulary.tokens
    assert again.to_json() == vocabulary.to_json()
    for other in (text, "\u0301 Amés 👍🏽\u3000", text + text[::-1]):
        assert again.tokenize(other) == vocabulary.tokenize(other)


def changed(**changes: Any) -> str:
    """Return the file of a vocabulary with some parts of its model replaced."""
    content = json.loads(learnt({" Ames": 2, ".": 2}).to_json())
    content["model"] |= changes
    return json.dumps(content)


def without(*tokens: str) -> str:
    vocab = json.loads(changed())["model"]["vocab"]
    kept = [token for token in vocab if token not in tokens]
    return changed(vocab={token: id_ for id_, token in enumerate(kept)}, merges=[])


@pytest.mark.parametrize(
    "changes",
    [
        {"byte_fallback": False},
        {"ignore_merges": False},
        {"dropout": 0.5},
        {"continuing_subword_prefix": "##"},
        {"end_of_word_suffix": "</w>"},
    ],
)
def test_another_kind_of_pieces_is_refused(changes: dict[str, Any]) -> None:
    message = "^the settings of its byte pair encoding are not those of annoseq$"
    if set(changes) <= {"continuing_subword_prefix", "end_of_word_suffix"}:
        changes["merges"] = []
    with pytest.raises(ValueError, match=message):
        Vocabulary.from_json(changed(**changes))


def test_pieces_that_do_not_spell_every_text_are_refused() -> None:
    assert len(REQUIRED_SUBWORDS) == 287
    for lacking in (["<0x41>"], [SPACED], [UNSPACED], ["\x1f\n", "\x1f ", "<0xFF>"]):
        message = f"^it lacks {len(lacking)} of the 287 pieces that spell every text$"
        with pytest.raises(ValueError, match=message):
            Vocabulary.from_json(without(*lacking))


def test_merges_that_make_no_piece_are_refused() -> None:
    for merges in ([["Z", "Z"]], [["A", "s"]], "x", [["A"]]):
        with pytest.raises(ValueError, match=r"^not a tokenizer file: ."):
            Vocabulary.from_json(changed(merges=merges))
