"""From pairs to ids and from ids to text: all that a model must carry besides its weights."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from annoseq.data.markup import closing, opening
from annoseq.data.pairs import align_pairs
from annoseq.tokenization.length_stats import LengthStats
from annoseq.tokenization.linearize import (
    align_to_tokens,
    delinearize,
    linearize,
    move_spaces,
    render_tightened,
)
from annoseq.tokenization.pretokenizer import build_pretokenizer
from annoseq.tokenization.subwords import BytePairEncoding
from annoseq.tokenization.vocabulary import SPECIALS, Tokens, Vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from torch import Tensor

    from annoseq.config import DataConfig, Task
    from annoseq.data.pairs import Pair
    from annoseq.tokenization.linearize import AlignedSpan

SOURCE_FILE, TARGET_FILE, LABELS_FILE = "source.json", "target.json", "labels.json"
FILES = (SOURCE_FILE, TARGET_FILE, LABELS_FILE)


class TokenizedPair(NamedTuple):
    """A pair in tokens.

    `reference` is the pair's target, in the annotate task with tight tags: the text that a perfect
    model writes, but for the spans that end within a token, which `misaligned` counts. `aligned_spans` are
    the tokens of the spans, in opening order.
    """

    source: list[str]
    target: list[str]
    reference: str
    misaligned: int = 0
    aligned_spans: Sequence[AlignedSpan] = ()


class Seq2SeqEncoding(NamedTuple):
    """A pair in ids, without begin and end symbols."""

    source: list[int]
    target: list[int]


@dataclass(frozen=True)
class Seq2SeqTokenizer:
    """Both vocabularies, and what the training pairs say about outputs."""

    task: Task
    source: Vocabulary
    target: Vocabulary
    labels: tuple[str, ...]
    length_stats: LengthStats
    _tags: frozenset[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_tags", frozenset(_tag_tokens(self.labels)))

    @classmethod
    def fit(cls, pairs: Sequence[Pair], *, task: Task, config: DataConfig) -> Seq2SeqTokenizer:
        """Build the vocabularies from training pairs; of pieces there is one, for both sides.

        Raises:
            PairsError: in the annotate task, rows whose target is not their source plus tags.
        """
        labels: tuple[str, ...] = ()
        if task == "annotate":
            labels = tuple(sorted({span.label for row in align_pairs(pairs) for span in row}))
        pre_tokenizer = build_pretokenizer(keeps_tags=task == "translate")
        nothing = Vocabulary.build(Counter(), pre_tokenizer=pre_tokenizer, config=config)
        plain = cls(task, nothing, nothing, labels, LengthStats())
        source, target = Counter[str](), Counter[str]()

        def counted() -> Iterator[TokenizedPair]:
            for row in plain.tokenize(pairs):
                source.update(row.source)
                target.update(row.target)
                yield row

        length_stats = LengthStats.measure(counted())
        tags = list(_tag_tokens(labels))
        if config.tokens == "bpe":
            # The larger count, not the sum: a word that is copied has been seen once.
            both = Vocabulary.learn(
                source | target, pre_tokenizer=pre_tokenizer, reserved=tags, config=config
            )
            tokenizer = cls(task, both, both, labels, length_stats)
            return replace(tokenizer, length_stats=LengthStats.measure(tokenizer.tokenize(pairs)))
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

    def tokenize(self, pairs: Sequence[Pair]) -> Iterator[TokenizedPair]:
        """Cut pairs into tokens, one after the other.

        Raises:
            PairsError: in the annotate task, rows whose target is not their source plus tags.
        """
        if self.task == "annotate":
            yield from self._tokenize_annotated(pairs)
            return
        for pair in pairs:
            source, target = _cut(self.source, pair.source), _cut(self.target, pair.target)
            yield TokenizedPair(source, target, pair.target)

    def _tokenize_annotated(self, pairs: Sequence[Pair]) -> Iterator[TokenizedPair]:
        for pair, spans in zip(pairs, align_pairs(pairs), strict=True):
            tokens, offsets = self.source.cut(pair.source)
            aligned_spans, misaligned = align_to_tokens(pair.source, offsets, spans)
            reference = render_tightened(pair.source, spans)
            target = linearize(tokens, aligned_spans)
            yield TokenizedPair(tokens, target, reference, misaligned, aligned_spans)

    def encode(self, row: TokenizedPair) -> Seq2SeqEncoding:
        """Turn tokens into ids."""
        return Seq2SeqEncoding(self.source.look_up(row.source), self.target.look_up(row.target))

    def encode_source(self, text: str) -> Seq2SeqEncoding:
        """Turn a text without a target into ids."""
        cut = _cut(self.source, text) if self.task == "translate" else self.source.cut(text).tokens
        return Seq2SeqEncoding(self.source.look_up(cut), [])

    def read(self, text: str) -> tuple[Tokens, list[int]]:
        """Cut a text of the annotate task; return its tokens, and their ids."""
        cut = self.source.cut(text)
        return cut, self.source.look_up(cut.tokens)

    def decode(self, ids: Iterable[int]) -> str:
        """Write target ids as text; a special symbol appears as it is named."""
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
        with _named(SOURCE_FILE):
            source = Vocabulary.from_json((folder / SOURCE_FILE).read_text(encoding="utf-8"))
        with _named(TARGET_FILE):
            target = Vocabulary.from_json((folder / TARGET_FILE).read_text(encoding="utf-8"))
        with _named(LABELS_FILE):
            labels = _parse_labels((folder / LABELS_FILE).read_text(encoding="utf-8"))
        in_pieces = any(isinstance(side.subwords, BytePairEncoding) for side in (source, target))
        if in_pieces and source.to_json() != target.to_json():
            raise ValueError(f"{SOURCE_FILE} does not fit {TARGET_FILE}")
        tags = list(_tag_tokens(labels))
        if target.tokens[len(SPECIALS) : len(SPECIALS) + len(tags)] != tags:
            raise ValueError(f"{LABELS_FILE} does not fit {TARGET_FILE}")
        return cls(task, source, target, labels, length_stats)


def _cut(vocabulary: Vocabulary, text: str) -> list[str]:
    return vocabulary.spell(move_spaces(vocabulary.words(text)))


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
def _named(file: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error
