"""A vocabulary: tokens to ids and back, kept in a file that the `tokenizers` library reads.

Its tokens are words, as the segmentation cuts them, or the pieces of a byte pair encoding.

The four special symbols are words that the segmentation can never cut from a text, and they
are not registered as added tokens: a literal `<pad>` in a note is three ordinary tokens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tokenizers import Tokenizer
from tokenizers.models import BPE, WordLevel

from annoseq.tokenization import subwords as bpe
from annoseq.tokenization.subwords import BytePairEncoding, WholeWords

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable, Mapping, Sequence

    from tokenizers.pre_tokenizers import PreTokenizer

    from annoseq.config import DataConfig
    from annoseq.tokenization.subwords import SubwordModel

SPECIALS = ("<pad>", "<unk>", "<bos>", "<eos>")
PAD, UNKNOWN, BEGIN, END = range(len(SPECIALS))


class Tokens(NamedTuple):
    """A text's tokens, and for each the half-open place of the word that it is, or is a piece of.

    All pieces of a word have the word's place: a span of pieces is a span of whole words.
    """

    tokens: list[str]
    offsets: list[tuple[int, int]]


class Vocabulary:
    """The tokens of one side, each with its id; `subwords` tells how words are written in them.

    `reserved` tokens (the tags) come right after the special symbols; then words by falling
    count, equal counts in code point order, or pieces.
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
        """Keep the most frequent words that were counted at least `min_frequency` times."""
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
        return cls._with(model, pre_tokenizer)

    @classmethod
    def learn(
        cls,
        counts: Counter[str],
        *,
        pre_tokenizer: PreTokenizer,
        reserved: Iterable[str] = (),
        config: DataConfig,
    ) -> Vocabulary:
        """Learn up to `bpe_vocab` pieces from words and their counts."""
        fixed = [*SPECIALS, *reserved]
        model = bpe.learn(counts, fixed=fixed, unknown=SPECIALS[UNKNOWN], config=config)
        return cls._with(model, pre_tokenizer)

    @classmethod
    def _with(cls, model: BPE | WordLevel, pre_tokenizer: PreTokenizer) -> Vocabulary:
        tokenizer = Tokenizer(model)
        tokenizer.pre_tokenizer = pre_tokenizer
        return cls(tokenizer)

    def __len__(self) -> int:
        return len(self.tokens)

    def tokenize(self, text: str) -> Tokens:
        """Cut a text into tokens; joined by the spelling, they are the text."""
        tokens: list[str] = []
        offsets: list[tuple[int, int]] = []
        for word, place in self._cut_by.pre_tokenize_str(text):
            written = self.subwords.split(word)
            tokens += written
            offsets += [place] * len(written)
        return Tokens(tokens, offsets)

    def pre_tokenize(self, text: str) -> list[str]:
        """Cut a text into words; joined, they are the text."""
        return [word for word, _ in self._cut_by.pre_tokenize_str(text)]

    def split_words(self, words: Iterable[str]) -> list[str]:
        """Write words in tokens."""
        return [token for word in words for token in self.subwords.split(word)]

    def tokens_to_ids(self, tokens: Iterable[str]) -> list[int]:
        """Return the ids of tokens, `UNKNOWN` for those that the vocabulary lacks."""
        return [self.ids.get(token, UNKNOWN) for token in tokens]

    def to_json(self) -> str:
        """Write the vocabulary and its segmentation as the `tokenizers` library does."""
        return str(self._tokenizer.to_str(pretty=True))

    @classmethod
    def from_json(cls, text: str) -> Vocabulary:
        """Read what `to_json` wrote.

        Raises:
            ValueError: the text is not a tokenizer, or not one of ours.
        """
        try:
            tokenizer = Tokenizer.from_str(text)
        except Exception as error:
            raise ValueError(f"not a tokenizer file: {error}") from error
        if tokenizer.pre_tokenizer is None:
            raise ValueError("the tokenizer has no rule that cuts a text into tokens")
        vocabulary = cls(tokenizer)
        if tuple(vocabulary.tokens[: len(SPECIALS)]) != SPECIALS:
            raise ValueError(f"the first tokens are not {', '.join(SPECIALS)}")
        if sorted(vocabulary.ids.values()) != list(range(len(vocabulary))):
            raise ValueError("the ids of the tokens do not run from 0 without a gap")
        if isinstance(tokenizer.model, BPE):
            bpe.check(tokenizer.model, vocabulary.ids)
        return vocabulary
