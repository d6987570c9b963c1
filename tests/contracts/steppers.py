"""The steppers that every search is tested over. A new network is one line of `NETWORKS`."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from annoseq.decoding.constrained import ConstrainedStepper, EditVocabulary
from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqEncoding
from annoseq.tokenization.vocabulary import BEGIN, END, PAD, UNKNOWN
from tests.tiny import (
    SIZE,
    STILL,
    STILL_ATTENTION,
    STILL_TRANSFORMER,
    batch_of,
    tiny_network,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from annoseq.decoding.logits_processors import Hypothesis
    from annoseq.models.interfaces import Stepper
    from annoseq.tokenization.batching import Batch

BLANK, PIECE = SIZE - 1, SIZE - 2
EDITS = EditVocabulary(
    copy_of=torch.tensor([0, 1, 2, 3, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, 8, 9, 10, 11]),
    is_blank=torch.arange(SIZE) == BLANK,
    continues=torch.arange(SIZE) == PIECE,
    opening=torch.tensor([4, 6]),
    closing=torch.tensor([5, 7]),
    nests_in_itself=torch.tensor([True, False]),
    depth=2,
)
"""Of two labels; the first may lie in itself."""
ROWS = [
    Seq2SeqEncoding([9, 8, BLANK, 5, 10], []),
    Seq2SeqEncoding([], []),
    Seq2SeqEncoding([8], []),
    Seq2SeqEncoding([BLANK, 9, 10, BLANK], []),
    Seq2SeqEncoding([10, 10, 8], []),
    Seq2SeqEncoding([1, 7, 9, 8], []),
]


class TableState(NamedTuple):
    """The sources of the rows and what they have written."""

    sources: list[tuple[int, ...]]
    written: list[tuple[int, ...]]


class Table:
    """Scores at random, but always the same for the same source and the same prefix."""

    def __init__(self, size: int = 6, *, seed: int = 0, spread: float = 2.0) -> None:
        self.size, self.seed, self.spread = size, seed, spread
        self._known = cache(self._scores)

    def start(self, batch: Batch) -> TableState:
        sources = [
            tuple(ids[:length])
            for ids, length in zip(
                batch.source.tolist(), batch.source_lengths.tolist(), strict=True
            )
        ]
        return TableState(sources, [()] * len(sources))

    def step(self, state: TableState, last: Tensor) -> TableState:
        assert len(last) == len(state.written)
        written = zip(state.written, last.tolist(), strict=True)
        return TableState(state.sources, [(*before, id_) for before, id_ in written])

    def scores(self, state: TableState, columns: Tensor | None = None) -> Tensor:
        scores = torch.stack([self._known(*row) for row in zip(*state, strict=True)])
        return scores if columns is None else scores.gather(1, columns)

    def select(self, state: TableState, rows: Tensor) -> TableState:
        return TableState(*([part[row] for row in rows.tolist()] for part in state))

    def _scores(self, source: tuple[int, ...], written: tuple[int, ...]) -> Tensor:
        assert written[0] == BEGIN
        generator = random.Random(f"{self.seed} {source} {written}")
        logits = [generator.gauss(0, self.spread) for _ in range(self.size)]
        return torch.tensor(logits).log_softmax(0)


@dataclass
class Recording:
    """Another stepper, and how many rows it was asked to step, time after time."""

    stepper: Stepper[Any]
    sizes: list[int] = field(default_factory=list)

    def start(self, batch: Batch) -> Any:
        return self.stepper.start(batch)

    def step(self, state: Any, last: Tensor) -> Any:
        self.sizes.append(len(last))
        return self.stepper.step(state, last)

    def scores(self, state: Any, columns: Tensor | None = None) -> Tensor:
        return self.stepper.scores(state, columns)

    def select(self, state: Any, rows: Tensor) -> Any:
        return self.stepper.select(state, rows)


@dataclass(frozen=True)
class Case:
    """A stepper and the most symbols that it may write for sources of some lengths."""

    stepper: Stepper[Any]
    limits: Callable[[Tensor], Tensor]

    def batch(self, rows: Sequence[Seq2SeqEncoding], *, wider: int = 0) -> tuple[Batch, Tensor]:
        """Return a batch, padded by `wider` more than it must be, and the rows' limits."""
        batch = batch_of(rows, wider=wider)
        return batch, self.limits(batch.source_lengths)


def _twice(lengths: Tensor) -> Tensor:
    return 2 * lengths


NETWORKS = {
    "gru": tiny_network(STILL, seed=3).eval(),
    "attention": tiny_network(STILL_ATTENTION, seed=3).eval(),
    "transformer": tiny_network(STILL_TRANSFORMER, seed=3).eval(),
}
CASES = {
    "table": Case(Table(), _twice),
    **{name: Case(network, _twice) for name, network in NETWORKS.items()},
    **{
        f"constrained {name}": Case(ConstrainedStepper(network, EDITS), EDITS.limits)
        for name, network in NETWORKS.items()
    },
}


@torch.inference_mode()
def scores_along(stepper: Stepper[Any], batch: Batch, fed: Sequence[int]) -> list[Tensor]:
    """Return the scores (V,) after the begin symbol and after each of `fed`, for a single row."""
    state = stepper.start(batch)
    found = []
    for last in (BEGIN, *fed):
        state = stepper.step(state, torch.tensor([last]))
        found.append(stepper.scores(state)[0])
    return found


@torch.inference_mode()
def every_output(
    stepper: Stepper[Any], batch: Batch, *, limit: int
) -> list[tuple[tuple[int, ...], float]]:
    """Return all that can be written for a batch of one row, with its log-probability."""
    found = []

    def extend(state: Any, ids: tuple[int, ...], score: float) -> None:
        state = stepper.step(state, torch.tensor([ids[-1] if ids else BEGIN]))
        for id_, log_prob in enumerate(stepper.scores(state)[0].tolist()):
            if log_prob == -torch.inf:
                continue
            longer = (*ids, id_)
            if id_ in {END, PAD} or len(longer) == limit:
                found.append((longer, score + log_prob))
            else:
                extend(state, longer, score + log_prob)

    extend(stepper.start(batch), (), 0.0)
    return found


def shown(ids: Sequence[int]) -> tuple[int, ...]:
    """Leave out the symbol that ends an output, as hypotheses do."""
    return tuple(ids[:-1] if ids[-1] in {END, PAD} else ids)


def best_first(
    outputs: Sequence[tuple[tuple[int, ...], float]], *, alpha: float
) -> list[tuple[tuple[int, ...], float]]:
    """Sort outputs as Wu et al. 2016 score them."""
    return sorted(outputs, key=lambda one: -one[1] / ((5 + len(one[0])) / 6) ** alpha)


def as_ids(found: Sequence[Sequence[Hypothesis]]) -> list[list[tuple[int, ...]]]:
    return [[one.ids for one in some] for some in found]
