"""A linear-chain CRF over begin, inside, end and single tags (Lafferty et al. 2001).

Tags are numbered in blocks: 0 is outside, then come the begin, inside, end and single tags of all
labels. Only sequences of whole spans have a probability. Between two spans the score depends on
their labels alone, so that the best sequence is found in (L + 1)^2 comparisons a token, not in
(4 L + 1)^2.

Shapes: B rows, T tokens, L labels, K = 4 L + 1 tags, N spans.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_LOWEST = -60.0
"""Emissions this far below a token's best count as this far: no product of two vanishes."""
_HIGHEST = 1e30
"""Messages from the end count as no more: where one overflows, the one from the start vanishes."""


_LARGEST, _IMPOSSIBLE = 1e4, -1e4
"""What scores that are no numbers are read as: weights that have overflown must not break spans."""


class ForwardBackward(NamedTuple):
    """The messages of the forward-backward algorithm, scaled so that products are probabilities.

    `ahead * behind` (B, T, K) are the marginals of the tags; `scores` (B, T, K) are the
    exponentials of the emissions, divided by the scale that `ahead` was divided by.
    """

    ahead: Tensor
    behind: Tensor
    scores: Tensor
    log_partition: Tensor


class LinearChainCrf(nn.Module):
    """The transitions of the CRF, all of which begin as equals."""

    closed: Tensor

    def __init__(self, labels: int) -> None:
        super().__init__()
        self.labels = labels
        self.between = nn.Parameter(torch.zeros(labels + 1, labels + 1))
        self.within = nn.Parameter(torch.zeros(4, labels))  # from B to I and E, from I to I and E
        closed = torch.ones(self.tags, dtype=torch.bool)
        closed[1 : 1 + 2 * labels] = False
        self.register_buffer("closed", closed, persistent=False)

    @property
    def tags(self) -> int:
        """How many tags there are: K."""
        return 4 * self.labels + 1

    def transitions(self) -> Tensor:
        """Return the score (K, K) of each tag after each other, -inf where it cannot follow."""
        many = self.labels
        outside, begin, inside, end, single = tag_blocks(many)
        table = self.between.new_full((self.tags, self.tags), -torch.inf)
        for after in (end, single):
            table[after, outside] = self.between[1:, :1]
            for opened in (begin, single):
                table[after, opened] = self.between[1:, 1:]
        table[outside, outside] = self.between[:1, :1]
        for opened in (begin, single):
            table[outside, opened] = self.between[:1, 1:]
        diagonal = torch.arange(many, device=table.device)
        for row, (before, now) in enumerate(
            ((begin, inside), (begin, end), (inside, inside), (inside, end))
        ):
            table[diagonal + before.start, diagonal + now.start] = self.within[row]
        return table

    def loss(self, emissions: Tensor, tags: Tensor, lengths: Tensor) -> Tensor:
        """Return the negative log-likelihood (B,) of `tags` (B, T), given emissions (B, T, K)."""
        table = self.transitions()
        log_partition: Tensor = _LogPartition.apply(emissions, table, self.closed, lengths)  # type: ignore[no-untyped-call]
        return log_partition - _score(emissions, table, tags, lengths)

    def log_likelihood(
        self, emissions: Tensor, tags: Tensor, lengths: Tensor, paths: ForwardBackward
    ) -> Tensor:
        """Return the log-likelihood (B,) of `tags` (B, T), whose `paths` are known; not above 0."""
        score = _score(emissions, self.transitions(), tags, lengths)
        found = (score - paths.log_partition).clamp(max=0.0)
        return found.nan_to_num(nan=_IMPOSSIBLE, neginf=_IMPOSSIBLE)

    @torch.no_grad()
    def paths(self, emissions: Tensor, lengths: Tensor) -> ForwardBackward:
        """Sum over all sequences, from both ends."""
        return _forward_backward(emissions, self.transitions(), self.closed, lengths)

    @torch.no_grad()
    def best(self, emissions: Tensor, lengths: Tensor) -> Tensor:
        """Return the likeliest sequences (B, T), outside after their ends (Viterbi 1967)."""
        many, width = self.labels, emissions.shape[1]
        _, begin, inside, end, single = tag_blocks(many)
        between, (bi, be, ii, ie) = finite(self.between), finite(self.within)
        reached = emissions.new_full((len(emissions), self.tags), -torch.inf)
        reached[:, 0] = 0.0  # as if an outside tag stood before the text
        labels = torch.arange(many, device=emissions.device)
        pointers: list[Tensor] = []
        scores: list[Tensor] = []
        for place in range(width):
            ended, alone = reached[:, end], reached[:, single]
            last = torch.cat([reached[:, :1], torch.maximum(ended, alone)], 1)
            through = torch.where(ended >= alone, labels + end.start, labels + single.start)
            through = F.pad(through, (1, 0))  # an outside tag comes from outside
            opened, which = (last.unsqueeze(2) + between).max(1)
            opener = through.gather(1, which)
            begun, within = reached[:, begin], reached[:, inside]
            goes_on, closes = begun + bi >= within + ii, begun + be >= within + ie
            stay = torch.maximum(begun + bi, within + ii)
            close = torch.maximum(begun + be, within + ie)
            from_begin, from_inside = labels + begin.start, labels + inside.start
            pointers.append(
                torch.cat(
                    [
                        opener,
                        torch.where(goes_on, from_begin, from_inside),
                        torch.where(closes, from_begin, from_inside),
                        opener[:, 1:],
                    ],
                    1,
                )
            )
            reached = torch.cat([opened, stay, close, opened[:, 1:]], 1) + emissions[:, place]
            scores.append(reached)
        return self._trace(torch.stack(pointers, 1), torch.stack(scores, 1), lengths)

    def _trace(self, pointers: Tensor, scores: Tensor, lengths: Tensor) -> Tensor:
        rows = torch.arange(len(scores), device=scores.device)
        ends = lengths.to(scores.device) - 1
        final = scores[rows, ends].masked_fill(~self.closed, -torch.inf).argmax(1)
        tag, found = final, torch.zeros_like(pointers[:, :, 0])
        for place in range(pointers.shape[1] - 1, -1, -1):
            tag = torch.where(ends == place, final, tag)
            found[:, place] = torch.where(ends >= place, tag, 0)
            tag = torch.where(ends >= place, pointers[rows, place, tag], tag)
        return found

    @torch.no_grad()
    def log_probabilities(self, paths: ForwardBackward, spans: Tensor) -> Tensor:
        """Return the log-probability (N,) of each span (N, 4): row, first, last, label.

        `last` is the last token itself. It is the sum over all sequences that hold the span.
        """
        row, first, last, label = spans.unbind(1)
        _, begins, insides, ends, singles = tag_blocks(self.labels)
        begin, end, single = (label + one.start for one in (begins, ends, singles))
        bi, be, ii, ie = (one[label] for one in self.within)
        alone = _log(paths.ahead[row, first, single]) + _log(paths.behind[row, first, single])
        # In double precision: a sum over a long text is a difference of large numbers.
        steps = _log(paths.scores[..., insides]).double().cumsum(1)  # (B, T, L)
        middle = (last - 1).clamp(min=0)
        passed = (steps[row, middle, label] - steps[row, first, label]).float()
        count = last - first - 1  # tokens between the first and the last
        through = torch.where(count > 0, bi + ie + ii * (count - 1).clamp(min=0) + passed, be)
        several = (
            _log(paths.ahead[row, first, begin])
            + through
            + _log(paths.scores[row, last, end])
            + _log(paths.behind[row, last, end])
        )
        found = torch.where(first == last, alone, several).clamp(max=0.0)
        return found.nan_to_num(nan=_IMPOSSIBLE, neginf=_IMPOSSIBLE)


def _score(emissions: Tensor, transitions: Tensor, tags: Tensor, lengths: Tensor) -> Tensor:
    """Return the score (B,) of sequences of tags (B, T)."""
    before = torch.cat([torch.zeros_like(tags[:, :1]), tags[:, :-1]], 1)
    steps = emissions.gather(2, tags.unsqueeze(2)).squeeze(2) + transitions[before, tags]
    return steps.masked_fill(~token_mask(tags, lengths), 0.0).sum(1)


class _LogPartition(torch.autograd.Function):
    """The log of the sum over all sequences (B,); its gradients are expected counts."""

    @staticmethod
    def forward(
        ctx: Any, emissions: Tensor, transitions: Tensor, closed: Tensor, lengths: Tensor
    ) -> Tensor:
        paths = _forward_backward(emissions, transitions, closed, lengths)
        ctx.save_for_backward(paths.ahead, paths.behind, paths.scores, transitions)
        return paths.log_partition

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        ahead, behind, scores, transitions = ctx.saved_tensors
        scale = gradients[0][:, None, None]
        marginals = ahead * behind * scale
        before = torch.zeros_like(ahead)
        before[:, 1:] = ahead[:, :-1]
        before[:, 0, 0] = 1.0
        tags = ahead.shape[2]
        after = ((scores * behind).clamp(max=_HIGHEST) * scale).reshape(-1, tags)
        counts = transitions.exp() * (before.reshape(-1, tags).T @ after)
        return marginals, counts, None, None


def _forward_backward(
    emissions: Tensor, transitions: Tensor, closed: Tensor, lengths: Tensor
) -> ForwardBackward:
    """Work in probabilities that are scaled at every token: matrix products, and few logs."""
    moves, ends = transitions.exp(), closed.to(emissions.dtype)
    is_token = token_mask(emissions, lengths)
    highest = emissions.amax(2, keepdim=True)
    scores = (emissions - highest).clamp(min=_LOWEST).exp()
    message = torch.zeros_like(scores[:, 0])
    message[:, 0] = 1.0
    ahead, scales = [], []
    for place in range(emissions.shape[1]):
        message = (message @ moves) * scores[:, place]
        scale = message.sum(1, keepdim=True)
        message = message / scale
        ahead.append(message)
        scales.append(scale)
    forward, scale = torch.stack(ahead, 1), torch.stack(scales, 1)
    scores = scores / scale
    rows = torch.arange(len(emissions), device=emissions.device)
    last = lengths.to(emissions.device) - 1
    ending = (forward[rows, last] * ends).sum(1, keepdim=True)
    final, message = ends / ending, torch.zeros_like(message)
    behind = [message] * emissions.shape[1]
    for place in range(emissions.shape[1] - 1, -1, -1):
        message = torch.where((last == place).unsqueeze(1), final, message)
        behind[place] = message
        message = (message * scores[:, place]).clamp(max=_HIGHEST) @ moves.T
    backward = torch.stack(behind, 1).clamp(max=_HIGHEST)
    backward = backward.masked_fill(~is_token.unsqueeze(2), 0.0)
    total = (scale.log() + highest).squeeze(2).masked_fill(~is_token, 0.0).sum(1)
    return ForwardBackward(forward, backward, scores, total + ending.log().squeeze(1))


def tag_blocks(labels: int) -> tuple[slice, slice, slice, slice, slice]:
    """Return where the outside, begin, inside, end and single tags stand."""
    edges = [0, *(1 + labels * block for block in range(5))]
    outside, begin, inside, end, single = map(slice, edges, edges[1:])
    return outside, begin, inside, end, single


def token_mask(values: Tensor, lengths: Tensor) -> Tensor:
    """Tell which places (B, T) of padded rows are tokens."""
    places = torch.arange(values.shape[1], device=values.device)
    return places < lengths.to(values.device).unsqueeze(1)


def finite(scores: Tensor) -> Tensor:
    """Return scores that can be added up over any text, whatever they were."""
    return scores.nan_to_num(nan=0.0).clamp(-_LARGEST, _LARGEST)


def _log(probabilities: Tensor) -> Tensor:
    return probabilities.clamp(min=1e-38).log()
