"""Linear-chain CRF over BIOES tags (Lafferty et al. 2001).

Tags are numbered in blocks: 0 is outside, followed by the begin, inside, end and single tags of all
labels. Only sequences of whole spans have a probability. The transition score between two spans
depends on their labels only, so that Viterbi needs (L + 1)^2 comparisons a token instead of
(4 L + 1)^2. `annoseq.models.crf_decoder` makes spans of the emissions.

Shapes: B rows, T tokens, L labels, K = 4 L + 1 tags, N spans.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from annoseq.models.crf_decoder import CrfDecoder, transition_table
from annoseq.models.forward_backward import MAX_MESSAGE, MIN_EMISSION
from annoseq.models.padding import active_rows, reversed_tokens, select_tokens, token_mask
from annoseq.models.span_decoder import MAX_SCORE

if TYPE_CHECKING:
    from annoseq.tokenization.soft_targets import SoftTargets


class Messages(NamedTuple):
    """Scaled messages (B, T, K), scaled emissions (B, T, K) and log-partition (B,), as tensors.

    `annoseq.models.forward_backward.ForwardBackward` explains them.
    """

    forward: Tensor
    backward: Tensor
    emissions: Tensor
    log_partition: Tensor


class LinearChainCrf(nn.Module):
    """Transition scores of the CRF, initialized to zero.

    `span_transitions` (L + 1, L + 1) are the scores between outside or a span of a label (row) and
    outside or the next span (column); `inner_transitions` (4, L) those within a span: B to I, B to
    E, I to I and I to E.
    """

    can_end: Tensor
    reversed_table: Tensor

    def __init__(self, labels: int) -> None:
        super().__init__()
        self.labels = labels
        self.span_transitions = nn.Parameter(torch.zeros(labels + 1, labels + 1))
        self.inner_transitions = nn.Parameter(torch.zeros(4, labels))
        can_end = torch.ones(self.tags, dtype=torch.bool)
        can_end[1 : 1 + 2 * labels] = False
        self.register_buffer("can_end", can_end, persistent=False)
        size, inner = (labels + 1) ** 2, 4 * labels
        numbers = np.arange(size + inner, dtype=np.float64)
        places = transition_table(
            numbers[:size].reshape(labels + 1, -1), numbers[size:].reshape(4, -1)
        )
        places[np.isinf(places)] = size + inner  # forbidden
        reversed_table = torch.from_numpy(places.astype(np.int64).ravel()[::-1].copy())
        self.register_buffer("reversed_table", reversed_table, persistent=False)

    @property
    def tags(self) -> int:
        """Number of tags K."""
        return 4 * self.labels + 1

    def transitions(self) -> Tensor:
        """Return the score (K, K) of each tag (column) after each tag (row), -inf if forbidden."""
        flat = [scores.flatten() for scores in self.parameters()]
        scores = torch.cat([*flat, flat[0].new_full((1,), -torch.inf)])
        # Gathered at once; in reverse, because the gradients of a score are added in that order.
        return scores.index_select(0, self.reversed_table).flip(0).view(self.tags, self.tags)

    def loss(
        self, emissions: Tensor, tags: Tensor, lengths: Tensor, soft: SoftTargets | None = None
    ) -> Tensor:
        """Return the negative log-likelihood (B,) of `tags` (B, T), given emissions (B, T, K).

        With `soft`, the cross-entropy with a teacher's distribution has a share in it.
        """
        table = self.transitions()
        log_partition: Tensor = _LogPartition.apply(emissions, table, self.can_end, lengths)  # type: ignore[no-untyped-call]
        score = _sequence_score(emissions, table, tags, lengths)
        if soft is not None:
            transitions = torch.cat([scores.flatten() for scores in self.parameters()])
            score = torch.lerp(score, soft.expected_score(emissions, transitions), soft.weights)
        return log_partition - score

    @torch.no_grad()
    def at_temperature(self, temperature: float) -> LinearChainCrf:
        """Return a copy whose transition scores are divided by `temperature`."""
        crf = deepcopy(self)
        for scores in crf.parameters():
            scores.div_(temperature)
        return crf

    @torch.no_grad()
    def forward_backward(self, emissions: Tensor, lengths: Tensor) -> Messages:
        """Run the forward-backward algorithm over emissions (B, T, K)."""
        return _forward_backward(emissions, self.transitions(), self.can_end, lengths)

    @property
    def decoder(self) -> CrfDecoder:
        """Decoder of emissions, with the transition scores of this moment."""
        return CrfDecoder(
            self.span_transitions.numpy(force=True), self.inner_transitions.numpy(force=True)
        )


def _sequence_score(
    emissions: Tensor, transitions: Tensor, tags: Tensor, lengths: Tensor
) -> Tensor:
    """Return the unnormalized score (B,) of tag sequences (B, T)."""
    before = torch.cat([torch.zeros_like(tags[:, :1]), tags[:, :-1]], 1)
    steps = emissions.gather(2, tags.unsqueeze(2)).squeeze(2) + transitions[before, tags]
    return steps.masked_fill(~token_mask(tags, lengths), 0.0).sum(1)


class _LogPartition(torch.autograd.Function):
    """Log-partition function (B,); its gradients are expected counts."""

    @staticmethod
    def forward(
        ctx: Any, emissions: Tensor, transitions: Tensor, can_end: Tensor, lengths: Tensor
    ) -> Tensor:
        messages = _forward_backward(emissions, transitions, can_end, lengths)
        ctx.save_for_backward(*messages[:3], transitions)
        return messages.log_partition

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        forward, backward, emissions, transitions = ctx.saved_tensors
        scale = gradients[0][:, None, None]
        marginals = forward * backward * scale
        before = torch.zeros_like(forward)
        before[:, 1:] = forward[:, :-1]
        before[:, 0, 0] = 1.0
        tags = forward.shape[2]
        after = ((emissions * backward).clamp(max=MAX_MESSAGE) * scale).reshape(-1, tags)
        counts = transitions.exp() * (before.reshape(-1, tags).T @ after)
        return marginals, counts, None, None


def _forward_backward(
    emissions: Tensor, transitions: Tensor, can_end: Tensor, lengths: Tensor
) -> Messages:
    """Pass messages as probabilities scaled at every token: matrix products and few logarithms.

    Both directions take their steps together: the backward messages walk over reversed rows. They
    are scaled by themselves, and at the end so that products with the forward ones sum to 1.
    """
    moves, is_token = transitions.exp(), token_mask(emissions, lengths).unsqueeze(2)
    reversed_places = reversed_tokens(emissions, lengths)
    highest = emissions.amax(2, keepdim=True)
    scores = (emissions - highest).clamp_(min=MIN_EMISSION).exp_()
    both_scores = torch.stack([scores, select_tokens(scores, reversed_places)])  # (2, B, T, K)
    both_moves = torch.stack([moves, moves.T])
    # Messages (2, B, T, K) that reach a token, before its own emission.
    reaching = torch.zeros_like(both_scores)
    message = torch.stack([moves[:1], can_end.to(moves.dtype)[None]])
    for place, active in enumerate(active_rows(lengths, emissions.shape[1])):
        if place:
            message = torch.bmm(message[:, :active], both_moves)
        reaching[:, :active, place] = message
        message = message * both_scores[:, :active, place]
        message /= message.sum(2, keepdim=True)
    forward = reaching[0] * scores
    scale = forward.sum(2, keepdim=True).masked_fill_(~is_token, 1.0)
    forward /= scale
    backward = select_tokens(reaching[1], reversed_places)
    backward /= (forward * backward).sum(2, keepdim=True).clamp_(min=1 / MAX_MESSAGE)
    backward = backward.clamp_(max=MAX_MESSAGE).masked_fill_(~is_token, 0.0)
    rows, last = torch.arange(len(emissions), device=moves.device), lengths.to(moves.device) - 1
    ending = (forward[rows, last] * can_end).sum(1).log()
    total = (scale.log() + highest).masked_fill_(~is_token, 0.0).sum((1, 2))
    return Messages(forward, backward, scores / scale, total + ending)


def finite(scores: Tensor) -> Tensor:
    """Replace NaN and clamp scores, so that sums over texts of any length are finite."""
    return scores.nan_to_num(nan=0.0).clamp_(-MAX_SCORE, MAX_SCORE)
