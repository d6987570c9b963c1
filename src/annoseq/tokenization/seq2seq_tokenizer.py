"""Tokenizer of sequence-to-sequence models: examples to ids, and ids to text."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from annoseq.data.folder_files import MEBIBYTE
from annoseq.data.markup import closing, opening
from annoseq.errors import count_noun
from annoseq.tokenization.length_stats import LengthStats
from annoseq.tokenization.linearize import (
    TokenizedPair,
    align_to_tokens,
    delinearize,
    linearize,
    move_spaces,
)
from annoseq.tokenization.pretokenizer import build_pretokenizer
from annoseq.tokenization.subwords import BytePairEncoding
from annoseq.tokenization.vocabulary import SPECIALS, Tokens, Vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from torch import Tensor

    from annoseq.config import DataConfig, Task
    from annoseq.data.examples import Example

SOURCE_FILE, TARGET_FILE, LABELS_FILE = "source.json", "target.json", "labels.json"
FILES = (SOURCE_FILE, TARGET_FILE, LABELS_FILE)
VOCABULARY_BYTES: dict[str, int | None] = dict.fromkeys(FILES, 1024 * MEBIBYTE)
"""Size in bytes that none of these files exceeds."""


class Seq2SeqEncoding(NamedTuple):
    """Ids of a source and its target, without begin and end symbols."""

    source: list[int]
    target: list[int]


class EncodedExamples(NamedTuple):
    """Encodings of examples, in their order.

    `misaligned` counts spans that do not end between tokens, which the model sees widened to whole
    ones, but for those of them that are left out: `dropped`, whose token is another's, and
    `blank`, of white space alone.
    """

    encodings: Sequence[Seq2SeqEncoding]
    misaligned: int
    dropped: int = 0
    blank: int = 0


@dataclass(frozen=True, repr=False)
class Seq2SeqTokenizer:
    """Source and target vocabularies, labels, and length statistics of the training examples."""

    task: Task
    source: Vocabulary
    target: Vocabulary
    labels: tuple[str, ...]
    length_stats: LengthStats
    _tags: frozenset[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_tags", frozenset(_tag_tokens(self.labels)))

    def __repr__(self) -> str:  # without the tokens, which are words of the training texts
        target = count_noun(len(self.target), "target token")
        return (
            f"<Seq2SeqTokenizer: {self.task}, {len(self.source):,} source and {target}, "
            f"{count_noun(len(self.labels), 'label')}>"
        )

    @classmethod
    def fit(
        cls, examples: Sequence[Example], *, task: Task, config: DataConfig
    ) -> Seq2SeqTokenizer:
        """Build the vocabularies from training examples; of sub-words one, shared by both sides."""
        labels = tuple(sorted({span.label for row in examples for span in row.spans or ()}))
        pre_tokenizer = build_pretokenizer(keeps_tags=task == "translate")
        empty = Vocabulary.build(Counter(), pre_tokenizer=pre_tokenizer, config=config)
        word_tokenizer = cls(task, empty, empty, labels, LengthStats())
        source, target = Counter[str](), Counter[str]()

        def count_words() -> Iterator[TokenizedPair]:
            for example in examples:
                pair = word_tokenizer.tokenize(example)
                source.update(pair.source)
                target.update(pair.target)
                yield pair

        length_stats = LengthStats.measure(count_words())
        tags = list(_tag_tokens(labels))
        if config.tokens == "bpe":
            # The larger count, not the sum: a word that is copied has been seen once.
            shared = Vocabulary.train_bpe(
                source | target, pre_tokenizer=pre_tokenizer, reserved=tags, config=config
            )
            tokenizer = cls(task, shared, shared, labels, length_stats)
            return replace(
                tokenizer, length_stats=LengthStats.measure(map(tokenizer.tokenize, examples))
            )
        return cls(
            task,
            Vocabulary.build(source, pre_tokenizer=pre_tokenizer, config=config),
            Vocabulary.build(target, pre_tokenizer=pre_tokenizer, reserved=tags, config=config),
            labels,
            length_stats,
        )

    def output_limits(self, source_lengths: Tensor) -> Tensor:
        """Return the most tokens that outputs may have (B,); all lengths count the end symbol."""
        return (source_lengths * self.length_stats.growth).ceil().long()

    def tokenize(self, example: Example) -> TokenizedPair:
        """Split source and target into tokens; tags are tokens of the target."""
        if example.spans is None:
            return TokenizedPair(
                _tokenize(self.source, example.source), _tokenize(self.target, example.target)
            )
        tokens, offsets = self.source.tokenize(example.source)
        found = align_to_tokens(example.source, offsets, example.spans)
        target, counts = linearize(tokens, found.spans), (found.misaligned, len(found.dropped))
        return TokenizedPair(tokens, target, *counts, found.spans, len(found.blank))

    def encode(self, pair: TokenizedPair) -> Seq2SeqEncoding:
        """Return the ids of tokens."""
        return Seq2SeqEncoding(
            self.source.tokens_to_ids(pair.source), self.target.tokens_to_ids(pair.target)
        )

    def encode_examples(self, examples: Iterable[Example]) -> EncodedExamples:
        """Tokenize and encode examples."""
        encodings: list[Seq2SeqEncoding] = []
        misaligned = dropped = blank = 0
        for pair in map(self.tokenize, examples):
            encodings.append(self.encode(pair))
            misaligned += pair.misaligned
            dropped += pair.dropped
            blank += pair.blank
        return EncodedExamples(encodings, misaligned, dropped, blank)

    def encode_source(self, text: str) -> Seq2SeqEncoding:
        """Return the ids of a text without a target."""
        if self.task == "translate":
            tokens = _tokenize(self.source, text)
        else:
            tokens = self.source.tokenize(text).tokens
        return Seq2SeqEncoding(self.source.tokens_to_ids(tokens), [])

    def encode_text(self, text: str) -> tuple[Tokens, list[int]]:
        """Return the tokens of a text of the annotate task, with their offsets, and their ids."""
        tokens = self.source.tokenize(text)
        return tokens, self.source.tokens_to_ids(tokens.tokens)

    def decode(self, ids: Iterable[int]) -> str:
        """Return target ids as text; a special symbol appears as it is named."""
        words = self.target.subwords.join(self.target.tokens[id_] for id_ in ids)
        if self.task == "annotate":
            return delinearize(words, tags=self._tags)
        return "".join(move_spaces(words, back=True))

    def signature(self) -> str:
        """Return a checksum of everything that decides what an id means."""
        parts = (self.task, self.source.to_json(), self.target.to_json())
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    def save(self, folder: Path) -> None:
        """Write the vocabularies and labels into `folder` as JSON."""
        (folder / SOURCE_FILE).write_text(self.source.to_json(), encoding="utf-8")
        (folder / TARGET_FILE).write_text(self.target.to_json(), encoding="utf-8")
        labels = json.dumps(list(self.labels), ensure_ascii=False, indent=1)
        (folder / LABELS_FILE).write_text(labels + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, *, task: Task, length_stats: LengthStats) -> Seq2SeqTokenizer:
        """Read what `save` wrote.

        Raises:
            OSError: a file cannot be read.
            ValueError: a file is not what `save` wrote.
        """
        with _name_file(SOURCE_FILE):
            source = Vocabulary.from_json((folder / SOURCE_FILE).read_text(encoding="utf-8"))
        with _name_file(TARGET_FILE):
            target = Vocabulary.from_json((folder / TARGET_FILE).read_text(encoding="utf-8"))
        with _name_file(LABELS_FILE):
            labels = _parse_labels((folder / LABELS_FILE).read_text(encoding="utf-8"))
        has_subwords = any(isinstance(side.subwords, BytePairEncoding) for side in (source, target))
        if has_subwords and source.to_json() != target.to_json():
            raise ValueError(f"{SOURCE_FILE} does not fit {TARGET_FILE}")
        tags = list(_tag_tokens(labels))
        if target.tokens[len(SPECIALS) : len(SPECIALS) + len(tags)] != tags:
            raise ValueError(f"{LABELS_FILE} does not fit {TARGET_FILE}")
        return cls(task, source, target, labels, length_stats)


def _tokenize(vocabulary: Vocabulary, text: str) -> list[str]:
    return vocabulary.split_words(move_spaces(vocabulary.pre_tokenize(text)))


def _tag_tokens(labels: Iterable[str]) -> Iterator[str]:
    for label in labels:
        yield opening(label)
        yield closing(label)


def _parse_labels(text: str) -> tuple[str, ...]:
    labels = json.loads(text)
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise ValueError("not a list of labels")
    return tuple(labels)


@contextmanager
def _name_file(file: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error
