"""Span marginals of a CRF: all spans, and all tokens in any span, above a probability threshold.

The marginal probability of a span is the sum over all tag sequences that contain it, so no n-best
list is needed. It is at most the probability that the span begins at its first token, that it ends
at its last, and that it is open at every token in between. Tokens where one of these is below the
threshold are excluded first, which leaves few pairs of a begin and an end to score.

Shapes: B rows, T tokens, L labels, K tags, N spans, M begins.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch

from annoseq.tokenization.bioes import tag_blocks

if TYPE_CHECKING:
    from torch import Tensor

    from annoseq.models.crf import ForwardBackward, LinearChainCrf

_PAIRS_PER_CHUNK = 1 << 18
"""Pairs of a begin and an end in memory at a time, about 40 MB of them."""


@torch.no_grad()
def likely_spans(
    crf: LinearChainCrf, messages: ForwardBackward, *, floor: float, longest: int
) -> tuple[Tensor, Tensor]:
    """Return the spans (N, 4) with a marginal of at least `floor`, and its logarithm (N,).

    A span is row, first token, last token and label, as in `LinearChainCrf.span_log_probs`. Spans
    of more than `longest` tokens are excluded, which bounds the number of spans for each begin.
    """
    marginals = messages.forward * messages.backward  # (B, T, K), 0 after the end of a row
    _, begins, insides, ends, singles = (marginals[..., block] for block in tag_blocks(crf.labels))
    spans, log_probs = [], []
    for candidates in [
        _single_token_spans(singles, floor),
        *_multi_token_spans(begins, insides, ends, floor, longest),
    ]:
        candidate_log_probs = crf.span_log_probs(messages, candidates)
        is_likely = candidate_log_probs.exp() >= floor
        spans.append(candidates[is_likely])
        log_probs.append(candidate_log_probs[is_likely])
    return torch.cat(spans), torch.cat(log_probs)


def covered_tokens(covered: Tensor, by_label: Tensor, *, floor: float) -> tuple[Tensor, Tensor]:
    """Return the tokens (N, 4) in any span with at least `floor`, and the log-probability (N,).

    `covered` (B, T) are the probabilities that a token lies in any span, `by_label` (B, T, L) those
    for each label, or numbers in the same order. A token is row, token, token and likeliest label.
    """
    row, token = (covered >= floor).nonzero().unbind(1)
    if not by_label.shape[2]:
        row, token = row[:0], token[:0]
        return torch.stack([row, token, token, row], 1), covered[row, token]
    label = by_label[row, token].argmax(1)
    log_probs = covered[row, token].clamp(max=1.0).log()
    return torch.stack([row, token, token, label], 1), log_probs


def _single_token_spans(singles: Tensor, floor: float) -> Tensor:
    """Return the candidate spans (N, 4) of one token."""
    row, place, label = (singles >= floor).nonzero().unbind(1)
    return torch.stack([row, place, place, label], 1)


def _multi_token_spans(
    begins: Tensor, insides: Tensor, ends: Tensor, floor: float, longest: int
) -> list[Tensor]:
    """Return the candidate spans (N, 4) of several tokens, in chunks."""
    _, width, labels = begins.shape
    # Each row and label is a line of T places, and all lines are concatenated.
    opened, inside, closed = (
        marginals.permute(0, 2, 1).reshape(-1) >= floor for marginals in (begins, insides, ends)
    )
    first = opened.nonzero().squeeze(1)  # (M,)
    last = closed.nonzero().squeeze(1)
    if not len(first) or not len(last):
        return []
    # A span extends past its second token only while it may be inside, and stays in its line.
    everywhere = torch.arange(len(inside), device=inside.device)
    stops = torch.where(inside, len(inside), everywhere)
    stop = stops.flip(0).cummin(0).values.flip(0)  # the next place that is not inside
    farthest = torch.minimum(
        stop[(first + 1).clamp(max=len(inside) - 1)], (first // width + 1) * width - 1
    ).minimum(first + longest - 1)
    low = torch.searchsorted(last, first, right=True)
    counts = (torch.searchsorted(last, farthest, right=True) - low).clamp(min=0)
    return [
        _pair_begins_with_ends(
            first[chunk], last, low[chunk], counts[chunk], width=width, labels=labels
        )
        for chunk in _chunks(counts)
    ]


def _pair_begins_with_ends(
    first: Tensor, last: Tensor, low: Tensor, counts: Tensor, *, width: int, labels: int
) -> Tensor:
    """Join every begin with the `counts` ends from index `low` on; return spans (N, 4)."""
    index = torch.repeat_interleave(counts)
    before = counts.cumsum(0) - counts
    ends = last[low[index] + torch.arange(len(index), device=index.device) - before[index]]
    begin = first[index]
    line = begin // width
    return torch.stack([line // labels, begin % width, ends % width, line % labels], 1)


def _chunks(counts: Tensor) -> list[slice]:
    """Split begins into chunks of about `_PAIRS_PER_CHUNK` pairs."""
    chunk = counts.cumsum(0) // _PAIRS_PER_CHUNK
    edges = [0, *((chunk.diff() > 0).nonzero().squeeze(1) + 1).tolist(), len(counts)]
    return [slice(*edge) for edge in pairwise(edges)]
