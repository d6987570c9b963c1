"""Span decoder of a biaffine classifier: the most probable well-nested spans, in numpy.

`annoseq.models.biaffine` explains the classifier, and has its scores and its loss.

Shapes: B rows, T tokens, L labels, N spans, C = L + 1 classes, of which the first is no span.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from annoseq.models.span_decoder import SpanArrays, token_mask
from annoseq.models.span_marginals import covered_tokens

if TYPE_CHECKING:
    from numpy.typing import NDArray

_THRESHOLD = 0.25
"""Probability from which on a span is predicted. The threshold with the best F1 is half that F1
(Lipton et al. 2014); an accurate model has hardly any spans in between."""


class _ScoredPairs(NamedTuple):
    """Candidate spans (N, 4), their log-probabilities (N,), and log-odds against no span (N,).

    `no_spans` (B,) is the log-probability of a row without any span.
    """

    spans: NDArray[np.int64]
    log_probs: NDArray[Any]
    gains: NDArray[Any]
    no_spans: NDArray[Any]


@dataclass(frozen=True, eq=False)
class BiaffineDecoder:
    """Decoder of the log-probabilities (B, T, T, C) of pairs of a first and a last token.

    Spans nest up to `levels` deep, and a span of a label in one of the same label where `nests`
    (L,) is true.
    """

    levels: int
    nests: NDArray[np.bool_]

    def decode(self, scores: NDArray[Any], lengths: NDArray[np.int64]) -> SpanArrays:
        """Return the spans above the threshold, well nested whatever the weights are."""
        return self._select(_likely_pairs(scores, lengths, floor=_THRESHOLD))

    def candidates(
        self,
        scores: NDArray[Any],
        lengths: NDArray[np.int64],
        *,
        floor: float,
        longest: int,
    ) -> SpanArrays:
        """Return the spans of at most `longest` tokens whose probability is at least `floor`."""
        scored = _likely_pairs(scores, lengths, floor=min(floor, _THRESHOLD))
        is_short = scored.spans[:, 2] - scored.spans[:, 1] < longest
        kept = (scored.log_probs >= log(floor)) & is_short
        row_log_probs = self._select(scored).row_log_probs
        return SpanArrays(scored.spans[kept], scored.log_probs[kept], row_log_probs)

    def coverage(
        self, scores: NDArray[Any], lengths: NDArray[np.int64], *, floor: float
    ) -> tuple[SpanArrays, SpanArrays]:
        """Return the likeliest spans, and the tokens that lie in any span with at least `floor`.

        Pairs of tokens count as independent: a token is in no span if none of the pairs around it
        is a span.
        """
        best = self._select(_likely_pairs(scores, lengths, floor=_THRESHOLD))
        is_pair = _pair_mask(lengths, scores.shape[1])[..., None]
        no_span = _sum_around(np.where(is_pair, scores[..., :1], 0.0))[..., 0]
        by_label = _sum_around(np.where(is_pair, np.exp(scores[..., 1:]), 0.0))
        tokens, log_probs = covered_tokens(-np.expm1(no_span), by_label, floor=floor)
        return best, SpanArrays(tokens, log_probs, best.row_log_probs)

    def _select(self, scored: _ScoredPairs) -> SpanArrays:
        """Select well-nested spans above the threshold."""
        indices = np.flatnonzero(scored.log_probs >= log(_THRESHOLD))
        spans, log_probs = scored.spans[indices], scored.log_probs[indices]
        kept = _select_well_nested(spans, log_probs, nests=self.nests, levels=self.levels)
        rows = len(scored.no_spans)
        gains = np.bincount(spans[kept, 0], scored.gains[indices[kept]], minlength=rows)
        return SpanArrays(spans[kept], log_probs[kept], np.minimum(scored.no_spans + gains, 0.0))


def _likely_pairs(
    scores: NDArray[Any], lengths: NDArray[np.int64], *, floor: float
) -> _ScoredPairs:
    """Return the spans with a probability of at least `floor`."""
    is_pair = _pair_mask(lengths, scores.shape[1])
    no_span = np.where(is_pair, scores[..., 0], 0.0)
    row, first, last, label = np.nonzero((scores[..., 1:] >= log(floor)) & is_pair[..., None])
    log_probs = scores[row, first, last, label + 1]
    gains = log_probs - no_span[row, first, last]
    return _ScoredPairs(
        np.stack([row, first, last, label], 1), log_probs, gains, no_span.sum((1, 2))
    )


def _pair_mask(lengths: NDArray[np.int64], width: int) -> NDArray[np.bool_]:
    """Return the mask (B, T, T) of pairs of a first and a last token of a row."""
    mask: NDArray[np.bool_] = np.triu(np.ones((width, width), np.bool_))
    return mask & token_mask(lengths, width)[:, None]


def _sum_around(values: NDArray[Any]) -> NDArray[Any]:
    """Sum values (B, T, T, C) of first and last tokens over the pairs around each token (B, T, C).

    A pair is around a token if its first token is not after it, and its last not before it.
    """
    from_last = values[:, :, ::-1].cumsum(2)[:, :, ::-1]  # over all last tokens from here on
    return from_last.cumsum(1).diagonal(axis1=1, axis2=2).swapaxes(1, 2)


def _select_well_nested(
    spans: NDArray[np.int64], scores: NDArray[Any], *, nests: NDArray[np.bool_], levels: int
) -> NDArray[np.int64]:
    """Return the indices, in order, of spans (N, 4) that are well nested.

    In every round each row selects its most probable span and drops those in conflict with it.
    """
    left = np.argsort(-scores, kind="stable")
    # Number of selected spans around each span, and depth of those selected within it.
    around, within = np.zeros_like(left), np.zeros_like(left)
    selected = [left[:0]]
    while len(left):
        row, first, last, label = spans[left].T
        _, heads, row_index = np.unique(row, return_index=True, return_inverse=True)
        selected.append(left[heads])
        head = heads[row_index]
        begin, end = first[head], last[head]
        is_inside = (begin <= first) & (last <= end)
        is_outside = (first <= begin) & (end <= last)
        is_apart = (last < begin) | (end < first)
        # Depth below an outer span: the selected span, those around both, and those within it.
        depth = around[head] - around + 1 + within[head]
        around = around + is_inside
        within = np.where(is_outside, np.maximum(within, depth), within)
        may_nest = (is_inside != is_outside) & (nests[label] | (label != label[head]))
        stays = (is_apart | may_nest) & (around + within < levels)
        left, around, within = left[stays], around[stays], within[stays]
    return np.sort(np.concatenate(selected))
