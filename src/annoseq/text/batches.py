"""Batches of rows of like length, limited by rows and by tokens."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch.nn.utils.rnn import pad_sequence

from annoseq.text.vocabulary import END, PAD

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from annoseq.config import BatchConfig
    from annoseq.text.codec import Example

_POOL = 50
"""Batches' worth of shuffled rows that are sorted together (fastai's sortish sampling)."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows in ids, padded to the longest.

    `rows` are their places in the set. Each row of `source` (B, S) and `target` (B, T) ends with
    the end symbol, which `source_lengths` (B,) counts; lengths stay on the CPU.
    """

    rows: list[int]
    source: Tensor
    source_lengths: Tensor
    target: Tensor | None = None

    def to(self, device: torch.device) -> Batch:
        """Copy the ids to a device."""
        target = None if self.target is None else self.target.to(device, non_blocking=True)
        return replace(self, source=self.source.to(device, non_blocking=True), target=target)


def collate(rows: Sequence[int], examples: Sequence[Example]) -> Batch:
    """Pad the examples at `rows`."""
    sources = [torch.tensor([*examples[row].source, END]) for row in rows]
    targets = [torch.tensor([*examples[row].target, END]) for row in rows]
    return Batch(
        rows=list(rows),
        source=pad_sequence(sources, batch_first=True, padding_value=PAD),
        source_lengths=torch.tensor([len(source) for source in sources]),
        target=pad_sequence(targets, batch_first=True, padding_value=PAD),
    )


def shuffled(examples: Sequence[Example], config: BatchConfig, *, seed: str) -> list[list[int]]:
    """Put every row into a batch, in an order that `seed` decides, the longest row first.

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


def longest_first(examples: Sequence[Example], config: BatchConfig) -> list[list[int]]:
    """Put every row into a batch, the longest first: the least padding."""
    return list(_cut(_longest_first(range(len(examples)), examples), examples, config))


def _length(example: Example) -> int:
    return max(len(example.source), len(example.target)) + 1


def _longest_first(rows: Sequence[int], examples: Sequence[Example]) -> list[int]:
    return sorted(rows, key=lambda row: -_length(examples[row]))


def _cut(
    rows: Sequence[int], examples: Sequence[Example], config: BatchConfig
) -> Iterator[list[int]]:
    """Cut rows, longest first, so that a batch's first row decides its width."""
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
