"""Sub-words: whole words, or byte pair encoding within a pre-token.

Either whole, or in pieces (Sennrich et al. 2016), which spell any text:

- The first piece of a word begins with a mark: the word's own space, or `UNSPACED` where it has
  none. The others have no mark. So a piece tells whether a word begins with it, and the ends of
  words need no mark. A mark may stand alone, before a character that no piece begins with.
- White space that is a word of its own is one piece: `UNSPACED` and the character.
- A character that the training pairs lack is the bytes of its UTF-8, `<0x00>` to `<0xFF>`.

No two of these can be taken for one another, nor for a tag or a special symbol, whatever the
text: both marks are white space, which no word has but in front, and punctuation marks are words
of their own.

After Sennrich, Haddow and Birch 2016, "Neural machine translation of rare words with subword
units": the pair of pieces that stands side by side most often becomes a piece, again and again.
Both sides of the pairs are learnt from together, so that a word that is copied is written alike.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, Protocol

from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer

from annoseq.tokenization.pretokenizer import is_tag

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable, Mapping, Sequence

    from annoseq.config import DataConfig


SPACED, UNSPACED = " ", "\x1f"
"""What the first piece of a word begins with."""
BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
BLANKS = tuple(UNSPACED + character for character in map(chr, range(0x3001)) if character.isspace())
SPELL_ALL = (*BYTES, *BLANKS, SPACED, UNSPACED)
"""The pieces without which not every text could be spelled."""

_REMEMBERED, _SHORT = 1 << 16, 64
"""How many words' pieces are remembered, and up to what length: any number of texts may come."""
_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
_SYMBOL = re.compile(r"<[a-z]+>")  # the special symbols


class SubwordModel(Protocol):
    """The tokens of a vocabulary, as writing."""

    def split(self, word: str) -> Sequence[str]:
        """Return the tokens that a word is written in."""

    def join(self, tokens: Iterable[str]) -> list[str]:
        """Put tokens back together to words; tags and special symbols stay as they are."""

    def is_blank(self, token: str) -> bool:
        """Tell whether a token is white space, and not the beginning of a word."""

    def continues(self, token: str) -> bool:
        """Tell whether a token goes on with the word of the token before it."""

    def visible(self, token: str) -> str:
        """Return a token as a reader should see it."""


class WholeWords:
    """Every word is a token."""

    def split(self, word: str) -> Sequence[str]:
        """Return the word as it is."""
        return (word,)

    def join(self, tokens: Iterable[str]) -> list[str]:
        """Return the tokens as they are."""
        return list(tokens)

    def is_blank(self, token: str) -> bool:
        """Tell whether a token is white space."""
        return token.isspace()

    def continues(self, token: str) -> bool:
        """Tell that no token goes on with the one before it."""
        return False

    def visible(self, token: str) -> str:
        """Return the token as it is."""
        return token


class _Piece(NamedTuple):
    content: bytes
    begins: bool  # a word
    is_apart: bool  # a tag or a special symbol


class BytePairEncoding:
    """Words are written in the pieces of a byte pair encoding."""

    def __init__(self, model: BPE) -> None:
        self._model = model
        self._remembered: dict[str, tuple[str, ...]] = {}

    def split(self, word: str) -> Sequence[str]:
        """Return the pieces of a word."""
        pieces = self._remembered.get(word)
        if pieces is None:
            pieces = tuple(piece.value for piece in self._model.tokenize(mark(word)))
            if len(word) <= _SHORT:
                if len(self._remembered) == _REMEMBERED:
                    self._remembered.clear()
                self._remembered[word] = pieces
        return pieces

    def join(self, tokens: Iterable[str]) -> list[str]:
        """Put pieces together to words; bytes that are no UTF-8 become U+FFFD."""
        words: list[bytes] = []
        is_open = False
        for content, begins, is_apart in map(_read, tokens):
            if is_open and not (begins or is_apart):
                words[-1] += content
            else:
                words.append(content)
            is_open = not is_apart
        return [word.decode("utf-8", errors="replace") for word in words]

    def is_blank(self, token: str) -> bool:
        """Tell whether a piece is white space; a mark that stands alone is not."""
        return token[:1] == UNSPACED and token[1:].isspace()

    def continues(self, token: str) -> bool:
        """Tell whether a piece goes on with the word of the piece before it."""
        _, begins, is_apart = _read(token)
        return not (begins or is_apart)

    def visible(self, token: str) -> str:
        """Return a piece without the mark of a word that has no space before it."""
        return token.removeprefix(UNSPACED)


def mark(word: str) -> str:
    """Put the mark in front of a word, that has none yet if it has no space."""
    return word if len(word) > 1 and word[0] == SPACED else UNSPACED + word


@lru_cache(maxsize=_REMEMBERED)
def _read(token: str) -> _Piece:
    if byte := _BYTE.fullmatch(token):
        return _Piece(bytes.fromhex(byte[1]), begins=False, is_apart=False)
    return _Piece(
        token.removeprefix(UNSPACED).encode(),
        begins=token.startswith((SPACED, UNSPACED)),
        is_apart=is_tag(token) or _SYMBOL.fullmatch(token) is not None,
    )


def learn(counts: Counter[str], *, fixed: Sequence[str], unknown: str, config: DataConfig) -> BPE:
    """Learn pieces from words and their counts.

    The vocabulary begins with the `fixed` tokens. Then come the bytes, white space, the tags among
    the words (those are never split), every character, and what is merged from them, the first
    merge first.
    """
    tags = sorted(mark(word) for word in counts.keys() - set(fixed) if is_tag(word))
    whole = [*fixed, *BYTES, *BLANKS, *tags]
    trained = Tokenizer(BPE())
    trainer = BpeTrainer(
        vocab_size=max(config.bpe_vocab - len(whole), 0),
        min_frequency=config.min_frequency,
        initial_alphabet=[SPACED, UNSPACED],
        show_progress=False,
    )
    trained.train_from_iterator(
        (mark(word) for word in counts.elements() if not (word.isspace() or is_tag(word))), trainer
    )
    model = json.loads(trained.to_str())["model"]
    tokens = [*whole, *sorted(model["vocab"], key=model["vocab"].__getitem__)]
    return BPE(
        {token: id_ for id_, token in enumerate(tokens)},
        [tuple(merge) for merge in model["merges"]],
        unk_token=unknown,
        byte_fallback=True,
        ignore_merges=True,  # white space and tags are pieces that nothing is merged to
    )


def check(model: BPE, ids: Mapping[str, int]) -> None:
    """Make sure that a model that was read spells every text.

    Raises:
        ValueError: it does not.
    """
    if not (model.byte_fallback and model.ignore_merges) or (
        model.dropout or model.continuing_subword_prefix or model.end_of_word_suffix
    ):
        raise ValueError("the settings of its byte pair encoding are not those of annoseq")
    lacking = sum(token not in ids for token in SPELL_ALL)
    if lacking:
        raise ValueError(f"it lacks {lacking} of the {len(SPELL_ALL)} pieces that spell every text")
