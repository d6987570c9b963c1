"""Vocabulary: tokens to ids and back, in the file format of the `tokenizers` library.

Its tokens are words, as the pre-tokenizer splits them, or the sub-words of a byte pair encoding.

The four special symbols are words that the pre-tokenizer can never split from a text, and they
are not registered as added tokens: a literal `<pad>` in a note is three ordinary tokens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tokenizers import Tokenizer
from tokenizers.models import BPE, WordLevel

from annoseq.tokenization.subwords import BytePairEncoding, WholeWords, check_bpe, train_bpe

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable, Mapping, Sequence

    from tokenizers.pre_tokenizers import PreTokenizer

    from annoseq.config import DataConfig
    from annoseq.tokenization.subwords import SubwordModel

SPECIALS = ("<pad>", "<unk>", "<bos>", "<eos>")
PAD, UNKNOWN, BEGIN, END = range(len(SPECIALS))


class Tokens(NamedTuple):
    """Tokens of a text, with the offsets `(start, end)` of the word of each.

    All sub-words of a word have the offsets of the word: a span of sub-words is one of whole words.
    """

    tokens: list[str]
    offsets: list[tuple[int, int]]


class Vocabulary:
    """Tokens of the source or the target, with their ids; `subwords` splits words into them.

    `reserved` tokens (the tags) come right after the special symbols; then words by falling
    count, equal counts in code point order, or sub-words.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._cut_by: PreTokenizer = tokenizer.pre_tokenizer
        model = tokenizer.model
        self.subwords: SubwordModel = (
            BytePairEncoding(model) if isinstance(model, BPE) else WholeWords()
        )
        self.ids: Mapping[str, int] = tokenizer.get_vocab(with_added_tokens=False)
        self.tokens: Sequence[str] = sorted(self.ids, key=self.ids.__getitem__)

    @classmethod
    def build(
        cls,
        counts: Counter[str],
        *,
        pre_tokenizer: PreTokenizer,
        reserved: Iterable[str] = (),
        config: DataConfig,
    ) -> Vocabulary:
        """Build a vocabulary of the most frequent words, seen at least `min_frequency` times."""
        fixed = [*SPECIALS, *reserved]
        known = set(fixed)
        frequent = [
            token
            for token, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
            if count >= config.min_frequency and token not in known
        ]
        words = (fixed + frequent)[: max(config.max_vocab, len(fixed))]
        model = WordLevel(
            {word: id_ for id_, word in enumerate(words)}, unk_token=SPECIALS[UNKNOWN]
        )
        return cls._from_model(model, pre_tokenizer)

    @classmethod
    def train_bpe(
        cls,
        counts: Counter[str],
        *,
        pre_tokenizer: PreTokenizer,
        reserved: Iterable[str] = (),
        config: DataConfig,
    ) -> Vocabulary:
        """Learn a vocabulary of up to `bpe_vocab` sub-words from words and their counts."""
        fixed = [*SPECIALS, *reserved]
        model = train_bpe(counts, fixed=fixed, unknown=SPECIALS[UNKNOWN], config=config)
        return cls._from_model(model, pre_tokenizer)

    @classmethod
    def _from_model(cls, model: BPE | WordLevel, pre_tokenizer: PreTokenizer) -> Vocabulary:
        tokenizer = Tokenizer(model)
        tokenizer.pre_tokenizer = pre_tokenizer
        return cls(tokenizer)

    def __len__(self) -> int:
        return len(self.tokens)

    def tokenize(self, text: str) -> Tokens:
        """Split a text into tokens; joined by `subwords.join`, they are the text."""
        tokens: list[str] = []
        offsets: list[tuple[int, int]] = []
        for word, place in self._cut_by.pre_tokenize_str(text):
            pieces = self.subwords.split(word)
            tokens += pieces
            offsets += [place] * len(pieces)
        return Tokens(tokens, offsets)

    def pre_tokenize(self, text: str) -> list[str]:
        """Split a text into words; joined, they are the text."""
        return [word for word, _ in self._cut_by.pre_tokenize_str(text)]

    def split_words(self, words: Iterable[str]) -> list[str]:
        """Split words into tokens."""
        return [token for word in words for token in self.subwords.split(word)]

    def tokens_to_ids(self, tokens: Iterable[str]) -> list[int]:
        """Return the ids of tokens, `UNKNOWN` for those that the vocabulary lacks."""
        return [self.ids.get(token, UNKNOWN) for token in tokens]

    def to_json(self) -> str:
        """Return the vocabulary and its pre-tokenizer in the JSON of the `tokenizers` library."""
        return str(self._tokenizer.to_str(pretty=True))

    @classmethod
    def from_json(cls, text: str) -> Vocabulary:
        """Read what `to_json` wrote.

        Raises:
            ValueError: the text is not a tokenizer, or not one of annoseq.
        """
        try:
            tokenizer = Tokenizer.from_str(text)
        except Exception as error:  # the library raises `Exception` itself, and no other kind
            raise ValueError(f"not a tokenizer file: {error}") from error
        if tokenizer.pre_tokenizer is None:
            raise ValueError("the tokenizer has no rule that cuts a text into tokens")
        vocabulary = cls(tokenizer)
        if tuple(vocabulary.tokens[: len(SPECIALS)]) != SPECIALS:
            raise ValueError(f"the first tokens are not {', '.join(SPECIALS)}")
        if sorted(vocabulary.ids.values()) != list(range(len(vocabulary))):
            raise ValueError("the ids of the tokens do not run from 0 without a gap")
        if isinstance(tokenizer.model, BPE):
            check_bpe(tokenizer.model, vocabulary.ids)
        return vocabulary
