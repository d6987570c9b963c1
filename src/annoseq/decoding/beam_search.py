"""Batched beam search over any stepper, with length normalization."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from annoseq.decoding.logits_processors import to_hypothesis
from annoseq.tokenization.vocabulary import BEGIN, END, PAD

if TYPE_CHECKING:
    from torch import Tensor

    from annoseq.decoding.logits_processors import Hypothesis
    from annoseq.models.interfaces import State, Stepper
    from annoseq.tokenization.batching import Batch


def length_penalty(length: Tensor | int, alpha: float) -> Tensor:
    """Return the divisor of a hypothesis's score (Wu et al. 2016, arXiv:1609.08144, eq. 14).

    With `alpha` 0 the score is the sum of log-probabilities; larger values favour longer outputs.
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
    """Return the `n_best` outputs of every row, best first by length-normalized score.

    `limits` (B,) are the maximum lengths. A hypothesis that ends leaves the beam and narrows it by
    one (Bahdanau et al. 2015), so a beam of 1 is greedy search. A row is done when its beam is
    empty, or when no open hypothesis can still win: log-probabilities only fall, so its score so
    far, normalized by the row's limit, is an upper bound.
    """
    limits = limits.to(batch.source.device)
    finished = _FinishedHypotheses(len(batch.rows), beam_size, n_best, limits, alpha)
    beam = _Beam.first(len(batch.rows), device=batch.source.device)
    state = stepper.start(batch)
    while len(beam.row):
        state = stepper.step(state, beam.last)
        beam, parents = _extend(beam, stepper.scores(state), finished.open_beam)
        has_ended = (beam.last == END) | (beam.last == PAD)
        has_ended |= beam.length >= limits[beam.row]
        finished.add(beam, has_ended)
        kept = finished.continued(beam, ~has_ended).nonzero().squeeze(1)
        beam, state = beam.select(kept), stepper.select(state, parents[kept])
    return finished.best()


@dataclass(frozen=True)
class _Beam:
    """The N open hypotheses of all rows.

    `row` (N,), `ids` and `log_probs` (N, length) so far, `total` (N,) in double precision.
    """

    row: Tensor
    ids: Tensor
    log_probs: Tensor
    total: Tensor

    @classmethod
    def first(cls, rows: int, *, device: torch.device) -> _Beam:
        empty = torch.zeros((rows, 0), device=device)
        total = torch.zeros(rows, dtype=torch.double, device=device)
        return cls(torch.arange(rows, device=device), empty.long(), empty, total)

    @property
    def length(self) -> int:
        return self.ids.shape[1]

    @property
    def last(self) -> Tensor:
        return self.ids[:, -1] if self.length else torch.full_like(self.row, BEGIN)

    def select(self, indices: Tensor) -> _Beam:
        return _Beam(
            self.row[indices], self.ids[indices], self.log_probs[indices], self.total[indices]
        )


def _extend(beam: _Beam, scores: Tensor, open_beam: Tensor) -> tuple[_Beam, Tensor]:
    """Return the best continuations of every row, as many as its `open_beam` (B,).

    They are ordered by row and falling score; the second value is the index of the hypothesis that
    each continues.
    """
    widest = min(int(open_beam.max()), scores.shape[1])
    best, symbols = scores.double().topk(widest, dim=1)  # (N, K)
    totals = (beam.total.unsqueeze(1) + best).flatten()  # (N * K,)
    parents = torch.arange(len(beam.row), device=scores.device).repeat_interleave(widest)
    row = beam.row[parents]
    # Sorted by falling score and then, stably, by row; the rank is the position in a row's run.
    order = totals.argsort(descending=True, stable=True)
    order = order[row[order].argsort(stable=True)]
    row = row[order]
    starts = torch.searchsorted(row, row)  # start of each row's run
    rank = torch.arange(len(row), device=row.device) - starts
    order = order[(rank < open_beam[row]) & (totals[order] > -torch.inf)]
    parents, symbol = parents[order], symbols.flatten()[order]
    extended = _Beam(
        beam.row[parents],
        torch.cat([beam.ids[parents], symbol.unsqueeze(1)], dim=1),
        torch.cat([beam.log_probs[parents], best.flatten()[order].float().unsqueeze(1)], dim=1),
        totals[order],
    )
    return extended, parents


class _FinishedHypotheses:
    """Finished hypotheses, and the number of open places (B,) in each row's beam."""

    def __init__(
        self, rows: int, beam_size: int, n_best: int, limits: Tensor, alpha: float
    ) -> None:
        self.open_beam = torch.full((rows,), beam_size, device=limits.device)
        self._n_best, self._alpha = n_best, alpha
        self._ranked: list[list[tuple[float, Hypothesis]]] = [[] for _ in range(rows)]
        self._max_penalty = length_penalty(limits, alpha)  # (B,)
        # The n-th best normalized score of each row so far.
        self._to_beat = torch.full((rows,), -torch.inf, dtype=torch.double, device=limits.device)

    def add(self, beam: _Beam, has_ended: Tensor) -> None:
        """Add the hypotheses that have ended."""
        ended = beam.select(has_ended.nonzero().squeeze(1))
        normalized = ended.total / length_penalty(beam.length, self._alpha).to(ended.total)
        self.open_beam -= torch.bincount(ended.row, minlength=len(self.open_beam))
        for row, ids, log_probs, score in zip(
            ended.row.tolist(),
            ended.ids.tolist(),
            ended.log_probs.tolist(),
            normalized.tolist(),
            strict=True,
        ):
            ranked = self._ranked[row]
            ranked.append((score, to_hypothesis(ids, log_probs)))
            ranked.sort(key=lambda scored: -scored[0])
            if len(ranked) >= self._n_best:
                self._to_beat[row] = ranked[self._n_best - 1][0]

    def continued(self, beam: _Beam, is_open: Tensor) -> Tensor:
        """Return the mask (N,) of open hypotheses in rows where one of them can still win.

        The others keep their places: without them, worse hypotheses would end and narrow the beam.
        """
        bound = beam.total / self._max_penalty[beam.row]
        can_win = is_open & (bound > self._to_beat[beam.row])
        goes_on = torch.zeros_like(self.open_beam, dtype=torch.bool)
        goes_on[beam.row[can_win]] = True
        return is_open & goes_on[beam.row]

    def best(self) -> list[list[Hypothesis]]:
        """Return the best hypotheses of every row, best first."""
        return [[hypothesis for _, hypothesis in row[: self._n_best]] for row in self._ranked]
