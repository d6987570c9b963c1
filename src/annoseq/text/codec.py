"""From pairs to ids and from ids to text: all that a model must carry besides its weights."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from annoseq.pairs.alignment import align_pairs
from annoseq.pairs.markup import closing, opening, render
from annoseq.text.segmentation import segmentation
from annoseq.text.tagging import cover, join_tagged, tagged_tokens
from annoseq.text.vocabulary import SPECIALS, Vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from torch import Tensor

    from annoseq.config import DataConfig, Task
    from annoseq.pairs.pair import Pair

SOURCE_FILE, TARGET_FILE, LABELS_FILE = "source.json", "target.json", "labels.json"
FILES = (SOURCE_FILE, TARGET_FILE, LABELS_FILE)


class TokenPair(NamedTuple):
    """A pair in tokens.

    `reference` is the text that a perfect model writes: the pair's target, in the annotate task
    with tight tags. `misfits` counts spans that end within a token.
    """

    source: list[str]
    target: list[str]
    reference: str
    misfits: int = 0


class Example(NamedTuple):
    """A pair in ids, without begin and end symbols."""

    source: list[int]
    target: list[int]


@dataclass(frozen=True)
class Codec:
    """Both vocabularies and what the training pairs taught about the output.

    `growth` is the largest ratio of target length to source length among the training pairs,
    each counted with its end symbol: no output may be longer than that allows.
    """

    task: Task
    source: Vocabulary
    target: Vocabulary
    labels: tuple[str, ...]
    growth: float
    _tags: frozenset[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_tags", frozenset(_tag_tokens(self.labels)))

    @classmethod
    def fit(cls, pairs: Sequence[Pair], *, task: Task, config: DataConfig) -> Codec:
        """Build the vocabularies from training pairs.

        Raises:
            PairsError: in the annotate task, rows whose target is not their source plus tags.
        """
        labels: tuple[str, ...] = ()
        if task == "annotate":
            labels = tuple(sorted({span.label for row in align_pairs(pairs) for span in row}))
        cut_by = segmentation(keeps_tags=task == "translate")
        nothing = Vocabulary.build(Counter(), cut_by=cut_by, config=config)
        source, target = Counter[str](), Counter[str]()
        growth = 0.0
        for row in cls(task, nothing, nothing, labels, growth).tokenize(pairs):
            source.update(row.source)
            target.update(row.target)
            growth = max(growth, (len(row.target) + 1) / (len(row.source) + 1))
        return cls(
            task,
            Vocabulary.build(source, cut_by=cut_by, config=config),
            Vocabulary.build(target, cut_by=cut_by, reserved=_tag_tokens(labels), config=config),
            labels,
            growth,
        )

    def output_limits(self, source_lengths: Tensor) -> Tensor:
        """Return the most tokens that outputs may have (B,); all lengths count the end symbol."""
        return (source_lengths * self.growth).ceil().long()

    def tokenize(self, pairs: Sequence[Pair]) -> Iterator[TokenPair]:
        """Cut pairs into tokens, one after the other.

        Raises:
            PairsError: in the annotate task, rows whose target is not their source plus tags.
        """
        if self.task == "annotate":
            yield from self._tokenize_annotated(pairs)
            return
        for pair in pairs:
            source, target = self.source.cut(pair.source), self.target.cut(pair.target)
            yield TokenPair(source.tokens, target.tokens, pair.target)

    def _tokenize_annotated(self, pairs: Sequence[Pair]) -> Iterator[TokenPair]:
        for pair, spans in zip(pairs, align_pairs(pairs), strict=True):
            tokens, offsets = self.source.cut(pair.source)
            covers, misfits = cover(pair.source, offsets, spans)
            reference = render(pair.source, spans)
            yield TokenPair(tokens, tagged_tokens(tokens, covers), reference, misfits)

    def encode(self, row: TokenPair) -> Example:
        """Turn tokens into ids."""
        return Example(self.source.look_up(row.source), self.target.look_up(row.target))

    def encode_source(self, text: str) -> Example:
        """Turn a text without a target into ids."""
        return Example(self.source.look_up(self.source.cut(text).tokens), [])

    def decode(self, ids: Iterable[int]) -> str:
        """Write target ids as text; a special symbol appears as it is named."""
        tokens = [self.target.tokens[id_] for id_ in ids]
        return join_tagged(tokens, tags=self._tags) if self.task == "annotate" else "".join(tokens)

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
    def load(cls, folder: Path, *, task: Task, growth: float) -> Codec:
        """Read what `save` wrote.

        Raises:
            OSError: a file cannot be read.
            ValueError: a file is not what `save` wrote.
        """
        source = Vocabulary.from_json((folder / SOURCE_FILE).read_text(encoding="utf-8"))
        target = Vocabulary.from_json((folder / TARGET_FILE).read_text(encoding="utf-8"))
        labels = tuple(json.loads((folder / LABELS_FILE).read_text(encoding="utf-8")))
        tags = list(_tag_tokens(labels))
        if target.tokens[len(SPECIALS) : len(SPECIALS) + len(tags)] != tags:
            raise ValueError(f"{LABELS_FILE} does not fit {TARGET_FILE}")
        return cls(task, source, target, labels, growth)


def _tag_tokens(labels: Iterable[str]) -> Iterator[str]:
    for label in labels:
        yield opening(label)
        yield closing(label)
