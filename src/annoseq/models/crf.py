"""Linear-chain CRF over BIOES tags (Lafferty et al. 2001).

Tags are numbered in blocks: 0 is outside, followed by the begin, inside, end and single tags of all
labels. Only sequences of whole spans have a probability. The transition score between two spans
depends on their labels only, so that Viterbi needs (L + 1)^2 comparisons a token instead of
(4 L + 1)^2.

Shapes: B rows, T tokens, L labels, K = 4 L + 1 tags, N spans.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_MIN_EMISSION = -60.0
"""Lower bound of emissions relative to a token's best: no product of two underflows."""
_MAX_MESSAGE = 1e30
"""Upper bound of backward messages: where one overflows, the forward message underflows."""


_MAX_SCORE, _IMPOSSIBLE = 1e4, -1e4
"""Replacements of infinite scores, so that overflown weights cannot break spans."""


class ForwardBackward(NamedTuple):
    """Messages of the forward-backward algorithm, scaled so that products are probabilities.

    `forward * backward` (B, T, K) are the marginals of the tags; `emissions` (B, T, K) are the
    exponentials of the emissions divided by the same scale as `forward`; `log_partition` (B,).
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

    def __init__(self, labels: int) -> None:
        super().__init__()
        self.labels = labels
        self.span_transitions = nn.Parameter(torch.zeros(labels + 1, labels + 1))
        self.inner_transitions = nn.Parameter(torch.zeros(4, labels))
        can_end = torch.ones(self.tags, dtype=torch.bool)
        can_end[1 : 1 + 2 * labels] = False
        self.register_buffer("can_end", can_end, persistent=False)

    @property
    def tags(self) -> int:
        """Number of tags K."""
        return 4 * self.labels + 1

    def transitions(self) -> Tensor:
        """Return the score (K, K) of each tag (column) after each tag (row), -inf if forbidden."""
        outside, begin, inside, end, single = tag_blocks(self.labels)
        table = self.span_transitions.new_full((self.tags, self.tags), -torch.inf)
        for closing in (end, single):
            table[closing, outside] = self.span_transitions[1:, :1]
            for opening in (begin, single):
                table[closing, opening] = self.span_transitions[1:, 1:]
        table[outside, outside] = self.span_transitions[:1, :1]
        for opening in (begin, single):
            table[outside, opening] = self.span_transitions[:1, 1:]
        diagonal = torch.arange(self.labels, device=table.device)
        for row, (before, after) in enumerate(
            ((begin, inside), (begin, end), (inside, inside), (inside, end))
        ):
            table[diagonal + before.start, diagonal + after.start] = self.inner_transitions[row]
        return table

    def loss(self, emissions: Tensor, tags: Tensor, lengths: Tensor) -> Tensor:
        """Return the negative log-likelihood (B,) of `tags` (B, T), given emissions (B, T, K)."""
        table = self.transitions()
        log_partition: Tensor = _LogPartition.apply(emissions, table, self.can_end, lengths)  # type: ignore[no-untyped-call]
        return log_partition - _sequence_score(emissions, table, tags, lengths)

    def log_likelihood(
        self, emissions: Tensor, tags: Tensor, lengths: Tensor, messages: ForwardBackward
    ) -> Tensor:
        """Return the log-likelihood (B,), at most 0, of `tags` (B, T) from given `messages`."""
        score = _sequence_score(emissions, self.transitions(), tags, lengths)
        log_likelihood = (score - messages.log_partition).clamp(max=0.0)
        return log_likelihood.nan_to_num(nan=_IMPOSSIBLE, neginf=_IMPOSSIBLE)

    @torch.no_grad()
    def forward_backward(self, emissions: Tensor, lengths: Tensor) -> ForwardBackward:
        """Run the forward-backward algorithm over emissions (B, T, K)."""
        return _forward_backward(emissions, self.transitions(), self.can_end, lengths)

    @torch.no_grad()
    def viterbi(self, emissions: Tensor, lengths: Tensor) -> Tensor:
        """Return the likeliest tags (B, T), outside after a row's length (Viterbi 1967)."""
        _, begin, inside, end, single = tag_blocks(self.labels)
        between = finite(self.span_transitions)
        bi, be, ii, ie = finite(self.inner_transitions)
        reached = emissions.new_full((len(emissions), self.tags), -torch.inf)
        reached[:, 0] = 0.0  # as after an outside tag
        labels = torch.arange(self.labels, device=emissions.device)
        pointers: list[Tensor] = []
        scores: list[Tensor] = []
        for place in range(emissions.shape[1]):
            ended, single_score = reached[:, end], reached[:, single]
            last = torch.cat([reached[:, :1], torch.maximum(ended, single_score)], 1)
            through = torch.where(ended >= single_score, labels + end.start, labels + single.start)
            through = F.pad(through, (1, 0))  # the predecessor outside is tag 0
            opened, best_label = (last.unsqueeze(2) + between).max(1)
            opener = through.gather(1, best_label)
            begun, within = reached[:, begin], reached[:, inside]
            from_begin, from_inside = labels + begin.start, labels + inside.start
            pointers.append(
                torch.cat(
                    [
                        opener,
                        torch.where(begun + bi >= within + ii, from_begin, from_inside),
                        torch.where(begun + be >= within + ie, from_begin, from_inside),
                        opener[:, 1:],
                    ],
                    1,
                )
            )
            stay = torch.maximum(begun + bi, within + ii)
            close = torch.maximum(begun + be, within + ie)
            reached = torch.cat([opened, stay, close, opened[:, 1:]], 1) + emissions[:, place]
            scores.append(reached)
        return self._backtrace(torch.stack(pointers, 1), torch.stack(scores, 1), lengths)

    def _backtrace(self, pointers: Tensor, scores: Tensor, lengths: Tensor) -> Tensor:
        rows = torch.arange(len(scores), device=scores.device)
        ends = lengths.to(scores.device) - 1
        final = scores[rows, ends].masked_fill(~self.can_end, -torch.inf).argmax(1)
        tag, tags = final, torch.zeros_like(pointers[:, :, 0])
        for place in range(pointers.shape[1] - 1, -1, -1):
            tag = torch.where(ends == place, final, tag)
            tags[:, place] = torch.where(ends >= place, tag, 0)
            tag = torch.where(ends >= place, pointers[rows, place, tag], tag)
        return tags

    @torch.no_grad()
    def span_log_probs(self, messages: ForwardBackward, spans: Tensor) -> Tensor:
        """Return the log-probability (N,) of spans (N, 4): row, first and last token, label.

        The probability of a span is the sum over all tag sequences that contain it.
        """
        row, first, last, label = spans.unbind(1)
        _, begins, insides, ends, singles = tag_blocks(self.labels)
        begin, end, single = (label + block.start for block in (begins, ends, singles))
        bi, be, ii, ie = (scores[label] for scores in self.inner_transitions)
        forward, backward, emissions, _ = messages
        one_token = _log(forward[row, first, single]) + _log(backward[row, first, single])
        # In double precision: a sum over a long text is a difference of large numbers.
        steps = _log(emissions[..., insides]).double().cumsum(1)  # (B, T, L)
        middle = (last - 1).clamp(min=0)
        passed = (steps[row, middle, label] - steps[row, first, label]).float()
        inner = last - first - 1  # tokens between the first and the last
        through = torch.where(inner > 0, bi + ie + ii * (inner - 1).clamp(min=0) + passed, be)
        several_tokens = (
            _log(forward[row, first, begin])
            + through
            + _log(emissions[row, last, end])
            + _log(backward[row, last, end])
        )
        log_probs = torch.where(first == last, one_token, several_tokens).clamp(max=0.0)
        return log_probs.nan_to_num(nan=_IMPOSSIBLE, neginf=_IMPOSSIBLE)


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
        after = ((emissions * backward).clamp(max=_MAX_MESSAGE) * scale).reshape(-1, tags)
        counts = transitions.exp() * (before.reshape(-1, tags).T @ after)
        return marginals, counts, None, None


def _forward_backward(
    emissions: Tensor, transitions: Tensor, can_end: Tensor, lengths: Tensor
) -> ForwardBackward:
    """Pass messages as probabilities scaled at every token: matrix products and few logarithms."""
    moves, ends = transitions.exp(), can_end.to(emissions.dtype)
    is_token = token_mask(emissions, lengths)
    highest = emissions.amax(2, keepdim=True)
    scores = (emissions - highest).clamp(min=_MIN_EMISSION).exp()
    message = torch.zeros_like(scores[:, 0])
    message[:, 0] = 1.0
    forwards, scales = [], []
    for place in range(emissions.shape[1]):
        message = (message @ moves) * scores[:, place]
        scale = message.sum(1, keepdim=True)
        message = message / scale
        forwards.append(message)
        scales.append(scale)
    forward, scale = torch.stack(forwards, 1), torch.stack(scales, 1)
    scores = scores / scale
    rows = torch.arange(len(emissions), device=emissions.device)
    last = lengths.to(emissions.device) - 1
    ending = (forward[rows, last] * ends).sum(1, keepdim=True)
    final, message = ends / ending, torch.zeros_like(message)
    backwards = [message] * emissions.shape[1]
    for place in range(emissions.shape[1] - 1, -1, -1):
        message = torch.where((last == place).unsqueeze(1), final, message)
        backwards[place] = message
        message = (message * scores[:, place]).clamp(max=_MAX_MESSAGE) @ moves.T
    backward = torch.stack(backwards, 1).clamp(max=_MAX_MESSAGE)
    backward = backward.masked_fill(~is_token.unsqueeze(2), 0.0)
    total = (scale.log() + highest).squeeze(2).masked_fill(~is_token, 0.0).sum(1)
    return ForwardBackward(forward, backward, scores, total + ending.log().squeeze(1))


def tag_blocks(labels: int) -> tuple[slice, slice, slice, slice, slice]:
    """Return the slices of the outside, begin, inside, end and single tags."""
    edges = [0, *(1 + labels * block for block in range(5))]
    outside, begin, inside, end, single = map(slice, edges, edges[1:])
    return outside, begin, inside, end, single


def token_mask(values: Tensor, lengths: Tensor) -> Tensor:
    """Return the mask (B, T) of tokens, False for padding."""
    places = torch.arange(values.shape[1], device=values.device)
    return places < lengths.to(values.device).unsqueeze(1)


def finite(scores: Tensor) -> Tensor:
    """Replace NaN and clamp scores, so that sums over texts of any length are finite."""
    return scores.nan_to_num(nan=0.0).clamp(-_MAX_SCORE, _MAX_SCORE)


def _log(probabilities: Tensor) -> Tensor:
    return probabilities.clamp(min=1e-38).log()
