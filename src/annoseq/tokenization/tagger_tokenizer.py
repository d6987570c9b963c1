"""From pairs to the tags of tokens: all that a tagger must carry besides its weights.

It has no vocabulary. Tokens are hashed when they are met, so nothing here or in the weights lists
the words of the training texts.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from annoseq.data.pairs import align_pairs
from annoseq.errors import DatasetError
from annoseq.tokenization.bioes import spans_to_bioes
from annoseq.tokenization.gazetteer import LexiconMatcher
from annoseq.tokenization.hash_features import FeatureHasher
from annoseq.tokenization.length_stats import LengthStats
from annoseq.tokenization.linearize import align_to_tokens
from annoseq.tokenization.pretokenizer import build_pretokenizer
from annoseq.tokenization.seq2seq_tokenizer import TokenizedPair
from annoseq.tokenization.vocabulary import Tokens

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from annoseq.config import Task
    from annoseq.data.markup import Span
    from annoseq.data.pairs import Pair
    from annoseq.tokenization.gazetteer import LexiconFeatures
    from annoseq.vectors.lookup import TokenVectors

TAGGING_FILE = "tagging.json"
_CUT_DIGITS = 0.005
"""Digits are read in runs, unless more than this share of spans would end within one."""


class TaggerEncoding(NamedTuple):
    """A row: the numbers of its tokens, and the tags of each, one for each level."""

    source: list[int]
    target: list[tuple[int, ...]]


class _Tagging(BaseModel):
    """What `tagging.json` holds."""

    model_config = ConfigDict(extra="forbid")

    labels: tuple[str, ...]
    joins_digits: bool
    lexicon_matcher: LexiconMatcher


@dataclass(frozen=True)
class TaggerTokenizer:
    """How texts are cut, the labels, and what the training pairs say about nesting and length.

    `words` numbers the tokens met so far; it is never saved, nor is `misaligned`, the number of spans
    of the training pairs that end within a token, which the model sees widened to all of it.
    """

    labels: tuple[str, ...]
    length_stats: LengthStats
    words: FeatureHasher
    joins_digits: bool = True
    lexicon_matcher: LexiconMatcher = field(default_factory=LexiconMatcher)
    task: Task = "annotate"
    misaligned: int = field(default=0, compare=False)

    @classmethod
    def fit(
        cls,
        pairs: Sequence[Pair],
        *,
        buckets: int,
        lexicon_features: LexiconFeatures,
        vectors: TokenVectors | None = None,
    ) -> TaggerTokenizer:
        """Look at training pairs.

        Raises:
            PairsError: rows whose target is not their source plus tags.
            OptionError: a list or the patterns cannot be read.
        """
        spans = align_pairs(pairs)
        labels = tuple(sorted({span.label for row in spans for span in row}))
        codecs = [
            cls(labels, LengthStats(), FeatureHasher(buckets=buckets), joins_digits=joins)
            for joins in (True, False)
        ]
        rows = [list(tokenizer._cover(pairs, spans)) for tokenizer in codecs]
        joined, single = (sum(row.misaligned for row in some) for some in rows)
        chosen = int(joined - single > _CUT_DIGITS * sum(map(len, spans)))
        misaligned = single if chosen else joined
        tokenizer = codecs[chosen]
        lexicon_matcher = lexicon_features.read(cut=lambda text: tokenizer.cut(text).tokens)
        length_stats = LengthStats.measure(iter(rows[chosen]))
        words = FeatureHasher(buckets=buckets, vectors=vectors)
        return cls(
            labels,
            length_stats,
            words,
            tokenizer.joins_digits,
            lexicon_matcher,
            misaligned=misaligned,
        )

    @property
    def levels(self) -> int:
        """How many levels of nested spans there are, at least 1."""
        return max(self.length_stats.depth, 1)

    @property
    def widest(self) -> int:
        """How many tokens a span that is not the likeliest may have: twice those of training."""
        return max(2 * self.length_stats.longest_span, 1)

    @cached_property
    def _cut_by(self) -> object:
        return build_pretokenizer(joins_digits=self.joins_digits)

    def cut(self, text: str) -> Tokens:
        """Cut a text into tokens; joined, they are the text."""
        cut = self._cut_by.pre_tokenize_str(text)  # type: ignore[attr-defined]
        return Tokens([token for token, _ in cut], [place for _, place in cut])

    def read(self, text: str) -> tuple[Tokens, list[int]]:
        """Cut a text; return its tokens, and their numbers.

        Raises:
            OptionError: a pattern takes too long.
        """
        cut = self.cut(text)
        marks = self.lexicon_matcher.marks(text, *cut) if self.lexicon_matcher else None
        return cut, self.words.look_up(cut.tokens, marks)

    def encode(self, pairs: Sequence[Pair], *, is_training: bool = False) -> list[TaggerEncoding]:
        """Turn pairs into numbers and tags.

        A span whose label is not known cannot be found: in training that is an error.

        Raises:
            PairsError: rows whose target is not their source plus tags.
            DatasetError: a label that the training pairs lack.
        """
        spans = align_pairs(pairs)
        numbers = {label: number for number, label in enumerate(self.labels)}
        unknown = sorted({span.label for row in spans for span in row} - numbers.keys())
        if unknown and is_training:
            raise DatasetError(
                f"the pairs have the label {unknown[0]}, which the model does not know. Train a "
                "new model on all pairs, or leave these out."
            )
        examples = []
        for pair, row in zip(pairs, self._cover(pairs, spans), strict=True):
            tags = spans_to_bioes(
                row.aligned_spans,
                tokens=len(row.source),
                levels=self.levels,
                labels=numbers,
                self_nested=self.length_stats.self_nested,
            )
            examples.append(TaggerEncoding(self.read(pair.source)[1], tags))
        return examples

    def _cover(
        self, pairs: Sequence[Pair], spans: Sequence[Sequence[Span]]
    ) -> Iterator[TokenizedPair]:
        for pair, row in zip(pairs, spans, strict=True):
            tokens, offsets = self.cut(pair.source)
            aligned_spans, misaligned = align_to_tokens(pair.source, offsets, row)
            yield TokenizedPair(tokens, tokens, "", misaligned, aligned_spans)

    def signature(self) -> str:
        """Return a checksum of everything that decides what a tag means."""
        return hashlib.sha256(self._to_json().encode()).hexdigest()

    def _to_json(self) -> str:
        return _Tagging(
            labels=self.labels, joins_digits=self.joins_digits, lexicon_matcher=self.lexicon_matcher
        ).model_dump_json(indent=1)

    def save(self, folder: Path) -> None:
        """Write labels, lists and patterns into `folder` as JSON."""
        (folder / TAGGING_FILE).write_text(self._to_json() + "\n", encoding="utf-8")

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
        try:
            found = _Tagging.model_validate_json((folder / TAGGING_FILE).read_bytes())
        except ValidationError as error:
            fault = error.errors(include_input=False, include_url=False)[0]
            raise ValueError(f"{TAGGING_FILE}: {fault['msg']}") from error
        for pattern in found.lexicon_matcher.patterns.values():
            pattern.compile()
        words = FeatureHasher(buckets=buckets, vectors=vectors)
        return cls(found.labels, length_stats, words, found.joins_digits, found.lexicon_matcher)
