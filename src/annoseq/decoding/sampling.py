"""Greedy and random decoding, and the hypotheses that every search returns."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch

from annoseq.tokenization.vocabulary import BEGIN, END, PAD

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from annoseq.models.interfaces import State, Stepper
    from annoseq.tokenization.batching import Batch


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """An output and the log-probability of each of its symbols.

    The end symbol is not among `ids`, but its log-probability is the last of `log_probs`. An
    output that reached its limit `has_ended` not.
    """

    ids: tuple[int, ...]
    log_probs: tuple[float, ...]
    has_ended: bool

    @property
    def score(self) -> float:
        """The log-probability of the whole output: the sum over its steps."""
        return sum(self.log_probs)


class TokenSelector(Protocol):
    """Picks the next symbol (B,) of the open `rows` from scores (B, V), at step `length`."""

    def __call__(self, scores: Tensor, *, rows: Tensor, length: int) -> Tensor:
        """Pick one symbol for every open row."""
        ...


def select_most_likely(scores: Tensor, *, rows: Tensor, length: int) -> Tensor:
    """Pick the most likely symbol: greedy search."""
    del rows, length
    return scores.argmax(-1)


class TokenSampler:
    """Draws from the filtered distribution, with random numbers that belong to each row.

    The numbers come from `seeds`, one a row, so that what is drawn for a row depends neither on
    the batch it is in nor on how many rows there are. The draw inverts the cumulative
    distribution: one uniform number a step.
    """

    def __init__(
        self, seeds: Sequence[str], *, steps: int, filters: Sequence[Callable[[Tensor], Tensor]]
    ) -> None:
        self._filters = filters
        self._uniform = torch.stack([_uniform(seed, steps) for seed in seeds])  # (B, steps)

    def __call__(self, scores: Tensor, *, rows: Tensor, length: int) -> Tensor:
        """Pick a symbol (B,) for the open `rows`."""
        scores = scores.double()
        for keep in self._filters:
            scores = keep(scores)
        mass = scores.softmax(-1).cumsum(-1)  # (B, V)
        drawn = self._uniform[rows.cpu(), length].to(mass).unsqueeze(1) * mass[:, -1:]
        # The first symbol whose cumulative mass exceeds the number: never one without mass.
        return torch.searchsorted(mass, drawn, right=True).squeeze(1)


def _uniform(seed: str, steps: int) -> Tensor:
    digest = hashlib.sha256(seed.encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
    return torch.rand(steps, generator=generator, dtype=torch.double)


def decode_hypotheses(
    stepper: Stepper[State], batch: Batch, *, limits: Tensor, choose: TokenSelector
) -> list[Hypothesis]:
    """Write one output for every row, choosing each symbol by `choose`; see `decode_ids`."""
    ids, log_probs = decode_ids(stepper, batch, limits=limits, choose=choose)
    # What follows a limit is padding that nobody chose.
    return [
        to_hypothesis(row[:limit], some[:limit])
        for row, some, limit in zip(ids.tolist(), log_probs.tolist(), limits.tolist(), strict=True)
    ]


@torch.inference_mode()
def decode_ids(
    stepper: Stepper[State], batch: Batch, *, limits: Tensor, choose: TokenSelector
) -> tuple[Tensor, Tensor]:
    """Write ids (B, O) until every row has ended; return them and their log-probabilities (B, O).

    A row ends with the end symbol, with padding, which the notebook's loss teaches as an ending
    too, or after its limit (B,) of symbols; from there on it holds padding only. Rows that have
    ended leave the batch.
    """
    count, device = len(batch.rows), batch.source.device
    longest = int(limits.max())
    ids = torch.full((count, longest), PAD, device=device)
    log_probs = torch.zeros((count, longest), device=device)
    rows = torch.arange(count, device=device)
    limits = limits.to(device)
    state = stepper.start(batch)
    last = torch.full((count,), BEGIN, device=device)
    length = 0
    while len(rows):
        state = stepper.step(state, last)
        scores = stepper.scores(state)
        last = choose(scores, rows=rows, length=length)
        ids[rows, length] = last
        log_probs[rows, length] = scores.gather(1, last.unsqueeze(1)).squeeze(1).float()
        length += 1
        is_open = (last != END) & (last != PAD) & (limits[rows] > length)
        if not is_open.all():
            kept = is_open.nonzero().squeeze(1)
            rows, last, state = rows[kept], last[kept], stepper.select(state, kept)
    return ids[:, :length], log_probs[:, :length]


def to_hypothesis(ids: Sequence[int], log_probs: Sequence[float]) -> Hypothesis:
    """Cut a padded row of symbols at its end."""
    for length, id_ in enumerate(ids):
        if id_ in {END, PAD}:
            return Hypothesis(tuple(ids[:length]), tuple(log_probs[: length + 1]), has_ended=True)
    return Hypothesis(tuple(ids), tuple(log_probs), has_ended=False)
