"""Tokenizer of taggers: examples to token numbers and BIOES tags.

It has no vocabulary: tokens are hashed, so neither its files nor the weights list the words of the
training texts.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from annoseq.config.networks import MAX_LABELS
from annoseq.errors import DatasetError, count_noun
from annoseq.tokenization.batch_pretokenizer import BatchPreTokenizer
from annoseq.tokenization.bioes import bioes_name, spans_to_bioes
from annoseq.tokenization.gazetteer import LexiconMatcher
from annoseq.tokenization.hash_features import FeatureHasher
from annoseq.tokenization.length_stats import LengthStats
from annoseq.tokenization.linearize import TokenizedPair, align_to_tokens

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from annoseq.config import Task
    from annoseq.data.examples import Example
    from annoseq.tokenization.batch_pretokenizer import CutTexts
    from annoseq.tokenization.gazetteer import LexiconFeatures
    from annoseq.tokenization.vocabulary import Tokens
    from annoseq.vectors.lookup import TokenVectors

TAGGING_FILE = "tagging.json"
_ROWS_AT_ONCE = 1_000
"""Rows that are cut and numbered together, which bounds the memory."""
_SPLIT_DIGITS_SHARE = 0.005
"""Digits are read in runs, unless more than this share of spans would end within one."""


class TaggerEncoding(NamedTuple):
    """An example: the number of each token, and the BIOES tags of each, one for each level."""

    source: list[int]
    target: list[tuple[int, ...]]


class _TaggerTokenizerFile(BaseModel):
    """Contents of `tagging.json`."""

    model_config = ConfigDict(extra="forbid")

    labels: tuple[str, ...]
    joins_digits: bool
    lexicon_matcher: LexiconMatcher


@dataclass(frozen=True, repr=False)
class TaggerTokenizer:
    """Pre-tokenizer, feature hasher and lexicons, labels, and statistics of the training examples.

    `feature_hasher` holds the tokens met so far. It is never saved, nor are the counts of spans of
    the training examples: `misaligned`, those that do not end between tokens, which the model sees
    widened to whole ones, but for those of them that are left out: `dropped`, whose token is
    another's, and `blank`, of white space alone.
    """

    labels: tuple[str, ...]
    length_stats: LengthStats
    feature_hasher: FeatureHasher
    joins_digits: bool = True
    lexicon_matcher: LexiconMatcher = field(default_factory=LexiconMatcher)
    task: Task = "annotate"
    misaligned: int = field(default=0, compare=False)
    dropped: int = field(default=0, compare=False)
    blank: int = field(default=0, compare=False)

    def __repr__(self) -> str:  # without the entries of lexicons
        labels, levels = count_noun(len(self.labels), "label"), count_noun(self.levels, "level")
        return f"<TaggerTokenizer: {labels}, {levels}>"

    @classmethod
    def fit(
        cls,
        examples: Sequence[Example],
        *,
        buckets: int,
        lexicon_features: LexiconFeatures,
        vectors: TokenVectors | None = None,
    ) -> TaggerTokenizer:
        """Collect labels and statistics of training examples, and read the lexicons.

        Raises:
            DatasetError: there are more labels than `MAX_LABELS`.
            OptionError: a lexicon or the patterns cannot be read.
        """
        labels = tuple(sorted(_labels(examples)))
        _check_number(labels)
        tokenizers = [
            cls(labels, LengthStats(), FeatureHasher(buckets=buckets), joins_digits=joins)
            for joins in (True, False)
        ]
        tokenized = [[*map(tokenizer.tokenize_example, examples)] for tokenizer in tokenizers]
        in_runs, single = (sum(pair.misaligned for pair in pairs) for pairs in tokenized)
        spans = sum(len(example.spans or ()) for example in examples)
        chosen = int(in_runs - single > _SPLIT_DIGITS_SHARE * spans)
        tokenizer = tokenizers[chosen]
        return cls(
            labels,
            LengthStats.measure(tokenized[chosen]),
            FeatureHasher(buckets=buckets, vectors=vectors),
            tokenizer.joins_digits,
            lexicon_features.read(tokenize=lambda text: tokenizer.tokenize(text).tokens),
            misaligned=single if chosen else in_runs,
            dropped=sum(pair.dropped for pair in tokenized[chosen]),
            blank=sum(pair.blank for pair in tokenized[chosen]),
        )

    def with_labels_of(self, examples: Sequence[Example]) -> TaggerTokenizer:
        """Return the tokenizer with the labels of examples that it does not know after its own.

        Raises:
            DatasetError: there are more labels than `MAX_LABELS`.
        """
        new = sorted(_labels(examples) - set(self.labels))
        labels = (*self.labels, *new)
        _check_number(labels)
        return replace(self, labels=labels)

    @property
    def levels(self) -> int:
        """Number of levels of nested spans, at least 1."""
        return max(self.length_stats.depth, 1)

    @property
    def widest(self) -> int:
        """Most tokens of a span that is not the likeliest: twice those of training."""
        return max(2 * self.length_stats.longest_span, 1)

    @cached_property
    def _pre_tokenizer(self) -> BatchPreTokenizer:
        return BatchPreTokenizer(joins_digits=self.joins_digits)

    def tokenize(self, text: str) -> Tokens:
        """Split a text into tokens; joined, they are the text."""
        return self._pre_tokenizer.cut([text]).of_text(0)

    def tokenize_example(self, example: Example) -> TokenizedPair:
        """Split the source into tokens, and align the spans to them."""
        tokens, offsets = self.tokenize(example.source)
        found = align_to_tokens(example.source, offsets, example.spans or ())
        counts = found.misaligned, len(found.dropped)
        return TokenizedPair(tokens, tokens, *counts, found.spans, len(found.blank))

    def encode_text(self, text: str) -> tuple[Tokens, list[int]]:
        """Return the tokens of a text, with their offsets, and their numbers.

        Raises:
            OptionError: a pattern takes too long.
        """
        cut = self._pre_tokenizer.cut([text])
        return cut.of_text(0), self._number([text], cut)

    def encode_texts(self, texts: Sequence[str]) -> tuple[CutTexts, NDArray[np.int64]]:
        """Return the tokens of many texts, and their numbers (T,).

        Raises:
            OptionError: a pattern takes too long.
        """
        cut = self._pre_tokenizer.cut(texts)
        return cut, np.array(self._number(texts, cut), np.int64)

    def encode(
        self, examples: Sequence[Example], *, is_training: bool = False
    ) -> list[TaggerEncoding]:
        """Encode examples as numbers and tags.

        A span whose label is not known cannot be found: in training that is an error.

        Raises:
            DatasetError: a label that the training examples lack.
            OptionError: a pattern takes too long.
        """
        labels = {label: number for number, label in enumerate(self.labels)}
        unknown = {span.label for row in examples for span in row.spans or ()} - labels.keys()
        if unknown and is_training:
            raise DatasetError(
                f"the pairs have the label {min(unknown)}, which the model does not know. Train a "
                "new model on all pairs, or leave these out."
            )
        chunks = range(0, len(examples), _ROWS_AT_ONCE)
        return [
            TaggerEncoding(numbers, self._tags(example, tokens, labels))
            for rows in (examples[start : start + _ROWS_AT_ONCE] for start in chunks)
            for example, (tokens, numbers) in zip(rows, self._encode_rows(rows), strict=True)
        ]

    def _encode_rows(self, rows: Sequence[Example]) -> Iterator[tuple[Tokens, list[int]]]:
        """Yield the tokens of rows, with their offsets, and their numbers."""
        cut, numbers = self.encode_texts([row.source for row in rows])
        for index, (first, last) in enumerate(pairwise(cut.bounds)):
            yield cut.of_text(index), numbers[first:last].tolist()

    def _tags(
        self, example: Example, tokens: Tokens, labels: Mapping[str, int]
    ) -> list[tuple[int, ...]]:
        aligned = align_to_tokens(example.source, tokens.offsets, example.spans or ())
        return spans_to_bioes(
            aligned.spans,
            tokens=len(tokens.tokens),
            levels=self.levels,
            labels=labels,
            self_nested=self.length_stats.self_nested,
        )

    def count_nested_too_deep(self, examples: Sequence[Example]) -> int:
        """Count the spans that the tags cannot hold: those nested deeper than in training.

        Spans with a label that is not known, or without a token, are not counted.
        """
        known = set(self.labels)
        tokenized = map(self.tokenize_example, examples)
        spans = sum(span.label in known for row in tokenized for span in row.aligned_spans)
        begins = {0, 3}  # the blocks of begin and of single tags, of which each span has one
        held = sum(
            (tag - 1) // len(known) in begins
            for row in self.encode(examples)
            for tags in row.target
            for tag in tags
            if tag
        )
        return spans - held

    def tag_names(self, example: Example) -> list[list[str]]:
        """Return the BIOES tags of each token, outer level first, such as B-NAME; none outside."""
        return [
            [bioes_name(tag, self.labels) for tag in tags if tag]
            for tags in self.encode([example])[0].target
        ]

    def _number(self, texts: Sequence[str], cut: CutTexts) -> list[int]:
        return self.feature_hasher.token_ids(cut.tokens, self.lexicon_matcher.match(texts, cut))

    def signature(self) -> str:
        """Return a checksum of everything that decides what a tag means."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def to_json(self) -> str:
        """Return labels, lists and patterns as JSON."""
        return _TaggerTokenizerFile(
            labels=self.labels, joins_digits=self.joins_digits, lexicon_matcher=self.lexicon_matcher
        ).model_dump_json(indent=1)

    def save(self, folder: Path) -> None:
        """Write labels, lists and patterns into `folder` as JSON."""
        (folder / TAGGING_FILE).write_text(self.to_json() + "\n", encoding="utf-8")

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        length_stats: LengthStats,
        buckets: int,
        vectors: TokenVectors | None = None,
    ) -> TaggerTokenizer:
        """Read what `save` wrote.

        Raises:
            OSError: the file cannot be read.
            ValueError: the file is not what `save` wrote.
        """
        content = (folder / TAGGING_FILE).read_bytes()
        return cls.from_json(content, length_stats=length_stats, buckets=buckets, vectors=vectors)

    @classmethod
    def from_json(
        cls,
        content: str | bytes,
        *,
        length_stats: LengthStats,
        buckets: int,
        vectors: TokenVectors | None = None,
    ) -> TaggerTokenizer:
        """Read what `to_json` returned.

        Raises:
            ValueError: it is anything else.
        """
        try:
            file = _TaggerTokenizerFile.model_validate_json(content)
        except ValidationError as error:
            fault = error.errors(include_input=False, include_url=False)[0]
            raise ValueError(f"{TAGGING_FILE}: {fault['msg']}") from error
        for pattern in file.lexicon_matcher.patterns.values():
            pattern.compile()
        hasher = FeatureHasher(buckets=buckets, vectors=vectors)
        return cls(file.labels, length_stats, hasher, file.joins_digits, file.lexicon_matcher)


def _labels(examples: Sequence[Example]) -> set[str]:
    return {span.label for row in examples for span in row.spans or ()}


def _check_number(labels: Sequence[str]) -> None:
    if len(labels) > MAX_LABELS:
        raise DatasetError(
            f"the pairs have {len(labels):,} labels, and a tagger takes at most {MAX_LABELS:,}, "
            "because its memory grows with their square. Labels are kinds of spans, such as NAME: "
            "merge them, or check that the tags hold labels."
        )
