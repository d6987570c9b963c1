"""Beam search over any stepper, batched, with length normalisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from annoseq.decoding.sampling import to_hypothesis
from annoseq.tokenization.vocabulary import BEGIN, END, PAD

if TYPE_CHECKING:
    from torch import Tensor

    from annoseq.decoding.sampling import Hypothesis
    from annoseq.models.interfaces import State, Stepper
    from annoseq.tokenization.batching import Batch


def length_penalty(length: Tensor | int, alpha: float) -> Tensor:
    """Return what a hypothesis's score is divided by (Wu et al. 2016, arXiv:1609.08144, eq. 14).

    `alpha` 0 leaves the sum of log-probabilities; a larger one favours longer outputs.
    """
    return ((5 + torch.as_tensor(length, dtype=torch.double)) / 6) ** alpha


@torch.inference_mode()
def beam_search(
    stepper: Stepper[State],
    batch: Batch,
    *,
    limits: Tensor,
    beam_size: int,
    n_best: int = 1,
    alpha: float = 0.6,
) -> list[list[Hypothesis]]:
    """Return the `n_best` outputs of every row, best first by length-normalised score.

    A hypothesis that ends leaves the beam and makes it narrower by one, as in Bahdanau et al.
    2015; so a beam of 1 is greedy search. A row is done when its beam is empty, or when no open
    hypothesis can still win: log-probabilities only fall, so that its score so far, normalised
    by the row's limit, is the best that it can reach.
    """
    limits = limits.to(batch.source.device)
    finished = _Finished(len(batch.rows), beam_size, n_best, limits, alpha)
    beam = _Beam.first(len(batch.rows), device=batch.source.device)
    state = stepper.start(batch)
    while len(beam.row):
        state = stepper.step(state, beam.last)
        beam, parents = _extend(beam, stepper.scores(state), finished.room)
        has_ended = (beam.last == END) | (beam.last == PAD)
        has_ended |= beam.length >= limits[beam.row]
        finished.add(beam, has_ended)
        kept = (~has_ended & finished.is_worth(beam)).nonzero().squeeze(1)
        beam, state = beam.select(kept), stepper.select(state, parents[kept])
    return finished.best()


@dataclass(frozen=True)
class _Beam:
    """The N open hypotheses of all rows.

    `row` (N,) they belong to, `ids` and `log_probs` (N, length) so far, `total` (N,) in double.
    """

    row: Tensor
    ids: Tensor
    log_probs: Tensor
    total: Tensor

    @classmethod
    def first(cls, rows: int, *, device: torch.device) -> _Beam:
        nothing = torch.zeros((rows, 0), device=device)
        total = torch.zeros(rows, dtype=torch.double, device=device)
        return cls(torch.arange(rows, device=device), nothing.long(), nothing, total)

    @property
    def length(self) -> int:
        return self.ids.shape[1]

    @property
    def last(self) -> Tensor:
        return self.ids[:, -1] if self.length else torch.full_like(self.row, BEGIN)

    def select(self, kept: Tensor) -> _Beam:
        return _Beam(self.row[kept], self.ids[kept], self.log_probs[kept], self.total[kept])


def _extend(beam: _Beam, scores: Tensor, room: Tensor) -> tuple[_Beam, Tensor]:
    """Take the best continuations of every row, as many as it has `room` (B,) for.

    Returns them, ordered by row and falling score, and the hypothesis that each continues.
    """
    widest = min(int(room.max()), scores.shape[1])
    best, symbols = scores.double().topk(widest, dim=1)  # (N, K)
    totals = (beam.total.unsqueeze(1) + best).flatten()  # (N * K,)
    parents = torch.arange(len(beam.row), device=scores.device).repeat_interleave(widest)
    row = beam.row[parents]
    # By falling score, then, keeping that order, by row; a row's rank is its place in its run.
    order = totals.argsort(descending=True, stable=True)
    order = order[row[order].argsort(stable=True)]
    row = row[order]
    starts = torch.searchsorted(row, row)  # where each row's run begins
    rank = torch.arange(len(row), device=row.device) - starts
    order = order[(rank < room[row]) & (totals[order] > -torch.inf)]
    parents, symbol = parents[order], symbols.flatten()[order]
    extended = _Beam(
        beam.row[parents],
        torch.cat([beam.ids[parents], symbol.unsqueeze(1)], dim=1),
        torch.cat([beam.log_probs[parents], best.flatten()[order].float().unsqueeze(1)], dim=1),
        totals[order],
    )
    return extended, parents


class _Finished:
    """The hypotheses that have ended, and how much of each row's beam is still open."""

    def __init__(
        self, rows: int, beam_size: int, n_best: int, limits: Tensor, alpha: float
    ) -> None:
        self.room = torch.full((rows,), beam_size, device=limits.device)
        self._n_best, self._alpha = n_best, alpha
        self._found: list[list[tuple[float, Hypothesis]]] = [[] for _ in range(rows)]
        self._at_best = length_penalty(limits, alpha)  # (B,)
        # The n-th best normalised score of each row so far: what an open one must beat.
        self._to_beat = torch.full((rows,), -torch.inf, dtype=torch.double, device=limits.device)

    def add(self, beam: _Beam, has_ended: Tensor) -> None:
        """Take over the hypotheses that have ended."""
        ended = beam.select(has_ended.nonzero().squeeze(1))
        normalised = ended.total / length_penalty(beam.length, self._alpha).to(ended.total)
        self.room -= torch.bincount(ended.row, minlength=len(self.room))
        for row, ids, log_probs, score in zip(
            ended.row.tolist(),
            ended.ids.tolist(),
            ended.log_probs.tolist(),
            normalised.tolist(),
            strict=True,
        ):
            found = self._found[row]
            found.append((score, to_hypothesis(ids, log_probs)))
            found.sort(key=lambda one: -one[0])
            if len(found) >= self._n_best:
                self._to_beat[row] = found[self._n_best - 1][0]

    def is_worth(self, beam: _Beam) -> Tensor:
        """Tell which open hypotheses (N,) could still be among the best of their row."""
        bound = beam.total / self._at_best[beam.row]
        return (bound > self._to_beat[beam.row]) & (self.room[beam.row] > 0)

    def best(self) -> list[list[Hypothesis]]:
        """Return the best of every row, best first."""
        return [[one for _, one in found[: self._n_best]] for found in self._found]
