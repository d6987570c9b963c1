"""Span decoder of a linear-chain CRF: Viterbi and span probabilities, in numpy.

`annoseq.models.crf` explains tags and transitions, and has the loss. Decoding needs no gradients
and is a loop of small steps, for which numpy serves; a model in an ONNX file is decoded by the same
code.

Shapes: B rows, T tokens, L labels, K = 4 L + 1 tags, N spans, S stretches of tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from annoseq.kernels import selection as kernels
from annoseq.models.forward_backward import ForwardBackward, forward_backward
from annoseq.models.span_decoder import SpanArrays, finite, token_mask
from annoseq.models.span_marginals import covered_tokens, likely_spans
from annoseq.tokenization.bioes import bioes_to_token_spans, tag_blocks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from annoseq.kernels.crf_kernel import CrfWeights

_SLACK, _LEAST_PROBABILITY = 0.9, 1e-4
"""Margins of rounding in the search for the likeliest tags: of p, and the least p trusted."""
_SEEMS_SURE = 0.99
"""Marginal above which a tag is taken for sure at first."""
_IMPOSSIBLE = -1e4
"""Lowest log-probability, in place of minus infinity."""


@dataclass(frozen=True, eq=False)
class CrfDecoder:
    """Decoder of emissions (B, T, K) by the transition scores of a `LinearChainCrf`."""

    span_transitions: NDArray[Any]
    inner_transitions: NDArray[Any]

    @property
    def labels(self) -> int:
        """Number of labels L."""
        return len(self.span_transitions) - 1

    def decode(self, scores: NDArray[Any], lengths: NDArray[np.int64]) -> SpanArrays:
        """Return the spans of the likeliest tag sequence."""
        best, _ = self._solve(scores, lengths, keeps_messages=False)
        return best

    def candidates(
        self, scores: NDArray[Any], lengths: NDArray[np.int64], *, floor: float, longest: int
    ) -> SpanArrays:
        """Return the spans of at most `longest` tokens whose probability is at least `floor`.

        They may overlap.
        """
        best, messages = self._solve(scores, lengths)
        spans, log_probs = likely_spans(
            messages.marginals,
            lambda spans: self.span_log_probs(messages, spans),
            floor=floor,
            longest=longest,
        )
        return SpanArrays(spans, log_probs, best.row_log_probs)

    def coverage(
        self, scores: NDArray[Any], lengths: NDArray[np.int64], *, floor: float
    ) -> tuple[SpanArrays, SpanArrays]:
        """Return the likeliest spans, and the tokens that lie in any span with at least `floor`."""
        best, messages = self._solve(scores, lengths)
        rows, width, tags = messages.forward.shape
        # Begin, inside, end and single tags of a label together.
        by_label = messages.marginals[..., 1:].reshape(rows, width, 4, tags // 4).sum(2)
        tokens, log_probs = covered_tokens(by_label.sum(2), by_label, floor=floor)
        return best, SpanArrays(tokens, log_probs, best.row_log_probs)

    def _solve(
        self, scores: NDArray[Any], lengths: NDArray[np.int64], *, keeps_messages: bool = True
    ) -> tuple[SpanArrays, ForwardBackward]:
        """Return the likeliest spans, and the messages of all rows, if they are kept."""
        if kernels.are_used():
            from annoseq.kernels.crf_kernel import decode_rows

            decoded = decode_rows(
                scores, lengths, self._kernel_weights, keeps_messages=keeps_messages
            )
            forward, backward, emissions = decoded.messages
            messages = ForwardBackward(forward, backward, emissions, decoded.log_partition)
            return SpanArrays(decoded.spans, decoded.log_probs, decoded.row_log_probs), messages
        emissions = finite(scores)
        messages = self.forward_backward(emissions, lengths)
        return self._best(emissions, lengths, messages), messages

    @cached_property
    def _kernel_weights(self) -> CrfWeights:
        from annoseq.kernels.crf_kernel import CrfWeights

        return CrfWeights.of(finite(self.span_transitions), finite(self.inner_transitions))

    def _best(
        self, emissions: NDArray[Any], lengths: NDArray[np.int64], messages: ForwardBackward
    ) -> SpanArrays:
        tags, row_log_probs = self.likeliest_tags(emissions, lengths, messages)
        spans = bioes_to_token_spans(tags, labels=self.labels)
        return SpanArrays(spans, self.span_log_probs(messages, spans), row_log_probs)

    def likeliest_tags(
        self, emissions: NDArray[Any], lengths: NDArray[np.int64], messages: ForwardBackward
    ) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """Return the likeliest tags (B, T), outside after a row's length, and log-likelihoods (B,).

        The tags that are the likeliest for each token by themselves have some probability p
        together. All sequences without one of them share what its marginal leaves, so that tags
        whose marginal is above 1 - p are in the likeliest sequence. Viterbi's algorithm is needed
        for the tokens between them only: none, if p is above one half. Where p is too small to
        tell, tags with a high marginal are taken for sure at first, which makes p larger.
        """
        is_token = token_mask(lengths, emissions.shape[1])
        tags, marginals = _likeliest_by_token(messages, is_token)
        log_likelihood = self._log_likelihood(emissions, tags, lengths, messages)
        seems_sure = marginals > _SEEMS_SURE
        for is_last_round in (False, True):
            unsure = is_token & ~_is_sure(marginals, log_likelihood)
            if is_last_round:
                unsure &= (unsure & seems_sure).any(1, keepdims=True)
            else:
                unsure &= ~seems_sure
            if unsure.any():
                self._search_unsure(emissions, lengths, tags, unsure)
                log_likelihood = self._log_likelihood(emissions, tags, lengths, messages)
        return tags, log_likelihood

    def _search_unsure(
        self,
        emissions: NDArray[Any],
        lengths: NDArray[np.int64],
        tags: NDArray[np.int64],
        unsure: NDArray[np.bool_],
    ) -> None:
        """Replace `tags` (B, T) where they are `unsure` by the likeliest, given all others."""
        edges = np.diff(np.pad(unsure, ((0, 0), (1, 1))).astype(np.int8), axis=1)
        row, first = np.nonzero(edges == 1)  # (S,) stretches of tokens
        stop = np.nonzero(edges == -1)[1]
        places = np.arange((stop - first).max()) + first[:, None]
        is_unsure = places < stop[:, None]
        places = np.minimum(places, tags.shape[1] - 1)
        before = np.where(first == 0, 0, tags[row, first - 1])
        after = tags[row, np.minimum(stop, tags.shape[1] - 1)]
        is_last = (stop == lengths[row])[:, None]
        leaving = np.where(is_last, self._end_scores, self._transitions.T[after])
        found = self._viterbi(emissions[row[:, None], places], stop - first, before, leaving)
        rows = np.broadcast_to(row[:, None], places.shape)
        tags[rows[is_unsure], places[is_unsure]] = found[is_unsure]

    def viterbi(self, emissions: NDArray[Any], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the likeliest tags (B, T), outside after a row's length (Viterbi 1967)."""
        before = np.zeros(len(emissions), np.int64)
        return self._viterbi(emissions, lengths, before, self._end_scores)

    def _viterbi(
        self,
        emissions: NDArray[Any],
        lengths: NDArray[np.int64],
        before: NDArray[np.int64],
        leaving: NDArray[Any],
    ) -> NDArray[np.int64]:
        """Return the likeliest tags (B, T) after the tags `before` (B,).

        `leaving` (B, K) are the scores of the last tags, of what follows them. The best scores of
        all tags are kept, and predecessors looked up on the best path only.
        """
        _, begin, inside, end, single = tag_blocks(self.labels)
        between = finite(self.span_transitions)
        bi, be, ii, ie = finite(self.inner_transitions)
        rows, width, tags = emissions.shape
        reached = np.full((rows, tags), -np.inf, emissions.dtype)
        reached[np.arange(rows), before] = 0.0
        scores = np.empty((width, rows, tags), emissions.dtype)
        for place in range(width):
            opened = (_ended(reached, end, single)[:, :, None] + between).max(1)
            begun, within = reached[:, begin], reached[:, inside]
            reached = scores[place]
            reached[:, : begin.stop] = opened
            reached[:, single] = opened[:, 1:]
            reached[:, inside] = np.maximum(begun + bi, within + ii)
            reached[:, end] = np.maximum(begun + be, within + ie)
            reached += emissions[:, place]
        final = (scores[lengths - 1, np.arange(rows)] + leaving).argmax(1)
        return self._backtrace(scores, final, lengths - 1)

    def _backtrace(
        self, scores: NDArray[Any], final: NDArray[np.int64], ends: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Return the tags (B, T) on the best paths to the `final` tags (B,) of the tokens `ends`.

        `scores` (T, B, K) are those of the best paths to each tag.
        """
        tag, tags = final, np.zeros((len(final), len(scores)), np.int64)
        for place in range(len(scores) - 1, -1, -1):
            tag = np.where(ends == place, final, tag)
            tags[:, place] = np.where(ends >= place, tag, 0)
            if place:
                before = (scores[place - 1] + self._finite_transitions[:, tag].T).argmax(1)
                tag = np.where(ends >= place, before, tag)
        return tags

    @cached_property
    def _transitions(self) -> NDArray[Any]:
        """Score (K, K) of each tag (column) after each tag (row), -inf if forbidden."""
        return transition_table(self.span_transitions, self.inner_transitions)

    @cached_property
    def _finite_transitions(self) -> NDArray[Any]:
        """The same table with scores that have overflown clipped, so that spans stay whole."""
        return transition_table(finite(self.span_transitions), finite(self.inner_transitions))

    @cached_property
    def _end_scores(self) -> NDArray[Any]:
        """0 for the tags (K,) that a row may end with, -inf for the others."""
        scores = np.zeros(4 * self.labels + 1, self.span_transitions.dtype)
        scores[1 : 1 + 2 * self.labels] = -np.inf
        return scores

    def _log_likelihood(
        self,
        emissions: NDArray[Any],
        tags: NDArray[np.int64],
        lengths: NDArray[np.int64],
        messages: ForwardBackward,
    ) -> NDArray[Any]:
        """Return the log-likelihood (B,), at most 0, of tags (B, T)."""
        before = np.concatenate([np.zeros_like(tags[:, :1]), tags[:, :-1]], 1)
        steps = np.take_along_axis(emissions, tags[:, :, None], 2)[:, :, 0]
        steps = steps + self._transitions[before, tags]
        is_token = token_mask(lengths, tags.shape[1])
        score = np.where(is_token, steps, 0.0).sum(1, dtype=np.float64)
        return _bound(score - messages.log_partition)

    def forward_backward(
        self, emissions: NDArray[Any], lengths: NDArray[np.int64]
    ) -> ForwardBackward:
        """Run the forward-backward algorithm over emissions (B, T, K)."""
        return forward_backward(
            emissions, lengths, transitions=self._transitions, end_scores=self._end_scores
        )

    def span_log_probs(self, messages: ForwardBackward, spans: NDArray[np.int64]) -> NDArray[Any]:
        """Return the log-probability (N,) of spans (N, 4): row, first and last token, label.

        The probability of a span is the sum over all tag sequences that contain it.
        """
        row, first, last, label = spans.T
        _, begins, insides, ends, singles = tag_blocks(self.labels)
        begin, end, single = (label + block.start for block in (begins, ends, singles))
        bi, be, ii, ie = self.inner_transitions[:, label]
        forward, backward, emissions, _ = messages
        one_token = _log(forward[row, first, single]) + _log(backward[row, first, single])
        # In double precision: a sum over a long text is a difference of large numbers.
        steps = _log(emissions[..., insides]).astype(np.float64).cumsum(1)  # (B, T, L)
        middle = (last - 1).clip(min=0)
        passed = steps[row, middle, label] - steps[row, first, label]
        inner = last - first - 1  # tokens between the first and the last
        through = np.where(inner > 0, bi + ie + ii * (inner - 1).clip(min=0) + passed, be)
        several_tokens = (
            _log(forward[row, first, begin])
            + through
            + _log(emissions[row, last, end])
            + _log(backward[row, last, end])
        )
        return _bound(np.where(first == last, one_token, several_tokens))


def transition_table(between: NDArray[Any], within: NDArray[Any]) -> NDArray[Any]:
    """Return the score (K, K) of each tag (column) after each tag (row), -inf if forbidden."""
    outside, begin, inside, end, single = tag_blocks(len(between) - 1)
    table = np.full((single.stop, single.stop), -np.inf, between.dtype)
    blocks = ((outside, slice(1)), (end, slice(1, None)), (single, slice(1, None)))
    for closing, rows in blocks:
        for opening, columns in (blocks[0], (begin, slice(1, None)), blocks[2]):
            table[closing, opening] = between[rows, columns]
    diagonal = np.arange(len(between) - 1)
    moves = ((begin, inside), (begin, end), (inside, inside), (inside, end))
    for scores, (before, after) in zip(within, moves, strict=True):
        table[diagonal + before.start, diagonal + after.start] = scores
    return table


def _likeliest_by_token(
    messages: ForwardBackward, is_token: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Return the tag (B, T) with the highest marginal of each token, and the marginal."""
    forward, backward = messages.forward, messages.backward
    marginals = forward[..., 0] * backward[..., 0]
    tags = np.zeros(marginals.shape, np.int64)
    row, place = np.nonzero(is_token & (marginals <= 0.5))  # the others are outside
    by_tag = forward[row, place] * backward[row, place]
    tags[row, place], marginals[row, place] = by_tag.argmax(1), by_tag.max(1)
    return tags, marginals


def _is_sure(marginals: NDArray[Any], log_likelihood: NDArray[Any]) -> NDArray[np.bool_]:
    """Return a mask (B, T) of the tags that the likeliest sequence must have.

    `log_likelihood` (B,) is that of a sequence of tags with these marginals (B, T).
    """
    probability = np.exp(log_likelihood)[:, None]
    sure: NDArray[np.bool_] = (marginals > 1 - _SLACK * probability) & (
        probability > _LEAST_PROBABILITY
    )
    return sure


def _ended(reached: NDArray[Any], end: slice, single: slice) -> NDArray[Any]:
    """Return the best scores (B, L + 1) of outside, and of a span of each label that has ended."""
    return np.concatenate([reached[:, :1], np.maximum(reached[:, end], reached[:, single])], 1)


def _bound(log_probs: NDArray[Any]) -> NDArray[Any]:
    bounded: NDArray[Any] = np.nan_to_num(
        np.minimum(log_probs, 0.0), nan=_IMPOSSIBLE, neginf=_IMPOSSIBLE
    )
    return bounded


def _log(probabilities: NDArray[Any]) -> NDArray[Any]:
    logarithms: NDArray[Any] = np.log(probabilities.clip(min=1e-38))
    return logarithms
