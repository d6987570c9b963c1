"""Sub-word models: whole words, or byte pair encoding within words.

Byte pair encoding (Sennrich, Haddow and Birch 2016, "Neural machine translation of rare words with
subword units") merges the most frequent pair of adjacent sub-words, again and again. It is learned
from source and target together, so that a copied word has the same sub-words, and represents any
text:

- The first sub-word of a word begins with a marker: the word's own space, or `UNSPACED` where it
  has none. The others have no marker, so that word boundaries can be restored. A marker may be a
  sub-word by itself, before a character that no sub-word begins with.
- White space that is a word of its own is one sub-word: `UNSPACED` and the character.
- A character that the training pairs lack is the bytes of its UTF-8, `<0x00>` to `<0xFF>`.

None of these can be confused with another, with a tag or with a special symbol, whatever the text:
both markers are white space, which a word has only in front, and punctuation marks are words of
their own.
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
"""Markers at the beginning of the first sub-word of a word."""
BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
BLANKS = tuple(UNSPACED + character for character in map(chr, range(0x3001)) if character.isspace())
REQUIRED_SUBWORDS = (*BYTES, *BLANKS, SPACED, UNSPACED)
"""Sub-words that are needed to represent every text."""

_CACHED_WORDS, _CACHED_LENGTH = 1 << 16, 64
"""Most words whose sub-words are cached, and their greatest length in characters."""
_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
_SYMBOL = re.compile(r"<[a-z]+>")  # the special symbols


class SubwordModel(Protocol):
    """Interface of the sub-word models of a vocabulary."""

    def split(self, word: str) -> Sequence[str]:
        """Return the tokens of a word."""

    def join(self, tokens: Iterable[str]) -> list[str]:
        """Join tokens to words; tags and special symbols stay as they are."""

    def is_blank(self, token: str) -> bool:
        """Return True if a token is white space, and not the beginning of a word."""

    def continues(self, token: str) -> bool:
        """Return True if a token continues the word of the token before it."""

    def visible(self, token: str) -> str:
        """Return a token as shown to a reader."""


class WholeWords:
    """Sub-word model in which every word is one token."""

    def split(self, word: str) -> Sequence[str]:
        """Return the word as it is."""
        return (word,)

    def join(self, tokens: Iterable[str]) -> list[str]:
        """Return the tokens as they are."""
        return list(tokens)

    def is_blank(self, token: str) -> bool:
        """Return True if a token is white space."""
        return token.isspace()

    def continues(self, token: str) -> bool:
        """Return False: no token continues the one before it."""
        return False

    def visible(self, token: str) -> str:
        """Return the token as it is."""
        return token


class _ParsedSubword(NamedTuple):
    content: bytes
    begins: bool  # a word
    is_special: bool  # a tag or a special symbol


class BytePairEncoding:
    """Byte pair encoding: words are split into sub-words."""

    def __init__(self, model: BPE) -> None:
        self._model = model
        self._cache: dict[str, tuple[str, ...]] = {}

    def split(self, word: str) -> Sequence[str]:
        """Return the sub-words of a word."""
        pieces = self._cache.get(word)
        if pieces is None:
            pieces = tuple(piece.value for piece in self._model.tokenize(add_marker(word)))
            if len(word) <= _CACHED_LENGTH:
                if len(self._cache) == _CACHED_WORDS:
                    self._cache.clear()
                self._cache[word] = pieces
        return pieces

    def join(self, tokens: Iterable[str]) -> list[str]:
        """Join sub-words to words; bytes that are not UTF-8 become U+FFFD."""
        words: list[bytes] = []
        is_open = False
        for content, begins, is_special in map(_parse_subword, tokens):
            if is_open and not (begins or is_special):
                words[-1] += content
            else:
                words.append(content)
            is_open = not is_special
        return [word.decode("utf-8", errors="replace") for word in words]

    def is_blank(self, token: str) -> bool:
        """Return True if a sub-word is white space; a marker by itself is not."""
        return token[:1] == UNSPACED and token[1:].isspace()

    def continues(self, token: str) -> bool:
        """Return True if a sub-word continues the word of the one before it."""
        _, begins, is_special = _parse_subword(token)
        return not (begins or is_special)

    def visible(self, token: str) -> str:
        """Return a sub-word without the marker of a word that has no space before it."""
        return token.removeprefix(UNSPACED)


def add_marker(word: str) -> str:
    """Return a word with its marker: a word that has a space in front has it already."""
    return word if len(word) > 1 and word[0] == SPACED else UNSPACED + word


@lru_cache(maxsize=_CACHED_WORDS)
def _parse_subword(token: str) -> _ParsedSubword:
    if byte := _BYTE.fullmatch(token):
        return _ParsedSubword(bytes.fromhex(byte[1]), begins=False, is_special=False)
    return _ParsedSubword(
        token.removeprefix(UNSPACED).encode(),
        begins=token.startswith((SPACED, UNSPACED)),
        is_special=is_tag(token) or _SYMBOL.fullmatch(token) is not None,
    )


def train_bpe(
    counts: Counter[str], *, fixed: Sequence[str], unknown: str, config: DataConfig
) -> BPE:
    """Learn a byte pair encoding from words and their counts.

    The vocabulary begins with the `fixed` tokens. Then come the bytes, white space, the tags among
    the words (those are never split), every character, and what is merged from them, the first
    merge first.
    """
    tags = sorted(add_marker(word) for word in counts.keys() - set(fixed) if is_tag(word))
    whole = [*fixed, *BYTES, *BLANKS, *tags]
    trained = Tokenizer(BPE())
    trainer = BpeTrainer(
        vocab_size=max(config.bpe_vocab - len(whole), 0),
        min_frequency=config.min_frequency,
        initial_alphabet=[SPACED, UNSPACED],
        show_progress=False,
    )
    trained.train_from_iterator(
        (add_marker(word) for word in counts.elements() if not (word.isspace() or is_tag(word))),
        trainer,
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


def check_bpe(model: BPE, ids: Mapping[str, int]) -> None:
    """Check that a model read from a file can represent every text.

    Raises:
        ValueError: it cannot.
    """
    if not (model.byte_fallback and model.ignore_merges) or (
        model.dropout or model.continuing_subword_prefix or model.end_of_word_suffix
    ):
        raise ValueError("the settings of its byte pair encoding are not those of annoseq")
    missing = sum(token not in ids for token in REQUIRED_SUBWORDS)
    if missing:
        raise ValueError(
            f"it lacks {missing} of the {len(REQUIRED_SUBWORDS)} pieces that spell every text"
        )
