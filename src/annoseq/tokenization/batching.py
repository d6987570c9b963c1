"""Batches of rows of similar length, bounded by rows and tokens; collation and preview."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

import numpy as np

from annoseq.tokenization.tagger_tokenizer import TaggerTokenizer
from annoseq.tokenization.vocabulary import END, PAD, SPECIALS, UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence, Sized

    import torch
    from numpy.typing import NDArray
    from rich.console import Console
    from rich.text import Text
    from torch import Tensor

    from annoseq.config import BatchConfig
    from annoseq.data.examples import Example
    from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqEncoding, Seq2SeqTokenizer
    from annoseq.tokenization.soft_targets import SoftTargets
    from annoseq.tokenization.tagger_tokenizer import TaggerEncoding
    from annoseq.tokenization.vocabulary import Vocabulary

    TokenIds: TypeAlias = Sequence[int] | NDArray[np.int64]

    class EncodedPair(Protocol):
        """An encoding of which batches need only the lengths."""

        @property
        def source(self) -> Sized:
            """Ids of the source."""

        @property
        def target(self) -> Sized:
            """Ids of the target, or tags."""


class WindowIds(NamedTuple):
    """Ids of a window of a text, an encoding without a target."""

    source: TokenIds
    target: tuple[()] = ()


_POOL = 50
"""Number of batches whose shuffled rows are sorted together (fastai's sortish sampling)."""


@dataclass(frozen=True, slots=True, repr=False)
class Batch:
    """Ids of rows, padded to the longest.

    `rows` are their indices in the set. Each row of `source` (B, S) and `target` (B, T) ends with
    the end symbol, which `source_lengths` (B,) counts; lengths stay on the CPU. The rows of a
    tagger have no end symbol, and its `target` (B, S, D) has the tags of all levels; `soft_targets`
    are what its teachers expect, if it has any.
    """

    rows: list[int]
    source: Tensor
    source_lengths: Tensor
    target: Tensor | None = None
    soft_targets: SoftTargets | None = None

    def __repr__(self) -> str:
        target = "none" if self.target is None else tuple(self.target.shape)
        return f"<Batch: source {tuple(self.source.shape)}, target {target}>"

    def to(self, device: torch.device) -> Batch:
        """Return the batch with its ids on a device."""
        target = None if self.target is None else self.target.to(device, non_blocking=True)
        soft = None if self.soft_targets is None else self.soft_targets.to(device)
        source = self.source.to(device, non_blocking=True)
        return replace(self, source=source, target=target, soft_targets=soft)

    def select(self, places: slice) -> Batch:
        """Return a batch of some of the rows, as wide as this one."""
        return Batch(
            rows=self.rows[places],
            source=self.source[places],
            source_lengths=self.source_lengths[places],
            target=None if self.target is None else self.target[places],
            soft_targets=None if self.soft_targets is None else self.soft_targets.select(places),
        )

    def split(self, tokens: int | None) -> list[Batch]:
        """Split into batches of about equal size, of at most so many tokens, padding counted.

        A longer row is a batch of its own.
        """
        target = self.source if self.target is None else self.target
        rows, width = len(self.rows), max(self.source.shape[1], target.shape[1])
        if tokens is None or rows * width <= tokens:
            return [self]
        count = ceil(rows / max(1, tokens // width))
        size = ceil(rows / count)
        return [self.select(slice(start, start + size)) for start in range(0, rows, size)]


def collate(rows: Sequence[int], examples: Sequence[Seq2SeqEncoding]) -> Batch:
    """Collate the examples at `rows`, padded, each with the end symbol."""
    source, source_lengths = _pad([[*examples[row].source, END] for row in rows])
    target, _ = _pad([[*examples[row].target, END] for row in rows])
    return Batch(list(rows), source, source_lengths, target)


def collate_sources(
    rows: Sequence[int], examples: Sequence[Seq2SeqEncoding | WindowIds], *, has_ends: bool
) -> Batch:
    """Collate the sources at `rows`, each with the end symbol or, for a tagger, without."""
    sources = [examples[row].source for row in rows]
    source, source_lengths = _pad([[*ids, END] for ids in sources] if has_ends else sources)
    return Batch(list(rows), source, source_lengths)


def collate_tags(rows: Sequence[int], examples: Sequence[TaggerEncoding]) -> Batch:
    """Collate rows of a tagger: numbers (B, S) and tags (B, S, D), without end symbols."""
    source, source_lengths = _pad([examples[row].source for row in rows])
    target, _ = _pad([examples[row].target for row in rows])
    return Batch(list(rows), source, source_lengths, target)


def _pad(rows: Sequence[TokenIds | Sequence[tuple[int, ...]]]) -> tuple[Tensor, Tensor]:
    """Return rows padded to the longest (B, T) or (B, T, D), and their lengths (B,)."""
    import torch  # batching works without it

    lengths = np.array([len(row) for row in rows])
    values = np.concatenate([np.asarray(row, np.int64) for row in rows])
    padded = np.full((len(rows), lengths.max(), *values.shape[1:]), PAD)
    padded[np.arange(padded.shape[1]) < lengths[:, None]] = values
    return torch.from_numpy(padded), torch.from_numpy(lengths)


def shuffled_batches(
    examples: Sequence[EncodedPair], config: BatchConfig, *, seed: str
) -> list[list[int]]:
    """Return batches of all rows in an order given by `seed`, that with the longest row first.

    Rows are shuffled, sorted by length within pools, cut into batches, and the batches shuffled:
    little padding, and no two epochs alike. The longest comes first, so that a batch too large
    for the memory shows at once.
    """
    generator = random.Random(seed)
    rows = list(range(len(examples)))
    generator.shuffle(rows)
    pool = config.batch_size * _POOL
    batches = [
        batch
        for start in range(0, len(rows), pool)
        for batch in _cut(_longest_first(rows[start : start + pool], examples), examples, config)
    ]
    generator.shuffle(batches)
    longest = max(range(len(batches)), key=lambda i: _length(examples[batches[i][0]]))
    batches[0], batches[longest] = batches[longest], batches[0]
    return batches


def length_sorted_batches(examples: Sequence[EncodedPair], config: BatchConfig) -> list[list[int]]:
    """Return batches of all rows, the longest first: the least padding."""
    return list(_cut(_longest_first(range(len(examples)), examples), examples, config))


def _length(example: EncodedPair) -> int:
    return max(len(example.source), len(example.target)) + 1


def _longest_first(rows: Sequence[int], examples: Sequence[EncodedPair]) -> list[int]:
    return sorted(rows, key=lambda row: -_length(examples[row]))


def _cut(
    rows: Sequence[int], examples: Sequence[EncodedPair], config: BatchConfig
) -> Iterator[list[int]]:
    """Yield batches of rows, longest first, so that the first row of a batch gives its width."""
    batch: list[int] = []
    for row in rows:
        if batch and (
            len(batch) == config.batch_size
            or (len(batch) + 1) * _length(examples[batch[0]]) > config.batch_tokens
        ):
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


_SUBWORD_BOUNDARY = "|"
_VISIBLE_WHITE_SPACE = str.maketrans({" ": "·", "\n": "⏎", "\r": "␍", "\t": "⇥"})


def show_examples(
    examples: Sequence[Example],
    tokenizer: Seq2SeqTokenizer | TaggerTokenizer,
    *,
    console: Console | None = None,
) -> None:
    """Print the tokens of examples.

    `·` is the space that a token carries, `<unk:...>` a token that the vocabulary lacks; where a
    word is split into sub-words, `|` stands between them, and in front where the first has no text.
    The target of a tagger has the BIOES tag after each token within a span.
    """
    from rich.console import Console
    from rich.table import Table

    table = Table(show_lines=True)
    table.add_column("row", justify="right")
    table.add_column("source", ratio=1, overflow="fold")
    table.add_column("target", ratio=1, overflow="fold")
    for example in examples:
        table.add_row(str(example.row), *_render_example(example, tokenizer))
    (console or Console()).print(table)


def _render_example(
    example: Example, tokenizer: Seq2SeqTokenizer | TaggerTokenizer
) -> tuple[Text, Text]:
    if isinstance(tokenizer, TaggerTokenizer):
        return _render_tags(example, tokenizer)
    pair = tokenizer.tokenize(example)
    return (
        _render_tokens(pair.source, tokenizer.source),
        _render_tokens(pair.target, tokenizer.target),
    )


def _render_tags(example: Example, tokenizer: TaggerTokenizer) -> tuple[Text, Text]:
    from rich.text import Text

    tokens = [
        token.translate(_VISIBLE_WHITE_SPACE) for token in tokenizer.tokenize(example.source).tokens
    ]
    target = Text()
    for token, levels in zip(tokens, tokenizer.tag_names(example), strict=True):
        target.append(f" {token}" if target else token)
        if levels:
            target.append(f"/{'+'.join(levels)}", style="bold")
    return Text(" ".join(tokens)), target


def _render_tokens(tokens: Sequence[str], vocabulary: Vocabulary) -> Text:
    from rich.text import Text

    text = Text()
    for token, id_ in zip(tokens, vocabulary.tokens_to_ids(tokens), strict=True):
        if vocabulary.subwords.continues(token):
            text.append(_SUBWORD_BOUNDARY, style="dim")
        elif text:
            text.append(" ")
        visible = vocabulary.subwords.visible(token).translate(_VISIBLE_WHITE_SPACE)
        if id_ == UNKNOWN:
            text.append(f"{SPECIALS[UNKNOWN][:-1]}:{visible}>", style="bold red")
        else:
            text.append(visible)
    return text
