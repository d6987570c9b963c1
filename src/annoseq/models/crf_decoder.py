"""Span decoder of a linear-chain CRF in numpy.

`annoseq.models.crf` explains tags, transitions and scaled messages, `annoseq.models.span_marginals`
the search for likely spans; both do in torch what this module does without.

Shapes: B rows, T tokens, L labels, K = 4 L + 1 tags, N spans, M begins.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import log
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from annoseq.models.span_decoder import SpanArrays, covered_tokens, finite, token_mask
from annoseq.tokenization.bioes import bioes_to_token_spans, tag_blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_MIN_EMISSION = -60.0
_MAX_MESSAGE = 1e30
_IMPOSSIBLE = -1e4
_SURE = log(0.51)
"""Log-likelihood from which on tags are more probable than all others, rounding allowed for."""
_PAIRS_PER_CHUNK = 1 << 18
"""Pairs of a begin and an end in memory at a time."""


class _Messages(NamedTuple):
    """Scaled messages (B, T, K), and emissions with the same scale; see `ForwardBackward`."""

    forward: NDArray[Any]
    backward: NDArray[Any]
    emissions: NDArray[Any]
    log_partition: NDArray[Any]

    @property
    def marginals(self) -> NDArray[Any]:
        """Probabilities (B, T, K) of the tags, 0 after the end of a row."""
        product: NDArray[Any] = self.forward * self.backward
        return product


@dataclass(frozen=True, eq=False)
class CrfDecoder:
    """Decoder of emissions (B, T, K) by the transition scores of a `LinearChainCrf`."""

    span_transitions: NDArray[Any]
    inner_transitions: NDArray[Any]

    @property
    def labels(self) -> int:
        """Number of labels L."""
        return len(self.span_transitions) - 1

    def decode(self, scores: NDArray[np.float32], lengths: NDArray[np.int64]) -> SpanArrays:
        """Return the spans of the likeliest tag sequence."""
        emissions = finite(scores)
        return self._best(emissions, lengths, self._forward_backward(emissions, lengths))

    def candidates(
        self,
        scores: NDArray[np.float32],
        lengths: NDArray[np.int64],
        *,
        floor: float,
        longest: int,
    ) -> SpanArrays:
        """Return the spans of at most `longest` tokens whose probability is at least `floor`."""
        emissions = finite(scores)
        messages = self._forward_backward(emissions, lengths)
        spans, log_probs = self._likely_spans(messages, floor=floor, longest=longest)
        _, row_log_probs = self._likeliest_tags(emissions, lengths, messages)
        return SpanArrays(spans, log_probs, row_log_probs)

    def coverage(
        self, scores: NDArray[np.float32], lengths: NDArray[np.int64], *, floor: float
    ) -> tuple[SpanArrays, SpanArrays]:
        """Return the likeliest spans, and the tokens that lie in any span with at least `floor`."""
        emissions = finite(scores)
        messages = self._forward_backward(emissions, lengths)
        best = self._best(emissions, lengths, messages)
        rows, width, tags = messages.forward.shape
        # Begin, inside, end and single tags of a label together.
        by_label = messages.marginals[..., 1:].reshape(rows, width, 4, tags // 4).sum(2)
        covered = by_label.sum(2)
        return best, covered_tokens(
            covered, by_label, floor=floor, row_log_probs=best.row_log_probs
        )

    def _best(
        self, emissions: NDArray[Any], lengths: NDArray[np.int64], messages: _Messages
    ) -> SpanArrays:
        tags, row_log_probs = self._likeliest_tags(emissions, lengths, messages)
        spans = bioes_to_token_spans(tags, labels=self.labels)
        return SpanArrays(spans, self._span_log_probs(messages, spans), row_log_probs)

    def _likeliest_tags(
        self, emissions: NDArray[Any], lengths: NDArray[np.int64], messages: _Messages
    ) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """Return the likeliest tags (B, T) of each row, and their log-likelihood (B,).

        If the tags that are the likeliest for each token by themselves are more probable together
        than one half, no other sequence is likelier, and Viterbi's algorithm is not needed.
        """
        tags = messages.marginals.argmax(2)  # outside after the end, where all are 0
        log_likelihood = self._log_likelihood(emissions, tags, lengths, messages)
        unsure = np.flatnonzero(log_likelihood < _SURE)
        if len(unsure):
            width = lengths[unsure].max()
            tags[unsure, :width] = self._viterbi(emissions[unsure, :width], lengths[unsure])
            log_likelihood = self._log_likelihood(emissions, tags, lengths, messages)
        return tags, log_likelihood

    def _transitions(self, *, is_finite: bool = False) -> NDArray[Any]:
        """Return the score (K, K) of each tag (column) after each tag (row), -inf if forbidden.

        With `is_finite`, scores that have overflown are clipped, so that spans stay whole.
        """
        outside, begin, inside, end, single = tag_blocks(self.labels)
        between, within = self.span_transitions, self.inner_transitions
        if is_finite:
            between, within = finite(between), finite(within)
        tags = 4 * self.labels + 1
        table = np.full((tags, tags), -np.inf, between.dtype)
        for closing, rows in ((outside, slice(1)), (end, slice(1, None)), (single, slice(1, None))):
            for opening, columns in (
                (outside, slice(1)),
                (begin, slice(1, None)),
                (single, slice(1, None)),
            ):
                table[closing, opening] = between[rows, columns]
        diagonal = np.arange(self.labels)
        moves = ((begin, inside), (begin, end), (inside, inside), (inside, end))
        for scores, (before, after) in zip(within, moves, strict=True):
            table[diagonal + before.start, diagonal + after.start] = scores
        return table

    def _can_end(self) -> NDArray[np.bool_]:
        can_end = np.ones(4 * self.labels + 1, np.bool_)
        can_end[1 : 1 + 2 * self.labels] = False
        return can_end

    def _viterbi(self, emissions: NDArray[Any], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the likeliest tags (B, T), outside after a row's length.

        Scores are kept, and predecessors looked up for the tags of the best path only.
        """
        _, begin, inside, end, single = tag_blocks(self.labels)
        between = finite(self.span_transitions)
        bi, be, ii, ie = finite(self.inner_transitions)
        rows, width, tags = emissions.shape
        reached = np.full((rows, tags), -np.inf, emissions.dtype)
        reached[:, 0] = 0.0  # as after an outside tag
        scores = np.empty((width, rows, tags), emissions.dtype)
        for place, emission in enumerate(emissions.swapaxes(0, 1)):
            opened = (_ended(reached, end, single)[:, :, None] + between).max(1)
            begun, within = reached[:, begin], reached[:, inside]
            reached = scores[place]
            reached[:, : begin.stop] = opened
            reached[:, single] = opened[:, 1:]
            reached[:, inside] = np.maximum(begun + bi, within + ii)
            reached[:, end] = np.maximum(begun + be, within + ie)
            reached += emission
        return self._backtrace(scores, lengths)

    def _backtrace(self, scores: NDArray[Any], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the best tags (B, T), given the best scores (T, B, K) of paths to each tag."""
        width, rows, _ = scores.shape
        transitions = self._transitions(is_finite=True)
        ends = lengths - 1
        can_end = np.where(self._can_end(), 0.0, -np.inf)
        final = (scores[ends, np.arange(rows)] + can_end).argmax(1)
        tag, tags = final, np.zeros((rows, width), np.int64)
        for place in range(width - 1, -1, -1):
            tag = np.where(ends == place, final, tag)
            tags[:, place] = np.where(ends >= place, tag, 0)
            before = (scores[place - 1] + transitions[:, tag].T).argmax(1)
            tag = np.where(ends >= place, before, tag)
        return tags

    def _log_likelihood(
        self,
        emissions: NDArray[Any],
        tags: NDArray[np.int64],
        lengths: NDArray[np.int64],
        messages: _Messages,
    ) -> NDArray[Any]:
        """Return the log-likelihood (B,), at most 0, of tags (B, T)."""
        before = np.concatenate([np.zeros_like(tags[:, :1]), tags[:, :-1]], 1)
        steps = np.take_along_axis(emissions, tags[:, :, None], 2)[:, :, 0]
        steps = steps + self._transitions()[before, tags]
        is_token = token_mask(lengths, tags.shape[1])
        score = np.where(is_token, steps, 0.0).sum(1, dtype=np.float64)
        return _bound(score - messages.log_partition)

    def _forward_backward(self, emissions: NDArray[Any], lengths: NDArray[np.int64]) -> _Messages:
        """Pass messages as probabilities scaled at every token."""
        moves, can_end = np.exp(self._transitions()), self._can_end()
        rows, width, tags = emissions.shape
        highest = emissions.max(2, keepdims=True)
        scores = np.exp((emissions - highest).clip(min=_MIN_EMISSION))
        forward, scale = np.empty_like(scores), np.empty((rows, width), scores.dtype)
        message = np.zeros((rows, tags), scores.dtype)
        message[:, 0] = 1.0
        for place in range(width):
            message = (message @ moves) * scores[:, place]
            scale[:, place] = message.sum(1)
            message /= scale[:, place, None]
            forward[:, place] = message
        scores /= scale[:, :, None]
        last, is_token = lengths - 1, token_mask(lengths, width)
        ending = (forward[np.arange(rows), last] * can_end).sum(1)
        final = can_end / ending[:, None]
        backward, message = np.empty_like(scores), np.zeros_like(final)
        for place in range(width - 1, -1, -1):
            message = np.where((last == place)[:, None], final, message)
            backward[:, place] = message
            message = (message * scores[:, place]).clip(max=_MAX_MESSAGE) @ moves.T
        # What rounding has left of both together would add up over a long text.
        drift = (forward * backward).sum(2, keepdims=True).clip(min=1 / _MAX_MESSAGE)
        backward = np.where(is_token[:, :, None], (backward / drift).clip(max=_MAX_MESSAGE), 0.0)
        total = np.where(is_token, np.log(scale) + highest[:, :, 0], 0.0).sum(1, dtype=np.float64)
        return _Messages(forward, backward, scores, total + np.log(ending))

    def _span_log_probs(self, messages: _Messages, spans: NDArray[np.int64]) -> NDArray[Any]:
        """Return the log-probability (N,) of spans, summed over all sequences that contain them."""
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

    def _likely_spans(
        self, messages: _Messages, *, floor: float, longest: int
    ) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """Return the spans (N, 4) with a probability of at least `floor`, and its logarithm."""
        _, begins, insides, ends, singles = (
            messages.marginals[..., block] for block in tag_blocks(self.labels)
        )
        row, place, label = np.nonzero(singles >= floor)
        spans, log_probs = [], []
        for candidates in (
            np.stack([row, place, place, label], 1),
            *_multi_token_spans(begins, insides, ends, floor, longest),
        ):
            candidate_log_probs = self._span_log_probs(messages, candidates)
            is_likely = np.exp(candidate_log_probs) >= floor
            spans.append(candidates[is_likely])
            log_probs.append(candidate_log_probs[is_likely])
        return np.concatenate(spans), np.concatenate(log_probs)


def _multi_token_spans(
    begins: NDArray[Any], insides: NDArray[Any], ends: NDArray[Any], floor: float, longest: int
) -> Iterator[NDArray[np.int64]]:
    """Yield the candidate spans (N, 4) of several tokens, in chunks."""
    _, width, labels = begins.shape
    # Each row and label is a line of T places, and all lines are concatenated.
    opened, inside, closed = (
        marginals.transpose(0, 2, 1).reshape(-1) >= floor for marginals in (begins, insides, ends)
    )
    first, last = np.flatnonzero(opened), np.flatnonzero(closed)  # (M,), ...
    if not len(first) or not len(last):
        return
    # A span extends past its second token only while it may be inside, and stays in its line.
    stops = np.where(inside, len(inside), np.arange(len(inside)))
    stop = np.minimum.accumulate(stops[::-1])[::-1]  # the next place that is not inside
    farthest = np.minimum(stop[(first + 1).clip(max=len(inside) - 1)], first + longest - 1)
    farthest = np.minimum(farthest, (first // width + 1) * width - 1)
    low = np.searchsorted(last, first, side="right")
    counts = (np.searchsorted(last, farthest, side="right") - low).clip(min=0)
    for chunk in _chunks(counts):
        index = np.repeat(np.arange(len(counts[chunk])), counts[chunk])
        before = counts[chunk].cumsum() - counts[chunk]
        end = last[low[chunk][index] + np.arange(len(index)) - before[index]]
        begin = first[chunk][index]
        line = begin // width
        yield np.stack([line // labels, begin % width, end % width, line % labels], 1)


def _chunks(counts: NDArray[np.int64]) -> list[slice]:
    """Split begins into chunks of about `_PAIRS_PER_CHUNK` pairs."""
    chunk = counts.cumsum() // _PAIRS_PER_CHUNK
    edges = [0, *(np.flatnonzero(np.diff(chunk)) + 1).tolist(), len(counts)]
    return [slice(*edge) for edge in pairwise(edges)]


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
