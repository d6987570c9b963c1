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

from annoseq.models.padding import active_rows, reversed_tokens, select_tokens, token_mask
from annoseq.tokenization.bioes import tag_blocks

_MIN_EMISSION = -60.0
"""Lower bound of emissions relative to a token's best: no product of two underflows."""
_MAX_MESSAGE = 1e30
"""Upper bound of backward messages: where one overflows, the forward message underflows."""


_SLACK, _LEAST_PROBABILITY = 0.9, 1e-4
"""Margins of rounding in `LinearChainCrf.decode`: of p, and the least p that is trusted."""
_SEEMS_SURE = 0.99
"""Marginal above which a tag is taken for sure at first."""
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
    def decode(
        self, emissions: Tensor, lengths: Tensor, messages: ForwardBackward
    ) -> tuple[Tensor, Tensor]:
        """Return the likeliest tags (B, T) as `viterbi` does, and their log-likelihood (B,).

        The tags that are the likeliest for each token by themselves have some probability p
        together. All sequences without one of them share what its marginal leaves, so that tags
        whose marginal is above 1 - p are in the likeliest sequence. Viterbi's algorithm is needed
        for the tokens between them only: none, if p is above one half. Where p is too small to
        tell, tags with a high marginal are taken for sure at first, which makes p larger.
        """
        is_token = token_mask(emissions, lengths)
        tags, marginals = _likeliest_by_token(messages, is_token)
        log_likelihood = self.log_likelihood(emissions, tags, lengths, messages)
        seems_sure = marginals > _SEEMS_SURE
        for is_last_round in (False, True):
            unsure = is_token & ~_is_sure(marginals, log_likelihood)
            if is_last_round:
                unsure &= (unsure & seems_sure).any(1, keepdim=True)
            else:
                unsure &= ~seems_sure
            if unsure.any():
                self._search_unsure(emissions, lengths, tags, unsure)
                log_likelihood = self.log_likelihood(emissions, tags, lengths, messages)
        return tags, log_likelihood

    def _search_unsure(
        self, emissions: Tensor, lengths: Tensor, tags: Tensor, unsure: Tensor
    ) -> None:
        """Replace `tags` (B, T) where they are `unsure` by the likeliest, given all others."""
        edges = F.pad(unsure, (1, 1)).int().diff(dim=1)  # 1 at the first, -1 after the last
        row, first = (edges == 1).nonzero().unbind(1)  # (S,) stretches of tokens
        stop = (edges == -1).nonzero()[:, 1]
        places = torch.arange(int((stop - first).max()), device=tags.device) + first.unsqueeze(1)
        is_unsure = places < stop.unsqueeze(1)
        rows, places = row.unsqueeze(1), places.clamp(max=tags.shape[1] - 1)
        before = tags[row, (first - 1).clamp(min=0)].masked_fill(first == 0, 0)
        after = tags[row, stop.clamp(max=tags.shape[1] - 1)]
        is_last = (stop == lengths.to(stop.device)[row]).unsqueeze(1)
        leaving = torch.where(is_last, self._end_scores(), self.transitions().T[after])
        found = self._best_tags(emissions[rows, places], stop - first, before, leaving)
        tags[rows.expand_as(places)[is_unsure], places[is_unsure]] = found[is_unsure]

    def _end_scores(self) -> Tensor:
        """Return 0 for the tags (K,) that a row may end with, -inf for the others."""
        return torch.zeros_like(self.can_end, dtype=self.span_transitions.dtype).masked_fill(
            ~self.can_end, -torch.inf
        )

    @torch.no_grad()
    def viterbi(self, emissions: Tensor, lengths: Tensor) -> Tensor:
        """Return the likeliest tags (B, T), outside after a row's length (Viterbi 1967)."""
        before = torch.zeros(len(emissions), dtype=torch.long, device=emissions.device)
        return self._best_tags(emissions, lengths, before, self._end_scores())

    def _best_tags(
        self, emissions: Tensor, lengths: Tensor, before: Tensor, leaving: Tensor
    ) -> Tensor:
        """Return the likeliest tags (B, T) after the tags `before` (B,).

        `leaving` (B, K) are the scores of the last tags, of what follows them.
        """
        _, begin, inside, end, single = tag_blocks(self.labels)
        between = finite(self.span_transitions)
        bi, be, ii, ie = finite(self.inner_transitions)
        reached = emissions.new_full((len(emissions), self.tags), -torch.inf)
        reached.scatter_(1, before.unsqueeze(1), 0.0)
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
        rows = torch.arange(len(emissions), device=emissions.device)
        ends = lengths.to(emissions.device) - 1
        final = (torch.stack(scores, 1)[rows, ends] + leaving).argmax(1)
        return _backtrace(torch.stack(pointers, 1), final, ends)

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


def _likeliest_by_token(messages: ForwardBackward, is_token: Tensor) -> tuple[Tensor, Tensor]:
    """Return the tag (B, T) with the highest marginal of each token, and the marginal."""
    forward, backward = messages.forward, messages.backward
    marginals = forward[..., 0] * backward[..., 0]
    tags = torch.zeros_like(marginals, dtype=torch.long)
    row, place = (is_token & (marginals <= 0.5)).nonzero().unbind(1)  # the others are outside
    highest = (forward[row, place] * backward[row, place]).max(1)
    tags[row, place], marginals[row, place] = highest.indices, highest.values
    return tags, marginals


def _is_sure(marginals: Tensor, log_likelihood: Tensor) -> Tensor:
    """Return a mask (B, T) of the tags that the likeliest sequence must have.

    `log_likelihood` (B,) is that of a sequence of tags with these marginals (B, T).
    """
    probability = log_likelihood.exp().unsqueeze(1)
    return (marginals > 1 - _SLACK * probability) & (probability > _LEAST_PROBABILITY)


def _backtrace(pointers: Tensor, final: Tensor, ends: Tensor) -> Tensor:
    """Return the tags (B, T) on the paths to the `final` tags (B,) of the tokens `ends` (B,)."""
    rows = torch.arange(len(final), device=final.device)
    tag, tags = final, torch.zeros_like(pointers[:, :, 0])
    for place in range(pointers.shape[1] - 1, -1, -1):
        tag = torch.where(ends == place, final, tag)
        tags[:, place] = torch.where(ends >= place, tag, 0)
        tag = torch.where(ends >= place, pointers[rows, place, tag], tag)
    return tags


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
    """Pass messages as probabilities scaled at every token: matrix products and few logarithms.

    Both directions take their steps together: the backward messages walk over reversed rows. They
    are scaled by themselves, and at the end so that products with the forward ones sum to 1.
    """
    moves, is_token = transitions.exp(), token_mask(emissions, lengths).unsqueeze(2)
    reversed_places = reversed_tokens(emissions, lengths)
    highest = emissions.amax(2, keepdim=True)
    scores = (emissions - highest).clamp_(min=_MIN_EMISSION).exp_()
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
    backward /= (forward * backward).sum(2, keepdim=True).clamp_(min=1 / _MAX_MESSAGE)
    backward = backward.clamp_(max=_MAX_MESSAGE).masked_fill_(~is_token, 0.0)
    rows, last = torch.arange(len(emissions), device=moves.device), lengths.to(moves.device) - 1
    ending = (forward[rows, last] * can_end).sum(1).log()
    total = (scale.log() + highest).masked_fill_(~is_token, 0.0).sum((1, 2))
    return ForwardBackward(forward, backward, scores / scale, total + ending)


def finite(scores: Tensor) -> Tensor:
    """Replace NaN and clamp scores, so that sums over texts of any length are finite."""
    return scores.nan_to_num(nan=0.0).clamp_(-_MAX_SCORE, _MAX_SCORE)


def _log(probabilities: Tensor) -> Tensor:
    return probabilities.clamp(min=1e-38).log()
