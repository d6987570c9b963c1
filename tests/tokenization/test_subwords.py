from __future__ import annotations

import sys
from collections import Counter

import pytest

from annoseq.config import DataConfig
from annoseq.tokenization import subwords as bpe
from annoseq.tokenization.subwords import BLANKS, BYTES, BytePairEncoding, WholeWords, add_marker
from annoseq.tokenization.vocabulary import SPECIALS

WORDS = Counter(
    {" Ames": 2, "Ames": 2, " A": 9, ".": 2, "e\u0301": 1, "x": 1}
    | {"\n": 2, " {{NAME}}": 2, "{{/NAME}}": 2}
)
MODEL = bpe.train_bpe(
    WORDS,
    fixed=[*SPECIALS, "{{X}}", "{{/X}}"],
    unknown="<unk>",
    config=DataConfig(min_frequency=1, bpe_vocab=1000),
)
PIECES = BytePairEncoding(MODEL)


@pytest.mark.parametrize(
    ("word", "pieces"),
    [
        (" Ames", [" Ames"]),
        ("Ames", ["\x1fAmes"]),
        (" Ax", [" A", "x"]),
        ("\n", ["\x1f\n"]),
        (" ", ["\x1f "]),
        ("\x1f", ["\x1f\x1f"]),
        ("\u3000", ["\x1f\u3000"]),
        # The mark alone, where nothing begins with the character.
        (" s", [" ", "s"]),
        (" \u00d1", [" ", "<0xC3>", "<0x91>"]),
        ("\u6f22A", ["\x1f", "<0xE6>", "<0xBC>", "<0xA2>", "A"]),
        ("\x00", ["\x1f", "<0x00>"]),
        # Tags are pieces where tags are words.
        (" {{NAME}}", [" {{NAME}}"]),
        ("{{/NAME}}", ["\x1f{{/NAME}}"]),
    ],
)
def test_how_words_are_spelled(word: str, pieces: list[str]) -> None:
    assert list(PIECES.split(word)) == pieces
    assert PIECES.join(pieces) == [word]
    assert [PIECES.continues(piece) for piece in pieces] == [False] + [True] * (len(pieces) - 1)
    assert PIECES.is_blank(pieces[0]) == word.isspace()


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        ([], []),
        ([" A", "mes", "\x1f.", "\x1f\n"], [" Ames", ".", "\n"]),
        # A tag ends a word, and so does a special symbol.
        ([" A", "{{X}}", "mes", "{{/X}}"], [" A", "{{X}}", "mes", "{{/X}}"]),
        ([" A", "<unk>", "mes"], [" A", "<unk>", "mes"]),
        # Bytes that are no character, or are so only across words.
        (["<0xC3>"], ["\ufffd"]),
        (["\x1f", "<0xE6>", "<0xBC>", "e"], ["\ufffde"]),
        (["\x1f", "<0xC3>", "\x1f", "<0x91>"], ["\ufffd", "\ufffd"]),
        (["<0xC3>", "{{X}}", "<0x91>"], ["\ufffd", "{{X}}", "\ufffd"]),
        (["e", "<0x91>", "<0xFF>", "<0xED>", "<0xA0>", "<0x80>"], ["e" + 5 * "\ufffd"]),
        # Bytes that are characters, though no text is spelled so.
        (["<0x0A>", "<0x41>"], ["\nA"]),
        # Marks without a word.
        (["\x1f", "\x1f", " ", " ", "e"], ["", "", " ", " e"]),
    ],
)
def test_any_tokens_are_joined(tokens: list[str], words: list[str]) -> None:
    assert PIECES.join(tokens) == words


def test_all_white_space_is_known() -> None:
    blank = [character for character in map(chr, range(sys.maxunicode + 1)) if character.isspace()]
    assert list(BLANKS) == [add_marker(character) for character in blank]
    assert {"\x1f ", "\x1f\t", "\x1f\x1f", "\x1f\u3000"} <= set(BLANKS)


def test_a_mark_that_stands_alone_is_not_white_space() -> None:
    assert not any(map(PIECES.is_blank, [" ", "\x1f", *BYTES, *SPECIALS, "{{X}}", "e", "\x1fe"]))
    assert all(map(PIECES.is_blank, BLANKS))


def test_only_bytes_and_unmarked_pieces_continue_a_word() -> None:
    assert all(map(PIECES.continues, [*BYTES, "e", "mes", "\u0301"]))
    first = [*SPECIALS, "{{X}}", "{{/X}}", " {{X}}", " ", "\x1f", " e", "\x1fe", *BLANKS]
    assert not any(map(PIECES.continues, first))


def test_the_cache_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("annoseq.tokenization.subwords._CACHED_WORDS", 3)
    pieces = BytePairEncoding(MODEL)
    words = [" Ames", "Ames", ".", " A", "x" * 64, "Ames", "x" * 65, "Ames"]
    assert [pieces.join(pieces.split(word)) for word in words] == [[word] for word in words]
    assert set(pieces._cache) == {" A", "x" * 64, "Ames"}


def test_whole_words_are_their_own_tokens() -> None:
    whole = WholeWords()
    tokens = ["Dr", " ", "\x1f", "{{X}}", "<0x41>", " Ames"]
    assert [whole.split(token) for token in tokens] == [(token,) for token in tokens]
    assert whole.join(iter(tokens)) == [whole.visible(token) for token in tokens] == tokens
    assert [whole.is_blank(token) for token in tokens] == [False, True, True, False, False, False]
    assert not any(map(whole.continues, tokens))


def test_a_reader_sees_no_marks() -> None:
    seen = [PIECES.visible(token) for token in ["\x1fDr", " Ames", "\x1f\n", "\x1f", "<0x41>", "e"]]
    assert seen == ["Dr", " Ames", "\n", "", "<0x41>", "e"]
